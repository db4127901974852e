"""Exact full ranks of listed neighbours: n = 10,000, d = 256, k = 500, one source and seven."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, dense_squares, embedding, gram_floor, neighbor_lists, some_rows

from consilience.terms import Graph

N, D, K = 10_000, 256, 500
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def group(n, sources, k):
    return f"rank_counts n={n} d={D} k={k} sources={sources}"


def inputs(n, sources):
    k = min(K, n // 4)
    lists = [neighbor_lists(n, k, seed) for seed in range(sources)]
    return embedding(n, D), lists, k


def check(X, lists, sums, rtol):
    """Sums of ranks of all k neighbours, (n_sources, n), against float64 differences."""
    rows = some_rows(len(X))
    squares = dense_squares(X, rows)
    for source, found in zip(lists, sums, strict=True):
        listed = np.take_along_axis(squares, source[rows], axis=1)
        below = (squares[:, None, :] < listed[:, :, None]).sum(axis=2)
        ties = (squares[:, None, :] == listed[:, :, None]).sum(axis=2) - 1
        expected = (1 + below + 0.5 * ties).sum(axis=1)
        assert_allclose(found[rows], expected, rtol=rtol)


@pytest.mark.parametrize("sources", [1, 7])
def test_ours(sources, n_threads, timed, native, sized):
    n = sized(N)
    X, lists, k = inputs(n, sources)
    graphs = [Graph(source, np.zeros(source.shape)) for source in lists]
    run = native(n_threads)
    terms = timed(
        "ours",
        group(n, sources, k),
        lambda: run.rank_counts(X, graphs, [k]),
        n_threads=n_threads,
        rounds=3,
    )
    check(X, lists, terms.sums[:, :, 0], 1e-15)


@pytest.mark.parametrize("sources", [1, 7])
def test_floor_dgemm(sources, n_threads, timed, sized):
    n = sized(N)
    X, _, k = inputs(n, 1)
    product = timed(
        "floor",
        group(n, sources, k),
        gram_floor(X, dtype=np.float64),
        n_threads=n_threads,
        rounds=3,
    )
    assert_allclose(product[0], X.astype(np.float64) @ X[0].astype(np.float64), rtol=1e-9)


@pytest.mark.parametrize("sources", [1, 7])
def test_numpy_float32_rank_count(sources, n_threads, timed, sized):
    """A block of float32 distances, sorted, and searched for the listed ones."""
    n = sized(N)
    X, lists, k = inputs(n, sources)

    def count():
        norms = np.einsum("ij,ij->i", X, X)
        sums = np.empty((sources, n))
        for start in range(0, n, 500):
            rows = np.arange(start, min(n, start + 500))
            squares = norms[rows, None] + norms - 2 * (X[rows] @ X.T)
            squares[np.arange(len(rows)), rows] = np.inf
            ordered = np.sort(squares, axis=1)
            for s, source in enumerate(lists):
                listed = np.take_along_axis(squares, source[rows], axis=1)
                for r, i in enumerate(rows):
                    sums[s, i] = np.searchsorted(ordered[r], listed[r]).sum() + k
        return sums

    sums = timed("rival", group(n, sources, k), count, n_threads=n_threads, rounds=3)
    check(X, lists, sums, 1e-4)
