"""Running a model, with its output checked."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from consilience._validate import check_integer
from consilience.datasets import Samples
from consilience.models._registry import Batches, Model, available, find_model

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
DEFAULT_BATCH_SIZE = 16


class ModelError(RuntimeError):
    """A model could not be run; the message is one sentence."""


def embed(model: str | Model, samples: Samples, *, batch_size: int = DEFAULT_BATCH_SIZE) -> Batches:
    """Yield the embeddings of samples by a model, batch by batch and in order.

    Parameters
    ----------
    model : str or Model
        A name out of `MODELS`.
    samples : Samples
        Must have the representation that the model needs.
    batch_size : int
        Samples per batch.

    Yields
    ------
    ids : tuple of str
    rows : float32 array of shape (len(ids), model.width)

    Raises
    ------
    ValueError
        If the name is unknown or the samples lack the representation.
    ModelError
        If a package is missing, the model fails on a sample, or its output is not finite.

    Notes
    -----
    Nothing is fetched: weights come from installed packages.
    """
    found = find_model(model) if isinstance(model, str) else model
    if found.representation != "ids" and found.representation not in samples.columns:
        raise ValueError(
            f"{found.name} needs {found.representation!r}, "
            f"the samples have only {', '.join(samples.columns)}"
        )
    check_integer(batch_size, "batch_size", 1)
    if sentence := available(found):
        raise ModelError(sentence)
    return _checked(found, samples, batch_size)


def _checked(model: Model, samples: Samples, batch_size: int) -> Batches:
    done = 0
    batches = model.function(samples, checkpoint=model.checkpoint, batch_size=batch_size)
    while True:
        try:
            with _quiet():
                batch = next(batches, None)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = f"after {done} of {len(samples)} samples"
            raise ModelError(f"{model.name} failed {where}: {reason[:300]}") from error
        if batch is None:
            break
        ids, rows = batch
        _check_batch(model, samples.ids[done : done + len(ids)], ids, rows)
        done += len(ids)
        yield ids, rows
    if done != len(samples):
        raise ModelError(f"{model.name} gave {done} embeddings for {len(samples)} samples")


def _check_batch(
    model: Model, expected: tuple[str, ...], ids: tuple[str, ...], rows: NDArray[np.float32]
) -> None:
    if ids != expected:
        raise ModelError(f"{model.name} gave samples out of order, near {expected[:1]}")
    if rows.shape != (len(ids), model.width) or rows.dtype != np.float32:
        raise ModelError(
            f"{model.name} gave {rows.dtype} of shape {rows.shape}, "
            f"expected float32 of shape {(len(ids), model.width)}"
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise ModelError(f"{model.name} gave NaN or infinity for {ids[int(finite.argmin())]!r}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the network out, and the chatter of other libraries off the terminal."""
    before = {name: os.environ.get(name) for name in OFFLINE}
    os.environ.update(OFFLINE)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
