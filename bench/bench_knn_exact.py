"""Exact neighbours of one set: n = 10,000, d = 256, k = 25 and 500; some rows of 40,000."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from workloads import THREADS, dense_neighbors, embedding, gram_floor, some_rows

N, D = 10_000, 256
KS = (25, 500)
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def group(n, k):
    return f"knn_exact n={n} d={D} k={k}"


def check(X, k, indices, distances, rtol):
    rows = some_rows(len(X))
    expected, expected_distances = dense_neighbors(X, rows, k)
    # Rivals work in float32: a list may differ where two distances are that close.
    shared = [len(set(a) & set(b)) for a, b in zip(indices[rows], expected, strict=True)]
    assert np.mean(shared) >= k * (1.0 if rtol < 1e-10 else 0.999)
    assert_allclose(distances[rows], expected_distances, rtol=rtol)
    if rtol < 1e-10:
        assert_array_equal(indices[rows], expected)


@pytest.mark.parametrize("k", KS)
def test_ours(k, n_threads, timed, native, sized):
    n = sized(N)
    X = embedding(n, D)
    run = native(n_threads)
    graph = timed(
        "ours",
        group(n, k),
        lambda: run.knn_exact(X, k=k, distance="l2"),
        n_threads=n_threads,
    )
    check(X, k, graph.indices, graph.distances, 1e-13)


@pytest.mark.parametrize("k", KS)
def test_floor_sgemm(k, n_threads, timed, sized):
    n = sized(N)
    X = embedding(n, D)
    product = timed("floor", group(n, k), gram_floor(X), n_threads=n_threads)
    assert_allclose(product[0], X.astype(np.float64) @ X[0], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("k", KS)
def test_faiss_index_flat_l2(k, n_threads, timed, sized):
    faiss = pytest.importorskip("faiss")
    n = sized(N)
    X = embedding(n, D)

    def search():
        index = faiss.IndexFlatL2(D)
        index.add(X)
        return index.search(X, k + 1)

    squares, indices = timed("rival", group(n, k), search, n_threads=n_threads, rounds=3)
    check(X, k, indices[:, 1:], np.sqrt(squares[:, 1:]), 1e-3)


@pytest.mark.parametrize("k", KS)
def test_torch_mm_topk(k, n_threads, timed, sized):
    torch = pytest.importorskip("torch")
    n = sized(N)
    X = embedding(n, D)
    T = torch.from_numpy(X)

    def search():
        norms = (T * T).sum(1)
        found, lists = [], []
        for block in range(0, n, 1000):
            rows = slice(block, block + 1000)
            squares = norms[rows, None] + norms - 2 * (T[rows] @ T.T)
            nearest = torch.topk(squares, k + 1, largest=False)
            found.append(nearest.values)
            lists.append(nearest.indices)
        return torch.cat(found), torch.cat(lists)

    squares, indices = timed("rival", group(n, k), search, n_threads=n_threads, rounds=3)
    check(X, k, indices[:, 1:].numpy(), np.sqrt(squares[:, 1:].numpy()), 1e-3)


LARGE = 40_000
SPECTRA = {"flat": 0.0, "decaying": 0.7}


def spectral(n, decay):
    """Independent features of standard deviation f^-decay, f = 1 ... d."""
    rng = np.random.default_rng(4)
    return (rng.standard_normal((n, D)) * np.arange(1, D + 1) ** -decay).astype(np.float32)


def blocked_floor(X, n_rows=None):
    """The product of all or the first n_rows of X with X', 2,000 rows at a time, nothing else."""
    from scipy.linalg.blas import sgemm

    transposed = np.asfortranarray(X.T)
    n_rows = n_rows or len(X)
    blocks = [np.asfortranarray(X[i : i + 2000][: n_rows - i].T) for i in range(0, n_rows, 2000)]
    out = np.empty((len(X), len(X[:2000])), np.float32, order="F")

    def run():
        for block in blocks:
            to = out[:, : block.shape[1]]
            last = sgemm(1.0, transposed, block, trans_a=True, c=to, overwrite_c=True)
        return last

    return run


def rows_group(n, spectrum):
    return f"knn_exact {n // 5} rows of n={n} d={D} k=25 spectrum={spectrum}"


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_ours_some_rows(spectrum, n_threads, timed, native, sized):
    n = sized(LARGE)
    X = spectral(n, SPECTRA[spectrum])
    rows = np.sort(np.random.default_rng(5).choice(n, n // 5, replace=False))
    run = native(n_threads)
    graph = timed(
        "ours",
        rows_group(n, spectrum),
        lambda: run.knn_exact(X, k=25, distance="l2", rows=rows),
        n_threads=n_threads,
        rounds=2,
        warmup=False,
    )
    looked_at = np.arange(0, len(rows), max(1, len(rows) // 50))
    expected, distances = dense_neighbors(X, rows[looked_at], 25)
    assert_array_equal(graph.indices[looked_at], expected)
    assert_allclose(graph.distances[looked_at], distances, rtol=1e-13)


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_floor_sgemm_some_rows(spectrum, n_threads, timed, sized):
    n = sized(LARGE)
    X = spectral(n, SPECTRA[spectrum])
    product = timed(
        "floor",
        rows_group(n, spectrum),
        blocked_floor(X, n // 5),
        n_threads=n_threads,
        rounds=2,
        warmup=False,
    )
    assert_allclose(product[:, -1], X.astype(np.float64) @ X[n // 5 - 1], rtol=1e-3, atol=1e-2)
