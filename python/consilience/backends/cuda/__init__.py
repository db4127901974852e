"""Ops on a GPU: the kernels of csrc/cuda, and cuBLAS for products in float64.

One orchestration for whatever loads the kernels (_native, _cupy, the tests' emulator): an op is a
module that launches them on a `Device`. What is O(nk) once per model stays on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from consilience.backends.base import Channel, PairTable
from consilience.backends.cuda import joint_nearest, knn_exact, pair_terms
from consilience.backends.cuda._device import Buffer, Device
from consilience.backends.cuda._residents import Residents
from consilience.backends.native import NativeBackend
from consilience.terms import (
    Floats,
    Graph,
    GraphTerms,
    Indices,
    ListDraws,
    ListTerms,
    MantelTerms,
    Moments,
    RankTerms,
    Splits,
    require_whole,
)


@dataclass(frozen=True)
class CudaBackend:
    """CUDA kernels.

    device : a loader of the kernels on one GPU
    host : for what is O(nk) once per model
    max_memory : bytes of the GPU that an op may use beyond its arguments and its result
    screened_from : samples below which neighbours are searched in float64 alone
    """

    device: Device
    host: NativeBackend
    max_memory: int
    screened_from: int = knn_exact.SCREENED_FROM
    _residents: Residents = field(default_factory=lambda: Residents(8 << 30), repr=False)

    @property
    def name(self) -> str:
        return self.device.name

    def pair_terms(self, channels: Sequence[Channel]) -> PairTable:
        return pair_terms.pair_terms(self.device, channels, self.max_memory)

    def joint_nearest(self, sets: Sequence[Any], pairs: Sequence[tuple[int, int]]) -> Floats:
        return joint_nearest.joint_nearest(self.device, sets, pairs, self.max_memory)
