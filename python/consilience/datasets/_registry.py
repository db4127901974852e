"""The list of datasets; the command line and the documentation read it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from consilience._validate import check_choice, check_integer
from consilience.datasets._samples import Samples

F = TypeVar("F", bound=Callable[..., Samples])


@dataclass(frozen=True)
class Dataset:
    """A dataset and where it comes from.

    Attributes
    ----------
    name, summary : str
        Short name, and one line about it.
    modality : str
        What a sample is: "molecules", "crystals", "proteins"…
    columns : tuple of str
        Representations a sample has: "smiles", "atoms".
    license : str
        Licence of the data.
    package : str
        Package that ships the data, pinned; empty if the user brings it.
    requires : tuple of str
        Names that must be importable.
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
    requires: tuple[str, ...]
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
    requires: tuple[str, ...] = (),
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
            requires=requires,
            citation=citation,
            takes_path=takes_path,
            load=load,
        )
        return load

    return register


def missing(found: Dataset) -> str | None:
    """Return None if the dataset can be loaded here, else one sentence with the remedy."""
    absent = [name for name in found.requires if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    install = " ".join(filter(None, ("pip install", "rdkit", found.package)))
    return f"{found.name} needs {' and '.join(absent)}: {install}"


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
