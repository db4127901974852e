"""Sums over pairs of some rows and all samples: n = 50,000, d = 256, m = 4,096 rows.

The floor is the product of rows and samples in float32, by blocks that BLAS likes; the rival what
an expert writes with it: squared distances by expansion, a block of columns at a time.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, dense_squares, embedding, some_rows

from consilience.backends import Channel
from consilience.backends.base import reference_rows, sampled_rows

N, D, ROWS = 50_000, 256, 4_096
BLOCK = 4_096
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def sizes(sized):
    n = sized(N)
    return n, min(ROWS, n // 4)


def group(n, m, kind):
    return f"pair_rows {kind} n={n} m={m} d={D}"


CHANNELS = {
    "distance": lambda X: [Channel(X)],
    "rbf": lambda X: [Channel(X, "rbf", 1e-3)],
}


def check(X, channel, rows, table):
    """Of a few rows, against float64."""
    some = some_rows(len(rows))
    squares = dense_squares(X, np.concatenate([rows[some], reference_rows(len(X))]))
    squares[~np.isfinite(squares)] = 0.0
    A = np.sqrt(squares) if channel.function == "distance" else np.exp(-channel.gamma * squares)
    own, of_references = A[: len(some)], A[len(some) :]
    references = reference_rows(len(X))
    of_references[np.arange(len(references)), references] = np.nan
    u = np.nanmean(of_references, axis=0)
    u -= 0.5 * u[reference_rows(len(X))].mean()
    a = own - u[rows[some]][:, None] - u
    a[np.arange(len(some)), rows[some]] = 0.0
    assert_allclose(table.products[0][some], (a * a).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("kind", CHANNELS)
def test_ours(kind, n_threads, timed, native, sized):
    n, m = sizes(sized)
    X, rows = embedding(n, D, 0), sampled_rows(n, m, 0)
    channels, run = CHANNELS[kind](X), native(n_threads)
    table = timed(
        "ours",
        group(n, m, kind),
        lambda: run.pair_rows(channels, [(0, 0)], rows),
        n_threads=n_threads,
        rounds=3,
    )
    check(X, channels[0], rows, table)


@pytest.mark.parametrize("kind", CHANNELS)
def test_floor_sgemm(kind, n_threads, timed, sized):
    n, m = sizes(sized)
    X = embedding(n, D, 0)
    rows = X[sampled_rows(n, m, 0)]

    def products():
        for first in range(0, n, BLOCK):
            last = rows @ X[first : first + BLOCK].T
        return last

    last = timed("floor", group(n, m, kind), products, n_threads=n_threads, rounds=3)
    assert last.shape[0] == m


@pytest.mark.parametrize("kind", CHANNELS)
def test_numpy_by_blocks(kind, n_threads, timed, sized):
    n, m = sizes(sized)
    X = embedding(n, D, 0)
    chosen = sampled_rows(n, m, 0)

    def sums():
        center = X.mean(axis=0, dtype=np.float64)
        rows = (X[chosen] - center).astype(np.float32)
        norms = np.einsum("ij,ij->i", rows, rows)
        totals, products = np.zeros((2, m))
        for first in range(0, n, BLOCK):
            columns = (X[first : first + BLOCK] - center).astype(np.float32)
            block = rows @ columns.T
            block *= -2
            block += norms[:, None]
            block += np.einsum("ij,ij->i", columns, columns)
            np.maximum(block, 0, out=block)
            if kind == "distance":
                np.sqrt(block, out=block)
            else:
                block *= -1e-3
                np.exp(block, out=block)
            totals += block.sum(axis=1, dtype=np.float64)
            products += np.einsum("ij,ij->i", block, block)
        return totals, products

    totals, _ = timed("rival", group(n, m, kind), sums, n_threads=n_threads, rounds=3)
    assert np.isfinite(totals).all()
