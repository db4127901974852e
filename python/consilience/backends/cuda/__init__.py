"""Ops on a GPU: the kernels of csrc/cuda, and cuBLAS for products in float64.

One orchestration for whatever loads the kernels (_native, _cupy, the tests' emulator): an op is a
module that launches them on a `Device`. What is O(nk) once per model stays on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from consilience.backends.base import Channel, PairTable, RowTable
from consilience.backends.cuda import (
    graph_terms,
    joint_nearest,
    knn_exact,
    mantel,
    pair_rows,
    pair_terms,
    rank_counts,
)
from consilience.backends.cuda import moments as cross_moments
from consilience.backends.cuda._device import Device
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
)

# Of the GPU's free memory: what an op may use where no budget is given, up to so many bytes, and
# what stays of lists and values between calls. Those of 59 models with 500 neighbours each for
# 50,000 samples are 12 GB, and ranks read all of them for every model.
SHARE_OF_FREE, MOST_MEMORY = 0.6, 20 << 30
SHARE_RESIDENT = 0.25


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

    @classmethod
    def for_arrays(
        cls,
        arrays: Sequence[Any],
        *,
        loader: str,
        n_threads: int | None = None,
        max_memory: int | None = None,
    ) -> Self:
        """Return the backend on the GPU of the arrays, by the loader "cuda" or "cupy"."""
        device: Device
        if loader == "cuda":
            from consilience.backends.cuda._native import NativeDevice

            device = NativeDevice.for_arrays(arrays)
        else:
            from consilience.backends.cuda._cupy import CupyDevice

            device = CupyDevice.for_arrays(arrays)
        host = NativeBackend.for_arrays([], n_threads=n_threads, max_memory=None)
        free = device.free_bytes()
        budget = max_memory or min(int(SHARE_OF_FREE * free), MOST_MEMORY)
        return cls(device, host, budget, _residents=Residents(int(SHARE_RESIDENT * free)))

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def n_threads(self) -> int:
        """Return how many threads work on the host."""
        return self.host.n_threads

    def with_threads(self, n_threads: int) -> Self:
        return replace(self, host=self.host.with_threads(n_threads))

    def knn_exact(self, X: Any, *, k: int, distance: str, rows: Indices | None = None) -> Graph:
        return knn_exact.knn_exact(
            self.device,
            self.device.view(X),
            k=k,
            distance=distance,
            rows=rows,
            max_memory=self.max_memory,
            screened_from=self.screened_from,
        )

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 8) -> Graph:
        # Tensor cores search a million rows exactly in the time that an approximation would take.
        return self.knn_exact(X, k=k, distance=distance)

    def moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats] | None = None,
    ) -> Iterator[Moments]:
        here = [X if isinstance(X, np.ndarray) else self.device.view(X) for X in sets]
        return cross_moments.moments(self.device, here, pairs, self.max_memory, shifts)

    def edge_values(
        self, X: Any, graph: Graph, *, centered: bool, products: Floats | None = None
    ) -> Floats:
        return graph_terms.edge_values(self.device, self._residents, X, graph, centered=centered)

    def graph_terms(self, x: Graph, y: Graph, e: Floats | None, f: Floats | None) -> GraphTerms:
        return graph_terms.graph_terms(self.device, self._residents, self.host, x, y, (e, f))

    def overlap_terms(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None
    ) -> tuple[Indices, Floats]:
        return graph_terms.overlap_terms(self.device, self._residents, x, y, (e, f))

    def lists_within(self, graph: Graph, group: Indices, k: int) -> Indices:
        return self.host.lists_within(graph, group, k)

    def members_within(self, graph: Graph, halves: Splits, k: int) -> Splits:
        return self.host.members_within(graph, halves, k)

    def overlap_within(
        self,
        x: Graph,
        y: Graph,
        members: tuple[Splits, Splits],
        e: Floats | None,
        f: Floats | None,
        n_splits: int,
    ) -> Floats:
        return graph_terms.overlap_within(
            self.device, self._residents, x, y, members, (e, f), n_splits
        )

    def nth_within(self, values: Floats, members: Splits, order: int, n_splits: int) -> Floats:
        return self.host.nth_within(values, members, order, n_splits)

    def list_terms(
        self, x: Graph, y: Graph, *, cycle: bool = False, lcs: bool = False, edit: bool = False
    ) -> ListTerms:
        return self.host.list_terms(x, y, cycle=cycle, lcs=lcs, edit=edit)

    def list_draws(self, x: Graph, y: Graph, permutations: Indices, **wanted: bool) -> ListDraws:
        return self.host.list_draws(x, y, permutations, **wanted)

    def mantel_terms(self, graph: Graph, e: Floats) -> MantelTerms:
        return self.host.mantel_terms(graph, e)

    def mantel_counts(self, graph: Graph, ks: Sequence[int]) -> list[MantelTerms]:
        return self.host.mantel_counts(graph, ks)

    def mantel_draws(
        self,
        graphs: Sequence[Graph],
        values: Sequence[Floats | None],
        pairs: Sequence[tuple[int, int]],
        permutations: Indices,
    ) -> Floats:
        return mantel.mantel_draws(
            self.device,
            self._residents,
            self.host,
            graphs,
            values,
            pairs,
            permutations,
            max_memory=self.max_memory,
        )

    def pair_distances(self, X: Any, i: Indices, j: Indices) -> Floats:
        return graph_terms.pair_distances(self.device, X, i, j)

    def pair_terms(
        self, channels: Sequence[Channel], *, rows: tuple[int, int] | None = None
    ) -> PairTable:
        return pair_terms.pair_terms(self.device, channels, self.max_memory, rows)

    def pair_rows(
        self, channels: Sequence[Channel], pairs: Sequence[tuple[int, int]], rows: Indices
    ) -> RowTable:
        return pair_rows.pair_rows(self.device, channels, pairs, rows, self.max_memory)

    def joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        *,
        rows: Indices | None = None,
    ) -> Floats:
        return joint_nearest.joint_nearest(self.device, sets, pairs, self.max_memory, rows=rows)

    def rank_counts(
        self,
        X: Any,
        sources: Sequence[Graph],
        ks: Sequence[int],
        *,
        rows: Indices | None = None,
        sample: Indices | None = None,
    ) -> RankTerms:
        return rank_counts.rank_counts(
            self.device,
            self._residents,
            X,
            sources,
            ks,
            rows=rows,
            sample=sample,
            max_memory=self.max_memory,
        )
