"""Random numbers: the baseline that knows nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consilience.models._network import Network, RowFunction
from consilience.models._registry import model

WIDTH = 256


@model(
    name="random",
    summary="Gaussian numbers that depend on the sample id alone",
    family="noise",
    architecture="random numbers",
    modality="baseline",
    embedding="baseline",
    representation="ids",
    width=WIDTH,
    parameters=0,
    license="Apache-2.0",
    weights="none",
    seconds_per_1k=0.05,
    checkpoint="0",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Draw each row from a generator seeded by `checkpoint` and the id.

    So a sample has the same row in every subset and order.
    """
    seed = int(checkpoint)

    def rows(ids: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([_row(sample, seed) for sample in ids])

    return RowFunction(rows, layers=("numbers",))


def _row(sample: str, seed: int) -> NDArray[np.float32]:
    key = int.from_bytes(hashlib.sha256(sample.encode()).digest()[:8], "little")
    return np.random.default_rng([seed, key]).standard_normal(WIDTH, dtype=np.float32)
