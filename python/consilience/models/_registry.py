"""The list of models; the command line, the demo and the documentation read it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from consilience._validate import check_choice

Batches = Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]
F = TypeVar("F", bound=Callable[..., Batches])


@dataclass(frozen=True)
class Model:
    """A model, where its weights come from, and how to run it.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    summary : str
        One line about it.
    family : str
        Architecture.
    modality : str
        What it reads: "string", "language", "graph", "3D", or "baseline".
    representation : str
        Column of the samples it needs: "smiles", "atoms", or "ids".
    width : int
        Number of features.
    parameters : int or None
        Number of weights, where known.
    license : str
        Licence of the package that ships the weights.
    package : str
        That package, pinned; empty if there is none to install.
    requires : tuple of str
        Names that must be importable.
    install : str
        The command that installs what it needs.
    seconds_per_1k : float
        Processor seconds per 1000 small molecules, one thread; orders the work.
    checkpoint : str
        Which weights, for families with several.
    function : callable
        ``embed(samples, *, checkpoint, batch_size)``; imports what is heavy when it runs.
    """

    name: str
    summary: str
    family: str
    modality: str
    representation: str
    width: int
    parameters: int | None
    license: str
    package: str
    requires: tuple[str, ...]
    install: str
    seconds_per_1k: float
    checkpoint: str
    function: Callable[..., Batches]

    def facts(self) -> dict[str, Any]:
        """Return what can be said about the model, JSON-able."""
        keys = (
            "name",
            "summary",
            "family",
            "modality",
            "representation",
            "width",
            "parameters",
            "license",
            "package",
            "checkpoint",
        )
        return {key: getattr(self, key) for key in keys}


MODELS: dict[str, Model] = {}


def model(
    *,
    name: str,
    summary: str,
    family: str,
    modality: str,
    representation: str,
    width: int,
    license: str,
    seconds_per_1k: float,
    checkpoint: str,
    package: str = "",
    requires: tuple[str, ...] = (),
    install: str = "",
    parameters: int | None = None,
) -> Callable[[F], F]:
    """Register ``embed(samples, *, checkpoint, batch_size)`` as a model.

    One function may be registered several times, once for each checkpoint.
    """

    def register(function: F) -> F:
        MODELS[name] = Model(
            name=name,
            summary=summary,
            family=family,
            modality=modality,
            representation=representation,
            width=width,
            parameters=parameters,
            license=license,
            package=package,
            requires=requires,
            install=install,
            seconds_per_1k=seconds_per_1k,
            checkpoint=checkpoint,
            function=function,
        )
        return function

    return register


def find_model(name: str) -> Model:
    """Return the model called `name`; an unknown name raises with the nearest one."""
    check_choice(name, "model", MODELS)
    return MODELS[name]


def available(found: Model) -> str | None:
    """Return None if the model can run here, else one sentence that says what to install."""
    absent = [name for name in found.requires if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return f"{found.name} needs {', '.join(absent)}: {found.install}"


def versions(found: Model) -> dict[str, str]:
    """Return the versions of what the model runs on, as installed."""
    names = [found.package.partition("==")[0], "torch", "rdkit", "numpy"]
    result = {}
    for name in filter(None, names):
        try:
            result[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return result


def package_folder(name: str) -> Path:
    """Return where a package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {name!r}")
    return Path(spec.submodule_search_locations[0])
