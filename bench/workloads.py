"""Inputs and yardsticks of the benches. Imports NumPy and SciPy, not the package."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

Array = np.ndarray[Any, Any]
THREADS = (1, 2)


def cores() -> int:
    """Return how many this process may use: BLAS on more threads than cores waits for itself."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def embedding(n_samples: int, n_features: int, model: int = 0) -> Array:
    """Return float32 rows of one of several models that share 16 latent directions."""
    shared = np.random.default_rng(1).standard_normal((n_samples, 16))
    rng = np.random.default_rng([2, model])
    rows = shared @ rng.standard_normal((16, n_features))
    return (rows + rng.standard_normal((n_samples, n_features))).astype(np.float32)


def gram_floor(*sets: Array, dtype: Any = np.float32) -> Callable[[], Array]:
    """Return the matrix products X X' of all sets, and nothing else.

    SciPy's gemm on column-major input, so that no copy is timed. Not a lower bound for ops that
    make each tile of the symmetric matrix once: those can take half of it.
    """
    gemm = sgemm if dtype == np.float32 else dgemm
    transposed = [np.asfortranarray(X.T.astype(dtype)) for X in sets]

    def run() -> Array:
        for rows in transposed:
            last = gemm(1.0, rows, rows, trans_a=True)
        return last

    return run


def blocked_floor(*sets: Array) -> Callable[[], Array]:
    """Return the same products 2,000 rows at a time into memory that is used again."""
    transposed = [np.asfortranarray(X.T, dtype=np.float32) for X in sets]
    n = len(sets[0])
    out = np.empty((n, min(n, 2000)), np.float32, order="F")

    def run() -> Array:
        for rows in transposed:
            for start in range(0, n, 2000):
                block = rows[:, start : start + 2000]
                to = out[:, : block.shape[1]]
                last = sgemm(1.0, rows, block, trans_a=True, c=to, overwrite_c=True)
        return last

    return run


def moment_floor(X: Array, Y: Array) -> Callable[[], Array]:
    """Return the three products X'X, X'Y and Y'Y in float32."""
    x, y = (np.asfortranarray(Z, dtype=np.float32) for Z in (X, Y))

    def run() -> Array:
        for a, b in ((x, x), (y, y), (x, y)):
            last = sgemm(1.0, a, b, trans_a=True)
        return last

    return run


def some_rows(n_samples: int, count: int = 16) -> Array:
    """Return seeded rows to check against a dense definition."""
    rng = np.random.default_rng(3)
    return np.sort(rng.choice(n_samples, min(count, n_samples), replace=False))


def dense_squares(X: Array, rows: Array) -> Array:
    """Return squared distances of some rows to all, float64, from differences; self is inf."""
    wide = X.astype(np.float64)
    squares = np.stack([((wide - wide[i]) ** 2).sum(axis=1) for i in rows])
    squares[np.arange(len(rows)), rows] = np.inf
    return squares


def dense_neighbors(X: Array, rows: Array, k: int) -> tuple[Array, Array]:
    """Return the k nearest of some rows by (distance, index), and their distances."""
    squares = dense_squares(X, rows)
    order = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.take_along_axis(squares, order, axis=1))


def neighbor_lists(n_samples: int, k: int, seed: int) -> Array:
    """Return random lists of k distinct others per sample, int64."""
    rng = np.random.default_rng(seed)
    lists = np.empty((n_samples, k), np.int64)
    for i in range(n_samples):
        drawn = rng.choice(n_samples - 1, k, replace=False)
        lists[i] = drawn + (drawn >= i)
    return lists
