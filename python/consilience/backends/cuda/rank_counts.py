"""Sums of ranks over neighbour lists, and of all ranks: csrc/cuda/rank_counts.cuh.

Up to 2,048 samples every row's exact keys are sorted. Above, tiles of squares tell who is nearer
than a listed sample wherever their error allows, and differences where it does not: of few entries
by a search among them, of many from the row in classes of distance. For sums of all ranks, samples
of one class share their mean rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.backends.cuda._device import (
    THREADS,
    WARPS,
    Buffer,
    Device,
    blocks,
    require_memory,
)
from consilience.backends.cuda._residents import Residents
from consilience.backends.cuda._squares import MOST_ROWS, centered_bytes, centered_rows
from consilience.terms import Floats, Graph, Indices, RankTerms

# As many as a block sorts in 48 KiB of shared memory; the same on the CPU.
EXACT_SAMPLES = 2048
# As many entries as a row's samples are searched among: by count, less work than classes.
QUERIES = 2048
SPLITTERS, CLASSES, CLASS_THREADS = 1024, 33 * 512, 512
CLASS_BYTES = 8 * (SPLITTERS + 2) + 4 * CLASSES + CLASSES // 8
# A tile this large keeps cuBLAS busy.
TILE_BYTES = 1 << 30
QUERIES_PER_BLOCK = 8
KEYS_PER_WARP = 4


def rank_counts(
    device: Device,
    residents: Residents,
    X: Any,
    sources: Sequence[Graph],
    ks: Sequence[int],
    *,
    rows: Indices | None,
    sample: Indices | None,
    max_memory: int,
    exact_samples: int = EXACT_SAMPLES,
    searched: int = QUERIES,
) -> RankTerms:
    """Return sums of ranks in X over the first k neighbours; see consilience.backends.base.

    exact_samples : up to so many samples, rows are sorted
    searched : above, rows of up to so many entries, at most 2,048, are searched; others classed
    """
    n = len(X)
    n_rows = n if rows is None else len(rows)
    if list(ks) != sorted(ks) or ks[0] < 1 or any(graph.k < ks[-1] for graph in sources):
        raise ValueError(f"`ks` must ascend from 1 to the k of the sources, got {list(ks)}")
    if any(len(graph.indices) != n_rows for graph in sources):
        raise ValueError(f"`sources` must have {n_rows} lists each")
    fixed, per_row = needed_bytes(X, sources, ks, sample, exact_samples, searched)
    require_memory("rank_counts", fixed + per_row, max_memory)
    room = min(max_memory - fixed, TILE_BYTES)
    height = min(n_rows, max(1, room // per_row), MOST_ROWS)

    lists = _Lists(device, residents, sources, ks, n, height)
    tasks = _Tasks(lists.count * lists.k > searched, sample is not None)
    ranks = _way(n, exact_samples)(device, X, rows, height, tasks)
    whole = None if sample is None else _WholeRanks(device, n, sample)
    sums = np.empty((len(sources), n_rows, len(ks)))
    for first in range(0, n_rows, height):
        stop = min(n_rows, first + height)
        ranks.write(first, stop - first, lists)
        sums[:, first:stop] = lists.sums(stop - first)
        if whole is not None:
            whole.add(ranks.matrix, first, stop - first)
    if whole is None:
        return RankTerms(sums, np.empty(0), np.empty(0), np.empty((0, 0)))
    return RankTerms(sums, *whole.terms())


def needed_bytes(
    X: Any,
    sources: Sequence[Graph],
    ks: Sequence[int],
    sample: Indices | None,
    exact_samples: int = EXACT_SAMPLES,
    searched: int = QUERIES,
) -> tuple[int, int]:
    """Return the bytes of what is there for all rows, and of a stripe of one row."""
    way = _way(len(X), exact_samples)
    tasks = _Tasks(len(sources) * ks[-1] > searched, sample is not None)
    fixed = way.fixed_bytes(X) + sum(graph.indices.nbytes for graph in sources)
    fixed += 0 if sample is None else 16 * len(X) + 8 * (len(sample) ** 2 + len(sample))
    listed = len(sources) * (4 * ks[-1] + 8 * len(ks))
    return fixed, listed + way.row_bytes(X, tasks)


@dataclass(frozen=True)
class _Tasks:
    """What is asked of tiles: ranks of more entries than are searched, and of all samples."""

    many: bool
    whole: bool


def _way(n: int, exact_samples: int) -> type[_SortedRows] | type[_Tiles]:
    return _SortedRows if n <= exact_samples else _Tiles


class _Lists:
    """The lists on the device, and the doubled ranks of a stripe's entries."""

    def __init__(
        self,
        device: Device,
        residents: Residents,
        sources: Sequence[Graph],
        ks: Sequence[int],
        n: int,
        height: int,
    ) -> None:
        self._device = device
        self._held = [_resident_lists(device, residents, graph, n) for graph in sources]
        told = [(own.pointer, own.shape[1]) for own in self._held]
        self.told = device.from_host(np.array(told, np.int64))
        self.count, self.k = len(sources), ks[-1]
        self.entries = device.empty((height, self.count, self.k), np.int32)
        self._ks = device.from_host(np.array(ks, np.int64))
        self._sums = device.empty((self.count, height, len(ks)), np.float64)

    def sums(self, height: int) -> Floats:
        """Return the sums over the first entries of each list, (n_lists, height, n_ks)."""
        n_ks = len(self._ks)
        grid = blocks(self.count * height)
        sums = self._sums.reshaped(self.count, height, n_ks)
        shape = (self.count, self.k, height)
        self._device.launch("sum_listed", grid, THREADS, self.entries, *shape, self._ks, n_ks, sums)
        found: Floats = self._device.to_host(sums)
        return found


def _resident_lists(device: Device, residents: Residents, graph: Graph, n: int) -> Buffer:
    """Bring lists to the device, which keeps them for the next set."""

    def copy() -> Buffer:
        indices = np.ascontiguousarray(graph.indices, np.int64)
        if indices.min() < 0 or indices.max() >= n:
            raise ValueError(f"`sources` points outside of the {n} samples")
        return device.from_host(indices)

    return residents.get(graph.indices, "neighbors", copy, lambda held: held.nbytes)


class _SortedRows:
    """All ranks of a stripe, from sorted exact keys."""

    @staticmethod
    def fixed_bytes(X: Any) -> int:
        copied: int = X.nbytes if isinstance(X, np.ndarray) else 0
        return 8 * len(X) + copied

    @staticmethod
    def row_bytes(X: Any, tasks: _Tasks) -> int:
        return 12 * len(X)

    def __init__(
        self, device: Device, X: Any, rows: Indices | None, height: int, tasks: _Tasks
    ) -> None:
        self._device, self._X = device, device.view(X)
        n = len(X)
        samples = np.arange(n) if rows is None else np.ascontiguousarray(rows, np.int64)
        self._samples = device.from_host(samples)
        self._keys = device.empty((height, n), np.float64)
        self.matrix = device.empty((height, n), np.float32)

    def write(self, first: int, height: int, lists: _Lists) -> None:
        """Write the ranks of a stripe, and those of its entries."""
        launch = self._device.launch
        n, d = self._X.shape
        samples = self._samples.rows(first, first + height)
        grid = (blocks(n, WARPS * KEYS_PER_WARP), blocks(height, QUERIES_PER_BLOCK))
        launch(
            "exact_keys",
            grid,
            THREADS,
            self._X,
            n,
            d,
            self._X.is_double,
            0,
            samples,
            height,
            self._keys,
        )
        launch("rank_rows", height, THREADS, self._keys, n, self.matrix)
        told = (lists.told, lists.count, lists.k)
        launch("gather_ranks", height, THREADS, self.matrix, n, *told, first, lists.entries)


class _Tiles:
    """Ranks of a stripe's entries, and of all its samples by classes, from a tile of squares."""

    @staticmethod
    def fixed_bytes(X: Any) -> int:
        return centered_bytes(X) + 8 * len(X)

    @staticmethod
    def row_bytes(X: Any, tasks: _Tasks) -> int:
        each = 8 + (16 if tasks.many or tasks.whole else 0) + (4 if tasks.whole else 0)
        return each * len(X) + 8 * (int(X.shape[1]) + 2)

    def __init__(
        self, device: Device, X: Any, rows: Indices | None, height: int, tasks: _Tasks
    ) -> None:
        self._device, self._set, self._rows = device, centered_rows(device, X), rows
        n = len(X)
        self._samples = None if rows is None else device.from_host(np.asarray(rows, np.int64))
        self._products = device.empty((height, n), np.float64)
        self._many, self._classed = tasks.many, tasks.many or tasks.whole
        self.matrix = device.empty((height if tasks.whole else 0, n), np.float32)
        self._laid_out = device.empty((height if self._classed else 0, 2 * n), np.float64)

    def write(self, first: int, height: int, lists: _Lists) -> None:
        """Write the ranks of a stripe's entries, and all that there is room for."""
        n, d = self._set.shape
        own = self._set.rows.at(first * d)
        held = None
        if self._rows is not None:
            held, _ = self._set.some(self._device, self._rows[first : first + height])
            own = held.pointer
        self._set.multiply(self._device, own, height, self._products.pointer)
        row = (self._set.X, n, d, self._set.X.is_double, self._set.norms, self._samples, first)
        told = (lists.told, lists.count, lists.k)
        if not self._many:
            self._device.launch(
                "rank_listed",
                height,
                THREADS,
                self._products,
                *row,
                *told,
                lists.entries,
                shared=32 * QUERIES,
            )
        if self._classed:
            self._device.launch(
                "rank_classes",
                height,
                CLASS_THREADS,
                self._products,
                *row,
                *(told if self._many else (None, 0, 0)),
                self._laid_out,
                lists.entries,
                self.matrix if len(self.matrix) else None,
                shared=CLASS_BYTES,
            )


class _WholeRanks:
    """Sums over the whole matrix of ranks, and a block of it."""

    def __init__(self, device: Device, n: int, sample: Indices) -> None:
        self._device = device
        self._sample = device.from_host(np.ascontiguousarray(sample, np.int64))
        self._columns = device.zeros((n,), np.float64)
        self._squares = device.empty((n,), np.float64)
        self._block = device.empty((len(sample), len(sample)), np.float64)

    def add(self, ranks: Buffer, first: int, height: int) -> None:
        launch = self._device.launch
        n, n_sample = len(self._columns), len(self._sample)
        launch("sum_rank_columns", blocks(n), THREADS, ranks, height, n, self._columns)
        launch("sum_rank_squares", height, THREADS, ranks, n, first, self._squares)
        if n_sample > 0:
            sample = (self._sample, n_sample, self._block)
            launch("sample_ranks", n_sample, THREADS, ranks, height, n, first, *sample)

    def terms(self) -> tuple[Floats, Floats, Floats]:
        """Return column sums, squared row norms and the block."""
        made = (self._columns, self._squares, self._block)
        columns, squares, block = (self._device.to_host(own) for own in made)
        return columns, squares, block
