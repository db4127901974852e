"""Ops in the compiled extension, on NumPy arrays; matrix products come from SciPy's BLAS."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from consilience import _core
from consilience._mapped import is_mapped, read_ahead, taken
from consilience._memory import DEFAULT_MEMORY, op_takes, passed
from consilience.backends._blas import one_blas_thread
from consilience.backends._bytes import (
    FLOAT64_SAMPLES,
    Bytes,
    fewest_approximated,
    least_joint_part,
    least_part,
    moments_bytes,
)
from consilience.backends._coarse import FEWEST_JUDGED, coarse_step
from consilience.backends._columns import (
    BLOCK_ENTRIES,
    LEAST_SAMPLES,
    joint_in_parts,
    knn_in_parts,
    most_fitting,
    pages,
    ranks_in_parts,
)
from consilience.backends._placement import UnsupportedArraysError
from consilience.backends._recall import certified, sampled_rows
from consilience.backends._screening import pruning_axes, rest_axes, words_tell
from consilience.backends.base import (
    Channel,
    PairTable,
    RowTable,
    reference_rows,
    sampled_pairs,
    shift_rows,
)
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

# A float32 exponent is off by about 1e-6 |x|² / (2 sigma²); beyond this, float64 tiles.
LARGEST_FLOAT32_EXPONENT = 100.0
# Bytes of mapped rows that are read while as many are worked on.
READ_AHEAD = 32 << 20
# Axes cost about as much as the products of this many rows.
PRUNED_ROWS = 1024
# Nor is it faster up to here where a 12th of the axes is enough to prune by.
FEWEST_PRUNED_APPROXIMATED = 65_536
FEW_AXES = 1 / 12
# Rows that tell whether numbers are whole, and what their squares sum up to at most: then keys in
# float32 are exact, and ranks are counted without a difference (csrc/cpu/rank_stream.cpp).
FEWEST_WHOLE = 4096
WHOLE_PROBES = 64
WHOLE_SQUARES = 1 << 20
# Samples among which ranks of some rows are counted in parts even where they fit, and features:
# differences are taken while both rows are in a cache (bench/ladder/rank_counts.md).
FEWEST_STREAMED = 65_536
FEWEST_FEATURES = 64


@dataclass(frozen=True)
class NativeBackend:
    """C++ kernels.

    n_threads : workers of each op.
    max_memory : bytes an op may use beyond its arguments and its result.
    tile : rows and columns of a tile; 0 lets each op choose (bench/bench_knn_exact.py).
    beside : bytes that whoever asks holds meanwhile; `max_memory` is less by them already.
    """

    n_threads: int = 1
    max_memory: int = DEFAULT_MEMORY
    tile: int = 0
    name: str = "native"
    beside: int = 0

    @classmethod
    def for_arrays(
        cls, arrays: Sequence[Any], *, n_threads: int | None, max_memory: int | None
    ) -> Self:
        """Return the backend if it can work on `arrays`."""
        for array in arrays:
            if not isinstance(array, np.ndarray):
                raise UnsupportedArraysError(
                    f"backend 'native' works on host memory, got {type(array).__module__}."
                    f"{type(array).__name__} on an accelerator; move it with .cpu() (torch), "
                    "cupy.asnumpy or jax.device_get, or use backend='auto'"
                )
        _install_blas()
        return cls(n_threads or cpu_count(), max_memory or DEFAULT_MEMORY)

    def with_threads(self, n_threads: int) -> Self:
        return replace(self, n_threads=n_threads)

    def _beside(self, size: int) -> Self:
        """Return the backend for work beside a copy of so many bytes."""
        op_takes(self.beside + size)
        return replace(self, max_memory=self.max_memory - size, beside=self.beside + size)

    def knn_exact(self, X: Any, *, k: int, distance: str, rows: Indices | None = None) -> Graph:
        try:
            return self._knn_exact(X, k=k, distance=distance, rows=rows, read=pages(X))
        except MemoryError:
            n_rows = None if rows is None else len(rows)

            def needed(n_samples: int) -> int:
                return self._bytes.part_of_knn(n_samples, X.shape[1], X.itemsize, k, n_rows)

            most = most_fitting(len(X), needed, self.max_memory, least_part(k))
            if most == len(X):  # and yet there was no memory
                raise
            if most == 0:  # pages of files may be read again, then
                sizes = {"itemsize": X.itemsize, "n_rows": n_rows, "k": k}
                least = self._bytes.least("knn_exact", len(X), [X.shape[1]], **sizes)
                self._check_memory("knn_exact", least)
                return self._knn_exact(X, k=k, distance=distance, rows=rows, read=0)
        op_takes(self.beside + needed(most))  # from the first copy on
        part = self._beside(X.itemsize * X.shape[1] * most)
        return knn_in_parts(
            X,
            lambda some, own: part._knn_exact(some, k=k, distance=distance, rows=own, read=0),
            k=k,
            rows=rows,
            most=most,
        )

    def _knn_exact(
        self, X: Any, *, k: int, distance: str, rows: Indices | None, read: int
    ) -> Graph:
        n_rows = len(X) if rows is None else len(rows)
        how: dict[str, Any] = {"k": k, "distance": distance, "rows": rows, "read": read}
        if n_rows < PRUNED_ROWS:
            return self._screened(None, X, words=False, **how)
        words = _use_words(X, k=k, distance=distance)
        axes = pruning_axes(X, k=k, distance=distance, words=words)
        return self._screened(axes, X, words=words, **how)

    def _screened(
        self,
        axes: Floats | None,
        X: Any,
        *,
        words: bool,
        k: int,
        distance: str,
        rows: Indices | None = None,
        read: int = 0,
    ) -> Graph:
        """Return what `knn_exact` does, by these axes if there are any, and by words.

        read : bytes of files that are to stay in memory meanwhile
        """
        n_rows = len(X) if rows is None else len(rows)
        n_axes = 0 if axes is None else axes.shape[1]
        rest = None if axes is None else rest_axes(axes)
        stripe = self._fitting(
            "knn_exact",
            n_rows,
            lambda count: _core.knn_exact_bytes(len(X), X.shape[1], n_axes, count, k),
            read=read,
        )

        def searched(some: Indices | None) -> tuple[Indices, Floats, int]:
            return _core.knn_exact(
                X,
                k=k,
                distance=distance,
                rows=some,
                tile=self.tile or 480,
                axes=axes,
                rest_axes=rest,
                words=words,
                n_threads=self.n_threads,
            )

        n_all = None if rows is None else len(X)
        # BLAS turns rows onto axes; products are the kernel's own.
        with nullcontext() if axes is None else one_blas_thread:
            if stripe == n_rows:
                return Graph(*searched(rows), rows=rows, n_all=n_all)
            wanted = np.arange(n_rows) if rows is None else rows
            stripes = range(0, n_rows, stripe)
            parts = [searched(wanted[first : first + stripe]) for first in stripes]
        indices, distances, judged = zip(*parts, strict=True)
        return Graph(
            np.concatenate(indices), np.concatenate(distances), sum(judged), rows=rows, n_all=n_all
        )

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 8) -> Graph:
        if effort < 1:
            raise ValueError(f"`effort` must be at least 1, got {effort}")
        if len(X) < fewest_approximated(k, effort):
            return self.knn_exact(X, k=k, distance=distance)
        if len(X) < FEWEST_PRUNED_APPROXIMATED:
            words = _use_words(X, k=k, distance=distance)
            axes = pruning_axes(X, k=k, distance=distance, words=words)
            if axes is not None and axes.shape[1] <= FEW_AXES * X.shape[1]:
                return self._screened(axes, X, words=words, k=k, distance=distance)
        rows = sampled_rows(len(X), seed)
        judged = max(k, FEWEST_JUDGED)
        options = self._bytes.approximation(k, effort)
        needed = self._bytes.knn_approx(len(X), X.shape[1], len(rows), k, effort)
        self._check_memory("knn_approx", needed)
        true = self.knn_exact(X, k=judged, distance=distance, rows=rows).distances
        step = coarse_step(taken(X, rows), true, k, distance) if _core.fast_bytes() else 0.0
        with one_blas_thread:
            found = _core.knn_approx(X, distance=distance, seed=seed, step=step, **options)
        return certified(Graph(*found), rows, true[:, :k])

    def moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats] | None = None,
    ) -> Iterator[Moments]:
        widths = [X.shape[1] for X in sets]
        size = self._fitting(
            "moments", len(pairs), lambda count: moments_bytes(len(sets[0]), widths, pairs, count)
        )
        shifts = [self._column_means(shift_rows(X)) for X in sets] if shifts is None else shifts
        if size == len(pairs):
            for (a, b), matrix in zip(pairs, self._moments(sets, pairs, shifts), strict=True):
                yield Moments(matrix, shifts[a], shifts[b])
            return
        for first in range(0, len(pairs), size):
            batch = pairs[first : first + size]
            used = sorted({m for pair in batch for m in pair})
            matrices = self._moments(
                [sets[m] for m in used],
                [(used.index(a), used.index(b)) for a, b in batch],
                [shifts[m] for m in used],
            )
            for (a, b), matrix in zip(batch, matrices, strict=True):
                yield Moments(matrix, shifts[a], shifts[b])

    def _moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats],
    ) -> Sequence[Floats]:
        """Return the matrices; of mapped rows in blocks, the next one being read meanwhile."""

        def of_rows(rows: slice) -> Sequence[Floats]:
            parts = [X[rows] for X in sets]
            return _core.moments(parts, pairs=pairs, shifts=shifts, n_threads=self.n_threads)

        if not any(map(is_mapped, sets)):
            return _core.moments(sets, pairs=pairs, shifts=shifts, n_threads=self.n_threads)
        row_bytes = sum(X.shape[1] * X.itemsize for X in sets)
        step = max(1024, READ_AHEAD // row_bytes)
        total = [np.zeros((len(shifts[a]) + 2, len(shifts[b]) + 2)) for a, b in pairs]
        for first in range(0, len(sets[0]), step):
            read_ahead(*(X[first + step : first + 2 * step] for X in sets))
            for sums, more in zip(total, of_rows(slice(first, first + step)), strict=True):
                sums += more
            passed(step * row_bytes)
        return total

    def pair_terms(
        self, channels: Sequence[Channel], *, rows: tuple[int, int] | None = None
    ) -> PairTable:
        sets = [channel.X for channel in channels]
        n_samples, n_channels = len(sets[0]), len(sets)
        double_tiles = n_samples <= FLOAT64_SAMPLES or any(map(_strains_float32, channels))
        tile = self._bytes.pair_tile(n_channels, double_tiles=double_tiles)
        widths = list({id(X): X.shape[1] for X in sets}.values())
        needed = self._bytes.pair_terms(n_samples, widths, n_channels, double_tiles=double_tiles)
        self._check_memory("pair_terms", needed)
        with one_blas_thread if double_tiles else nullcontext():
            sums, products, offsets = _core.pair_terms(
                sets,
                functions=[channel.function for channel in channels],
                gammas=[channel.gamma for channel in channels],
                tile=tile,
                double_tiles=double_tiles,
                n_threads=self.n_threads,
                rows=rows,
            )
        at_zero = np.array([channel.at_zero for channel in channels])
        return PairTable(sums, products, offsets, at_zero)

    def pair_rows(
        self, channels: Sequence[Channel], pairs: Sequence[tuple[int, int]], rows: Indices
    ) -> RowTable:
        sets = [channel.X for channel in channels]
        widths = list({id(X): X.shape[1] for X in sets}.values())
        references = reference_rows(len(sets[0]))

        def swept(*, double_tiles: bool) -> RowTable:
            stripe = self._fitting(
                "pair_rows",
                len(rows),
                lambda count: self._bytes.pair_rows(
                    count, widths, len(channels), len(pairs), double_tiles=double_tiles
                ),
            )
            found = [
                _core.pair_rows(
                    sets,
                    functions=[channel.function for channel in channels],
                    gammas=[channel.gamma for channel in channels],
                    pairs=pairs,
                    rows=rows[first : first + stripe],
                    references=references,
                    double_tiles=double_tiles,
                    n_threads=self.n_threads,
                )
                for first in range(0, len(rows), stripe)
            ]
            at_zero = np.array([channel.at_zero for channel in channels])
            places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            return RowTable.joined(
                [RowTable(len(sets[0]), *sums, places, at_zero) for sums in found]
            )

        if not (len(sets[0]) <= FLOAT64_SAMPLES or any(map(_strains_float32, channels))):
            try:
                return swept(double_tiles=False)
            except OverflowError:  # a few rows are farther out than any sample of them shows
                pass
        with one_blas_thread:
            return swept(double_tiles=True)

    def joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        *,
        rows: Indices | None = None,
    ) -> Floats:
        try:
            return self._joint_nearest(sets, pairs, rows, read=pages(*sets))
        except MemoryError:
            least = least_joint_part(len(sets))
            n_rows = None if rows is None else len(rows)
            widths = [X.shape[1] for X in sets]
            copied = sum(X.itemsize * X.shape[1] for X in sets)
            for count in _halves(len(pairs)):  # of pairs at a time: each packs all sets anew

                def needed(n_samples: int, count: int = count) -> int:
                    return self._bytes.part_of_joint(n_samples, widths, copied, count, n_rows)

                most = most_fitting(len(sets[0]), needed, self.max_memory, least)
                if most >= len(sets[0]) // 4:
                    break
            if most == len(sets[0]):
                raise
            if most == 0:
                enough = self._bytes.least_joint(len(sets[0]), widths, copied, n_rows)
                self._check_memory("joint_nearest", enough)
                return self._joint_nearest(sets, pairs, rows, read=0)
        op_takes(self.beside + needed(most))
        part = self._beside(most * copied)
        return joint_in_parts(
            sets,
            lambda some, own: part._joint_nearest(some, pairs, own, read=0),
            n_pairs=len(pairs),
            rows=rows,
            most=most,
        )

    def _joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        rows: Indices | None,
        *,
        read: int,
    ) -> Floats:
        widths = [X.shape[1] for X in sets]
        n_rows = len(sets[0]) if rows is None else len(rows)

        batch = self._fitting(
            "joint_nearest",
            len(pairs),
            lambda count: self._bytes.joint_nearest(len(sets[0]), n_rows, widths, count),
            read=read,
        )
        # Rows of two sets are further apart than those of one.
        words = all(_use_words(X, k=2, distance="l2") for X in sets)
        return np.concatenate(
            [
                _core.joint_nearest(
                    sets,
                    pairs=pairs[first : first + batch],
                    rows=rows,
                    tile=self.tile or 480,
                    words=words,
                    n_threads=self.n_threads,
                )
                for first in range(0, len(pairs), batch)
            ]
        )

    def rank_counts(
        self,
        X: Any,
        sources: Sequence[Graph],
        ks: Sequence[int],
        *,
        rows: Indices | None = None,
        sample: Indices | None = None,
    ) -> RankTerms:
        needed = _core.rank_counts_bytes(len(X), X.shape[1], self.n_threads)
        many = rows is not None and len(X) >= FEWEST_STREAMED and X.shape[1] >= FEWEST_FEATURES
        fits = needed + pages(X) <= self.max_memory
        if sample is None and (many or not fits or _are_whole(X)):
            return self._ranks_in_parts(X, sources, ks, rows)
        # Their null wants the whole matrix of ranks, row by row.
        others = "give `rows`, a sample of them, whose ranks are counted in parts"
        self._check_memory("rank_counts", needed, others if sample is not None else "")
        with one_blas_thread:
            return RankTerms(
                *_core.rank_counts(
                    X,
                    sources=[graph.indices for graph in sources],
                    ks=ks,
                    rows=rows,
                    sample=sample,
                    n_threads=self.n_threads,
                )
            )

    def _ranks_in_parts(
        self, X: Any, sources: Sequence[Graph], ks: Sequence[int], rows: Indices | None
    ) -> RankTerms:
        listed, width = len(sources) * max(ks), (X.shape[1], X.itemsize)
        n_rows = len(X) if rows is None else len(rows)
        block = max(1, BLOCK_ENTRIES // X.shape[1]) if is_mapped(X) else len(X)
        block = min(block, len(X))
        while (
            block > LEAST_SAMPLES
            and self._bytes.part_of_ranks(block, *width, listed, 0) > self.max_memory // 2
        ):
            block = max(LEAST_SAMPLES, -(-block // 2))
        stripe = self._fitting(
            "rank_counts",
            n_rows,
            lambda count: self._bytes.part_of_ranks(block, *width, listed, count),
        )
        origin = self._column_means(shift_rows(X))
        return ranks_in_parts(
            X,
            sources,
            ks,
            rows=rows,
            squares=lambda Y, X, i, j: _core.squares_between(
                Y, X, i=i, j=j, n_threads=self.n_threads
            ),
            nearer=lambda X, Y, selves, squares: _core.count_nearer(
                X, rows=Y, selves=selves, squares=squares, origin=origin, n_threads=self.n_threads
            ),
            stripe=stripe,
            block=block,
        )

    def edge_values(
        self, X: Any, graph: Graph, *, centered: bool, products: Floats | None = None
    ) -> Floats:
        origin = self._column_means(X) if centered else np.zeros(X.shape[1])
        return _core.edge_values(
            X,
            graph.indices,
            origin,
            products=products,
            rows=graph.rows,
            n_threads=self.n_threads,
        )

    def graph_terms(self, x: Graph, y: Graph, e: Floats | None, f: Floats | None) -> GraphTerms:
        require_whole(x, y)
        return GraphTerms(*_core.graph_terms(x.indices, y.indices, e, f, n_threads=self.n_threads))

    def overlap_terms(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None
    ) -> tuple[Indices, Floats]:
        return _core.overlap_terms(
            x.indices, y.indices, e, f, n_samples=x.n_samples, n_threads=self.n_threads
        )

    def lists_within(self, graph: Graph, group: Indices, k: int) -> Indices:
        return _core.lists_within(
            graph.indices, group, k=k, rows=graph.rows, n_threads=self.n_threads
        )

    def members_within(self, graph: Graph, halves: Splits, k: int) -> Splits:
        return _core.members_within(
            graph.indices, halves, k=k, rows=graph.rows, n_threads=self.n_threads
        )

    def overlap_within(
        self,
        x: Graph,
        y: Graph,
        members: tuple[Splits, Splits],
        e: Floats | None,
        f: Floats | None,
        n_splits: int,
    ) -> Floats:
        return _core.overlap_within(
            x.indices,
            y.indices,
            *members,
            e,
            f,
            n_splits=n_splits,
            n_samples=x.n_samples,
            n_threads=self.n_threads,
        )

    def nth_within(self, values: Floats, members: Splits, order: int, n_splits: int) -> Floats:
        return _core.nth_within(
            values, members, order=order, n_splits=n_splits, n_threads=self.n_threads
        )

    def list_terms(
        self, x: Graph, y: Graph, *, cycle: bool = False, lcs: bool = False, edit: bool = False
    ) -> ListTerms:
        if cycle:
            require_whole(x, y)
        return ListTerms(
            *_core.list_terms(
                x.indices,
                y.indices,
                cycle=cycle,
                lcs=lcs,
                edit=edit,
                n_samples=x.n_samples,
                n_threads=self.n_threads,
            )
        )

    def list_draws(self, x: Graph, y: Graph, permutations: Indices, **wanted: bool) -> ListDraws:
        require_whole(x, y)
        asked = {name: wanted.get(name, False) for name in ("jaccard", "cycle", "lcs", "edit")}
        return ListDraws(
            *_core.list_draws(x.indices, y.indices, permutations, **asked, n_threads=self.n_threads)
        )

    def mantel_terms(self, graph: Graph, e: Floats) -> MantelTerms:
        require_whole(graph)
        return MantelTerms(*_core.mantel_terms(graph.indices, e, n_threads=self.n_threads))

    def mantel_counts(self, graph: Graph, ks: Sequence[int]) -> list[MantelTerms]:
        require_whole(graph)
        found = _core.mantel_counts(graph.indices, ks, n_threads=self.n_threads)
        return [MantelTerms(*terms) for terms in found]

    def mantel_draws(
        self,
        graphs: Sequence[Graph],
        values: Sequence[Floats | None],
        pairs: Sequence[tuple[int, int]],
        permutations: Indices,
    ) -> Floats:
        require_whole(*graphs)
        batch = self._fitting(
            "mantel_draws",
            len(pairs),
            lambda count: _core.mantel_draws_bytes(graphs[0].n_samples, min(count, len(graphs))),
        )
        parts = [
            _core.mantel_draws(
                [graph.indices for graph in graphs],
                values,
                pairs[first : first + batch],
                permutations,
                n_threads=self.n_threads,
            )
            for first in range(0, len(pairs), batch)
        ]
        return np.concatenate(parts)

    def pair_distances(self, X: Any, i: Indices, j: Indices) -> Floats:
        return _core.pair_distances(X, i, j, n_threads=self.n_threads)

    def _column_means(self, X: Any) -> Floats:
        return _core.column_means(X, n_threads=self.n_threads)

    @property
    def _bytes(self) -> Bytes:
        return Bytes(self.n_threads, self.tile)

    def least_memory(self, op: str, n_samples: int, widths: Sequence[int], **sizes: Any) -> int:
        """Return the bytes that an op takes at least; arguments as of `Bytes.least`."""
        return self._bytes.least(op, n_samples, widths, **sizes)

    def _fitting(self, op: str, count: int, needed: Callable[[int], int], *, read: int = 0) -> int:
        """Return how many of `count` fit into the memory at a time, by halving.

        read : bytes of files that are read in any order, and stay in memory
        """
        size = needed(count)
        if size + read > self.max_memory:
            self._check_memory(op, needed(1) + read)
        while count > 1 and size + read > self.max_memory:
            count = -(-count // 2)
            size = needed(count)
        op_takes(self.beside + size)
        return count

    def _check_memory(self, op: str, needed: int, others: str = "") -> None:
        if needed > self.max_memory:
            enough = -(-needed >> 20)  # rounded up, so that what is said will do
            others = others or "lower the number of models compared at a time or `n_threads`"
            raise MemoryError(
                f"{op} needs {enough} MiB at least, and may use "
                f"{self.max_memory / 2**20:.0f} MiB; "
                f"raise `max_memory` to {enough << 20} bytes, or {others}"
            )
        op_takes(self.beside + needed)


def _halves(count: int) -> Iterator[int]:
    """Yield the count, half of it and so on, down to 1."""
    while count > 1:
        yield count
        count = -(-count // 2)
    yield count


def _are_whole(X: Any) -> bool:
    """Whether many rows hold small whole numbers, as far as a few tell: ranks have ties then."""
    if len(X) < FEWEST_WHOLE:
        return False
    places = np.linspace(0, len(X) - 1, WHOLE_PROBES).astype(np.int64)
    rows = taken(X, places).astype(np.float64)
    return bool((rows == np.rint(rows)).all() and (rows**2).sum(axis=1).max() < WHOLE_SQUARES)


def cpu_count() -> int:
    """Return the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _install_blas() -> None:
    from scipy.linalg import cython_blas

    routines = cython_blas.__pyx_capi__
    _core.install_blas(routines["sgemm"], routines["dgemm"])


def _use_words(X: Any, *, k: int, distance: str) -> bool:
    """Whether products of words are faster here and tell rows apart."""
    return _core.fast_words() and words_tell(X, k=k, distance=distance)


def _strains_float32(channel: Channel) -> bool:
    """Return True if float32 tiles would lose more than they should on this channel.

    They do when many pairs are far nearer than the set is wide (each costs float64
    differences), or when the exponent of an RBF kernel is large.
    """
    X = channel.X
    i, j = sampled_pairs(len(X), 512)
    x, y = (taken(X, chosen).astype(np.float64) for chosen in (i, j))
    squares = ((x - y) ** 2).sum(axis=1)
    mean = 0.5 * (x.mean(axis=0) + y.mean(axis=0))
    norms = ((x - mean) ** 2).sum(axis=1) + ((y - mean) ** 2).sum(axis=1)
    near = float((squares < norms / 32).mean())
    wide = channel.function == "rbf" and (
        channel.gamma * float(norms.max()) > LARGEST_FLOAT32_EXPONENT
    )
    return near > 0.01 or wide
