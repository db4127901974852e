"""Ops in the compiled extension, on NumPy arrays; matrix products come from SciPy's BLAS."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from consilience import _core
from consilience.backends._axes import pruning_axes
from consilience.backends._offsets import typical_offsets
from consilience.backends._recall import SAMPLED_ROWS, certified
from consilience.backends.base import Channel, PairTable, column_means, sampled_pairs
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
)

DEFAULT_MEMORY = 4 << 30
# Float64 pair tiles below this many samples: they cost little there and leave tests no excuse.
# Above, float32 tiles keep sums within 1e-7 (bench/precision.py) at half the time.
FLOAT64_SAMPLES = 2048
# A float32 exponent is off by about 1e-6 |x|² / (2 sigma²); beyond this, float64 tiles.
LARGEST_FLOAT32_EXPONENT = 100.0
# Axes cost about as much as the products of this many rows.
PRUNED_ROWS = 1024
# Below, exact search is as fast as an approximate one of useful recall (bench_knn_approx.py).
FEWEST_APPROXIMATED = 16_384
# Larger cells cost more than a row in more of them (bench/ladder/knn_approx.md).
CELL_ROWS = 640


@dataclass(frozen=True)
class NativeBackend:
    """C++ kernels.

    n_threads : workers of each op.
    max_memory : bytes an op may use beyond its arguments and its result.
    tile : rows and columns of a tile; 0 lets each op choose (bench/bench_knn_exact.py).
    """

    n_threads: int = 1
    max_memory: int = DEFAULT_MEMORY
    tile: int = 0
    name: str = "native"

    @classmethod
    def for_arrays(
        cls, arrays: Sequence[Any], *, n_threads: int | None, max_memory: int | None
    ) -> Self:
        """Return the backend if it can work on `arrays`."""
        from consilience.backends import UnsupportedArraysError

        for array in arrays:
            if not isinstance(array, np.ndarray):
                raise UnsupportedArraysError(
                    f"backend 'native' works on host memory, got {type(array).__module__}."
                    f"{type(array).__name__} on an accelerator; move it with .cpu() (torch), "
                    "cupy.asnumpy or jax.device_get, or use backend='auto'"
                )
        _install_blas()
        return cls(n_threads or cpu_count(), max_memory or DEFAULT_MEMORY)

    def knn_exact(
        self, X: Any, *, k: int, distance: str, rows: tuple[int, int] | None = None
    ) -> Graph:
        start, stop = rows or (0, len(X))
        axes = pruning_axes(X, k=k, distance=distance) if stop - start >= PRUNED_ROWS else None
        n_axes = 0 if axes is None else axes.shape[1]
        stripe = self._fitting(
            "knn_exact",
            stop - start,
            lambda n_rows: _core.knn_exact_bytes(len(X), X.shape[1], n_axes, n_rows, k),
        )
        with _one_blas_thread:
            parts = [
                _core.knn_exact(
                    X,
                    k=k,
                    distance=distance,
                    row_start=first,
                    row_stop=min(stop, first + stripe),
                    tile=self.tile or 480,
                    axes=axes,
                    n_threads=self.n_threads,
                )
                for first in range(start, stop, stripe)
            ]
        if len(parts) == 1:
            return Graph(*parts[0])
        return Graph(
            np.concatenate([indices for indices, _, _ in parts]),
            np.concatenate([distances for _, distances, _ in parts]),
            sum(judged for _, _, judged in parts),
        )

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 6) -> Graph:
        if effort < 1:
            raise ValueError(f"`effort` must be at least 1, got {effort}")
        cell = max(CELL_ROWS, 4 * k, effort)
        if len(X) < max(FEWEST_APPROXIMATED, 4 * cell):
            return self.knn_exact(X, k=k, distance=distance)
        options = {"k": k, "cell": cell, "fanout": effort, "n_threads": self.n_threads}
        search = _core.knn_approx_bytes(len(X), X.shape[1], **options)
        certificate = X.nbytes + _core.knn_exact_bytes(len(X), X.shape[1], 0, SAMPLED_ROWS, k)
        self._check_memory("knn_approx", max(search, certificate))
        with _one_blas_thread:
            graph = Graph(*_core.knn_approx(X, distance=distance, seed=seed, **options))

        def nearest(rows: Indices) -> Floats:
            others = np.setdiff1d(np.arange(len(X)), rows, assume_unique=True)
            front = np.ascontiguousarray(X[np.concatenate([rows, others])])
            return self.knn_exact(front, k=k, distance=distance, rows=(0, len(rows))).distances

        return certified(graph, nearest, seed)

    def moments(self, X: Any, Y: Any) -> Moments:
        shift_x = column_means(X)
        shift_y = shift_x if Y is X else column_means(Y)
        with _one_blas_thread:
            matrix = _core.moments(X, Y, shift_x=shift_x, shift_y=shift_y, n_threads=self.n_threads)
        return Moments(matrix, shift_x, shift_y)

    def pair_terms(self, channels: Sequence[Channel]) -> PairTable:
        sets = [channel.X for channel in channels]
        n_samples, n_channels = len(sets[0]), len(sets)
        double_tiles = n_samples <= FLOAT64_SAMPLES or any(map(_strains_float32, channels))
        # All channels' tiles of one worker should stay in its cache, or close to it.
        tile = self.tile or int(np.clip(2 ** round(9 - np.log2(n_channels + 1) / 2), 64, 256))
        self._check_memory(
            "pair_terms",
            _core.pair_terms_bytes(
                n_samples,
                sum(X.shape[1] for X in sets),
                n_channels,
                tile,
                double_tiles,
                self.n_threads,
            ),
        )
        with _one_blas_thread:
            offsets = np.stack([typical_offsets(channel) for channel in channels])
            rows, products = _core.pair_terms(
                sets,
                functions=[channel.function for channel in channels],
                gammas=[channel.gamma for channel in channels],
                offsets=list(offsets),
                tile=tile,
                double_tiles=double_tiles,
                n_threads=self.n_threads,
            )
        at_zero = np.array([channel.at_zero for channel in channels])
        return PairTable(rows, products, offsets, at_zero)

    def joint_nearest(self, sets: Sequence[Any], pairs: Sequence[tuple[int, int]]) -> Floats:
        n_features = sum(X.shape[1] for X in sets)
        tile = self.tile or 256

        def needed(n_pairs: int) -> int:
            return _core.joint_nearest_bytes(
                len(sets[0]), n_features, len(sets), n_pairs, tile, self.n_threads
            )

        batch = self._fitting("joint_nearest", len(pairs), needed)
        with _one_blas_thread:
            return np.concatenate(
                [
                    _core.joint_nearest(
                        sets,
                        pairs=pairs[first : first + batch],
                        tile=tile,
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
        sample: Sequence[int] | Indices = (),
    ) -> RankTerms:
        self._check_memory(
            "rank_counts", _core.rank_counts_bytes(len(X), X.shape[1], self.n_threads)
        )
        with _one_blas_thread:
            return RankTerms(
                *_core.rank_counts(
                    X,
                    sources=[graph.indices for graph in sources],
                    ks=ks,
                    sample=sample,
                    n_threads=self.n_threads,
                )
            )

    def edge_values(self, X: Any, graph: Graph, *, centered: bool) -> Floats:
        origin = column_means(X) if centered else np.zeros(X.shape[1])
        return _core.edge_values(X, graph.indices, origin, n_threads=self.n_threads)

    def graph_terms(self, x: Graph, y: Graph, e: Floats | None, f: Floats | None) -> GraphTerms:
        return GraphTerms(*_core.graph_terms(x.indices, y.indices, e, f, n_threads=self.n_threads))

    def overlap_terms(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None
    ) -> tuple[Indices, Floats]:
        return _core.overlap_terms(x.indices, y.indices, e, f, n_threads=self.n_threads)

    def lists_within(self, graph: Graph, group: Indices, k: int) -> Indices:
        return _core.lists_within(graph.indices, group, k=k, n_threads=self.n_threads)

    def list_terms(
        self, x: Graph, y: Graph, *, cycle: bool = False, lcs: bool = False, edit: bool = False
    ) -> ListTerms:
        return ListTerms(
            *_core.list_terms(
                x.indices, y.indices, cycle=cycle, lcs=lcs, edit=edit, n_threads=self.n_threads
            )
        )

    def list_draws(self, x: Graph, y: Graph, permutations: Indices, **wanted: bool) -> ListDraws:
        asked = {name: wanted.get(name, False) for name in ("jaccard", "cycle", "lcs", "edit")}
        return ListDraws(
            *_core.list_draws(x.indices, y.indices, permutations, **asked, n_threads=self.n_threads)
        )

    def mantel_terms(self, graph: Graph, e: Floats | None) -> MantelTerms:
        return MantelTerms(*_core.mantel_terms(graph.indices, e, n_threads=self.n_threads))

    def mantel_draws(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None, permutations: Indices
    ) -> Floats:
        return _core.mantel_draws(
            x.indices, y.indices, e, f, permutations, n_threads=self.n_threads
        )

    def pair_distances(self, X: Any, i: Indices, j: Indices) -> Floats:
        squares = np.empty(len(i))
        batch = max(1, (1 << 20) // X.shape[1])
        for first in range(0, len(i), batch):
            part = slice(first, first + batch)
            difference = X[i[part]].astype(np.float64) - X[j[part]]
            squares[part] = np.einsum("ij,ij->i", difference, difference)
        return np.sqrt(squares)

    def _fitting(self, op: str, count: int, needed: Callable[[int], int]) -> int:
        """Return how many of `count` fit into the memory at a time, by halving."""
        self._check_memory(op, needed(1))
        while count > 1 and needed(count) > self.max_memory:
            count = -(-count // 2)
        return count

    def _check_memory(self, op: str, needed: int) -> None:
        if needed > self.max_memory:
            raise MemoryError(
                f"{op} needs {needed / 2**20:.0f} MiB at least, and may use "
                f"{self.max_memory / 2**20:.0f} MiB; raise `max_memory` or compare fewer models "
                "at a time"
            )


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


class _OneBlasThread:
    """Keeps BLAS on one thread a call, as our workers each call it.

    Counted, because several Python threads may be inside at once: the first in sets the limit,
    the last out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._controller: Any = None
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._controller is None:
                    from threadpoolctl import ThreadpoolController

                    self._controller = ThreadpoolController()
                self._limiter = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limiter.restore_original_limits()


_one_blas_thread = _OneBlasThread()


def _strains_float32(channel: Channel) -> bool:
    """Return True if float32 tiles would lose more than they should on this channel.

    They do when many pairs are far nearer than the set is wide (each costs float64
    differences), or when the exponent of an RBF kernel is large.
    """
    X = channel.X
    i, j = sampled_pairs(len(X), 512)
    mean = column_means(X)
    norms = ((X[np.concatenate([i, j])].astype(np.float64) - mean) ** 2).sum(axis=1)
    norms = norms[: len(i)] + norms[len(i) :]
    squares = ((X[i].astype(np.float64) - X[j]) ** 2).sum(axis=1)
    near = float((squares < norms / 32).mean())
    wide = channel.function == "rbf" and (
        channel.gamma * float(norms.max()) > LARGEST_FLOAT32_EXPONENT
    )
    return near > 0.01 or wide
