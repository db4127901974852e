"""Random numbers: the baseline that knows nothing."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from consilience.datasets import Samples
from consilience.models._registry import Batches, model

WIDTH = 256


@model(
    name="random",
    summary="Gaussian numbers that depend on the sample id alone",
    family="noise",
    modality="baseline",
    representation="ids",
    width=WIDTH,
    parameters=0,
    license="Apache-2.0",
    seconds_per_1k=0.05,
    checkpoint="0",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Draw each row from a generator seeded by `checkpoint` and the id.

    So a sample has the same row in every subset and order.
    """
    for start in range(0, len(samples), batch_size):
        ids = samples.ids[start : start + batch_size]
        yield ids, np.stack([_row(sample, int(checkpoint)) for sample in ids])


def _row(sample: str, seed: int) -> NDArray[np.float32]:
    key = int.from_bytes(hashlib.sha256(sample.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, key]).standard_normal(WIDTH, dtype=np.float32)
