"""Running a model over samples, with its output checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from consilience._validate import check_choice, check_integer
from consilience.datasets import Samples
from consilience.models._checks import (
    check_device,
    check_layers,
    check_outputs,
    check_rows,
    check_width,
    readable,
)
from consilience.models._guard import ModelError, guard
from consilience.models._network import POOLINGS, Network
from consilience.models._registry import Model, available, find_model

DEFAULT_BATCH_SIZE = 16
T = TypeVar("T")


class Batch(NamedTuple):
    """Embeddings of some samples.

    ids : tuple of str
    rows : float32 array of shape (len(ids), width)
    outputs : mapping of str to float64 array of shape (len(ids),)
    """

    ids: tuple[str, ...]
    rows: NDArray[np.float32]
    outputs: dict[str, NDArray[np.float64]]


class LayerBatch(NamedTuple):
    """Embeddings of some samples in several layers; else as `Batch`."""

    ids: tuple[str, ...]
    rows: dict[str, NDArray[np.float32]]
    outputs: dict[str, NDArray[np.float64]]


class Run(Generic[T], Iterator[T]):
    """Batches to iterate over once.

    Attributes
    ----------
    skipped : tuple of str
        Ids of the samples left out: the model does not know an element of theirs, they are
        crystals and it reads molecules alone, or they have no such representation.
    n_samples : int
        How many samples are embedded.
    layers : tuple of str
        The hidden layers that are read.
    """

    def __init__(
        self, batches: Iterator[T], skipped: tuple[str, ...], n_samples: int, layers: Sequence[str]
    ) -> None:
        self._batches = batches
        self.skipped = skipped
        self.n_samples = n_samples
        self.layers = tuple(layers)

    def __next__(self) -> T:
        return next(self._batches)


def embed(
    model: str | Model,
    samples: Samples,
    *,
    batch_size: int | None = None,
    pooling: str | None = None,
    layer: str | None = None,
    device: str = "cpu",
) -> Run[Batch]:
    """Yield the embeddings of samples by a model, batch by batch and in order.

    Parameters
    ----------
    model : str or Model
        A name out of `MODELS`, or ``NAME:WEIGHTS``.
    samples : Samples
        Must have the representation that the model needs.
    batch_size : int, optional
        Samples per batch; 16 by default.
    pooling : str, optional
        How the tokens of a sample become one row: "mean", "sum", "last" or "cls"; the
        model's own by default.
    layer : str, optional
        Hidden layer, one of `layers_of`; the last before the readout by default.
    device : str
        "cpu", or what torch calls another one: "cuda", "cuda:1".

    Returns
    -------
    Run
        An iterator of `Batch` with the ids of the samples that the model cannot read in
        `skipped`.

    Raises
    ------
    ValueError
        If the name, the layer or the pooling is unknown or the samples lack the
        representation.
    ModelError
        If a package or the weights are missing, the model fails on a sample, or its output is
        not finite.

    Notes
    -----
    Nothing is fetched: weights come from installed packages or from the user.
    """
    batches = _start(
        model, samples, batch_size, pooling, None if layer is None else [layer], device
    )

    def single() -> Iterator[Batch]:
        for ids, rows, outputs in batches:
            yield Batch(ids, rows[batches.layers[0]], outputs)

    return Run(single(), batches.skipped, batches.n_samples, batches.layers)


def embed_layers(
    model: str | Model,
    samples: Samples,
    *,
    layers: Sequence[str] | str = "all",
    batch_size: int | None = None,
    pooling: str | None = None,
    device: str = "cpu",
) -> Run[LayerBatch]:
    """Yield the embeddings in several hidden layers, the model run once.

    Parameters
    ----------
    model, samples, batch_size, pooling, device
        As in `embed`.
    layers : "all" or sequence of str
        Some of `layers_of`, from the input on.

    Returns
    -------
    Run
        An iterator of `LayerBatch`: ids, rows by layer, outputs.

    Raises
    ------
    ValueError, ModelError
        As `embed`.
    """
    if isinstance(layers, str) and layers != "all":
        layers = [layers]
    return _start(model, samples, batch_size, pooling, layers, device)


def layers_of(model: str | Model, *, device: str = "cpu") -> tuple[str, ...]:
    """Return the hidden layers of a model from the input on; it is loaded to find out.

    Raises
    ------
    ModelError
        If a package or the weights are missing.
    """
    return _load(find_model(model) if isinstance(model, str) else model, device).layers


def _start(
    model: str | Model,
    samples: Samples,
    batch_size: int | None,
    pooling: str | None,
    layers: Sequence[str] | None,
    device: str,
) -> Run[LayerBatch]:
    found = find_model(model) if isinstance(model, str) else model
    if found.representation != "ids" and found.representation not in samples.columns:
        raise ValueError(
            f"{found.name} needs {found.representation!r}, "
            f"the samples have only {', '.join(samples.columns)}"
        )
    batch_size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
    check_integer(batch_size, "batch_size", 1)
    pooling = found.pooling if pooling is None else pooling
    check_choice(pooling, "pooling", POOLINGS)
    if sentence := available(found):
        raise ModelError(sentence)
    known, skipped = readable(found, samples)
    network = _load(found, device)
    if layers is None:
        layers = network.layers[-1:]
    elif layers == "all":
        layers = network.layers
    check_layers(found, layers, network.layers)
    batches = _batches(_Job(found, network, tuple(layers), pooling), samples, known, batch_size)
    return Run(batches, skipped, len(known), layers)


def _load(model: Model, device: str) -> Network:
    if sentence := available(model):
        raise ModelError(sentence)
    check_device(model, device)
    return guard(
        f"{model.name} could not be loaded",
        lambda: model.load(checkpoint=model.checkpoint, device=device),
    )


@dataclass(frozen=True)
class _Job:
    model: Model
    network: Network
    layers: tuple[str, ...]
    pooling: str


def _batches(
    job: _Job, samples: Samples, known: list[int], batch_size: int
) -> Iterator[LayerBatch]:
    name = job.model.representation
    values = samples.ids if name == "ids" else samples.columns[name]
    for start in range(0, len(known), batch_size):
        part = known[start : start + batch_size]
        ids = tuple(samples.ids[i] for i in part)
        inputs = [values[i] for i in part]
        states = guard(
            f"{job.model.name} failed after {start} of {len(known)} samples",
            lambda inputs=inputs: job.network.run(inputs, job.layers),  # type: ignore[misc]
        )
        rows = {
            layer: check_rows(job.model, states, layer, job.pooling, ids) for layer in job.layers
        }
        default = job.network.layers[-1]
        if default in rows:
            check_width(job.model, rows[default], ids)
        yield LayerBatch(ids, rows, check_outputs(job.model, states.outputs, ids))
