"""Exact full ranks, n = 10,000: of nearest neighbours both ways, and of many lists at once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, dense_squares, embedding, gram_floor, neighbor_lists, some_rows

import consilience as cs
from consilience.inference.blocks import block_samples
from consilience.terms import Graph

N, D, K = 10_000, 256, 500
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def pair(n):
    return embedding(n, 256, 0), embedding(n, 512, 1)


def pair_group(n):
    return f"information_imbalance n={n} d=256, 512 k=1, both ways"


def check_pair(n, scores):
    """Against ranks of some rows, from float64 differences: the scores are means over all."""
    X, Y = pair(n)
    rows = some_rows(n, 200)
    for found, (A, B) in zip(scores, ((X, Y), (Y, X)), strict=True):
        nearest = dense_squares(A, rows).argmin(axis=1)
        squares = dense_squares(B, rows)
        ranks = 1 + (squares < squares[np.arange(len(rows)), nearest][:, None]).sum(axis=1)
        assert abs(found - 2 / n * ranks.mean()) < 5 * 2 / n * ranks.std() / len(rows) ** 0.5


def test_imbalance_ours(n_threads, timed, sized):
    n = sized(N)
    X, Y = pair(n)
    scores = timed(
        "ours",
        pair_group(n),
        lambda: cs.information_imbalance(X, Y, n_threads=n_threads),
        n_threads=n_threads,
    )
    check_pair(n, scores)


def test_imbalance_floor_two_sgemms(n_threads, timed, sized):
    n = sized(N)
    X, Y = pair(n)
    product = timed("floor", pair_group(n), gram_floor(X, Y), n_threads=n_threads)
    assert_allclose(product[0], Y.astype(np.float64) @ Y[0], rtol=1e-4, atol=1e-2)


def test_imbalance_faiss_and_count(n_threads, timed, sized):
    """What an expert would put together: faiss finds, a block of distances counts; float32."""
    faiss = pytest.importorskip("faiss")
    n = sized(N)
    X, Y = pair(n)

    def nearest(A):
        index = faiss.IndexFlatL2(A.shape[1])
        index.add(A)
        return index.search(A, 2)[1][:, 1]

    def mean_rank(B, neighbors):
        norms = np.einsum("ij,ij->i", B, B)
        total = 0
        for start in range(0, n, 500):
            rows = np.arange(start, min(n, start + 500))
            keys = norms - 2 * (B[rows] @ B.T)
            keys[np.arange(len(rows)), rows] = np.inf
            total += (keys < keys[np.arange(len(rows)), neighbors[rows]][:, None]).sum()
        return 1 + total / n

    scores = timed(
        "rival",
        pair_group(n),
        lambda: (2 / n * mean_rank(Y, nearest(X)), 2 / n * mean_rank(X, nearest(Y))),
        n_threads=n_threads,
        rounds=3,
    )
    check_pair(n, scores)


def group(n, sources, k):
    return f"rank_counts n={n} d={D} k={k} sources={sources}"


def inputs(n, sources):
    """Lists as related models give them."""
    k = min(K, n // 4)
    models = [embedding(n, D, model) for model in range(sources + 1)]
    return models[0], [cs.neighbors(X, k=k)[0] for X in models[1:]], k


def strangers(n, sources):
    """Random lists: no two models agree, and every second sample of a row is asked for."""
    k = min(K, n // 4)
    return embedding(n, D), [neighbor_lists(n, k, seed) for seed in range(sources)], k


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
        lambda: run.rank_counts(X, graphs, [k], sample=block_samples(n)),
        n_threads=n_threads,
        rounds=3,
    )
    check(X, lists, terms.sums[:, :, 0], 1e-15)


@pytest.mark.parametrize("sources", [1, 7])
def test_ours_of_strangers(sources, n_threads, timed, native, sized):
    n = sized(N)
    X, lists, k = strangers(n, sources)
    graphs = [Graph(source, np.zeros(source.shape)) for source in lists]
    run = native(n_threads)
    terms = timed(
        "ours",
        f"{group(n, sources, k)} unrelated",
        lambda: run.rank_counts(X, graphs, [k], sample=block_samples(n)),
        n_threads=n_threads,
        rounds=3,
    )
    check(X, lists, terms.sums[:, :, 0], 1e-15)


@pytest.mark.parametrize("sources", [1, 7])
@pytest.mark.parametrize("unrelated", ["", " unrelated"])
def test_floor_sgemm(sources, unrelated, n_threads, timed, sized):
    n = sized(N)
    X, _, k = strangers(n, 1)
    product = timed(
        "floor",
        group(n, sources, k) + unrelated,
        gram_floor(X),
        n_threads=n_threads,
        rounds=3,
    )
    assert_allclose(product[0], X.astype(np.float64) @ X[0], rtol=1e-4, atol=1e-2)


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
