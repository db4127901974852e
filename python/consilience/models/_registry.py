"""The list of models; the command line, the study and the documentation read it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from consilience._validate import check_choice
from consilience.models._network import POOLINGS, Network

Modality = Literal["string", "language", "graph", "3D", "sequence", "structure", "baseline"]
EmbeddingType = Literal["invariant", "equivariant", "vanilla", "baseline"]
Loader = Callable[..., Network]
F = TypeVar("F", bound=Loader)

# What runs a model, and is no business of a table of models.
NOT_FACTS = ("requires", "install", "elements", "periodic", "takes_weights", "load")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model, where its weights come from, and how to load it.

    Attributes
    ----------
    name : str
        What it is called on the command line.
    summary : str
        One line about it.
    family : str
        Who it belongs with: "CHGNet".
    architecture : str
        What kind of network it is: "transformer encoder".
    modality : str
        What it reads: "string", "language", "graph", "3D", "sequence", "structure"; or
        "baseline" for what has learnt nothing.
    embedding : str
        Symmetry of what it carries inside: "invariant" if scalars alone, "equivariant" if
        vectors and tensors too, "vanilla" if none is built in; "baseline" for baselines.
    representation : str
        Column of the samples it needs: "smiles", "atoms", "sequence", …, or "ids".
    width : int or None
        Number of features of the default layer; None if the weights decide.
    parameters : int or None
        Number of weights, where known.
    training_data : str
        What it learnt from; the same words for the same data.
    training_size : int or None
        How many structures or strings that is, where the source says.
    theory : str
        Level of theory of the labels: "PBE(+U)"; empty if there is none.
    license : str
        Licence of the weights.
    weights : str
        Where the weights come from.
    package : str
        Package that ships or runs them, pinned; empty if there is none to install.
    requires : tuple of str
        Names that must be importable.
    install : str
        The command that installs what it needs.
    seconds_per_1k : float
        Processor seconds per 1000 small samples, one thread; orders the work.
    checkpoint : str
        Which weights; with `takes_weights`, what the user gives.
    pooling : str
        How tokens become one row, if nothing else is asked for.
    elements : frozenset of int or None
        Atomic numbers it knows; None for all.
    periodic : bool
        Whether it can read crystals, where it reads atoms.
    takes_weights : bool
        Whether the user gives the weights, as ``NAME:WEIGHTS``.
    load : callable
        ``load(*, checkpoint, device) -> Network``; imports what is heavy when it runs.
    """

    name: str
    summary: str
    family: str
    architecture: str
    modality: Modality
    embedding: EmbeddingType
    representation: str
    license: str
    weights: str
    seconds_per_1k: float
    checkpoint: str
    load: Loader
    width: int | None = None
    parameters: int | None = None
    training_data: str = ""
    training_size: int | None = None
    theory: str = ""
    package: str = ""
    requires: tuple[str, ...] = ()
    install: str = ""
    pooling: str = "mean"
    elements: frozenset[int] | None = None
    periodic: bool = True
    takes_weights: bool = False

    def __post_init__(self) -> None:
        check_choice(self.pooling, "pooling", POOLINGS)

    def facts(self) -> dict[str, Any]:
        """Return what can be said about the model, JSON-able."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NOT_FACTS}


MODELS: dict[str, Model] = {}


def model(**facts: Any) -> Callable[[F], F]:
    """Register ``load(*, checkpoint, device) -> Network`` as a model.

    One function may be registered several times, once for each checkpoint. Takes the
    attributes of `Model`, all by keyword.

    Raises
    ------
    ValueError
        If the name is taken.
    """

    def register(load: F) -> F:
        made = Model(load=load, **facts)
        if made.name in MODELS:
            raise ValueError(f"there is a model {made.name!r} already; give this one another name")
        MODELS[made.name] = made
        return load

    return register


def find_model(name: str) -> Model:
    """Return the model called `name`, or ``NAME:WEIGHTS`` with the weights of the user.

    Raises
    ------
    ValueError
        If the name is unknown (with the nearest one) or the model has weights of its own.
    """
    known, colon, weights = name.partition(":")
    check_choice(known, "model", MODELS)
    found = MODELS[known]
    if not colon:
        return found
    if not found.takes_weights:
        raise ValueError(f"{known} has weights of its own, got {name!r}; name it as {known!r}")
    if not weights:
        raise ValueError(f"no weights after the colon of {name!r}; give '{known}:WEIGHTS'")
    return replace(found, name=name, checkpoint=weights)


def available(found: Model) -> str | None:
    """Return None if the model can run here, else one sentence that says what is missing."""
    absent = [name for name in found.requires if importlib.util.find_spec(name) is None]
    if absent:
        return f"{found.name} needs {', '.join(absent)}: {found.install}"
    if found.takes_weights and not found.checkpoint:
        return f"{found.name} needs weights, given as '{found.name}:WEIGHTS'; {found.weights}"
    return None


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
