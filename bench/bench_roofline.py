"""What this machine can do, and what each kernel makes of it: one thread, n = 10,000, d = 256.

`flops` are those of the definition with every pair of samples evaluated once, so a kernel that
makes the whole symmetric product reaches half of the peak. `bytes` are what it must read and write.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg.blas import dgemm, sgemm
from workloads import embedding, neighbor_lists

import consilience as cs
from consilience.backends import Channel
from consilience.terms import Graph

N, D, K = 10_000, 256, 25
GROUP = "roofline"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peak_product(dtype, timed, quick):
    gemm = sgemm if dtype == "float32" else dgemm
    m = 256 if quick else 2048
    A = np.asfortranarray(np.random.default_rng(0).standard_normal((m, m)), dtype=dtype)
    out = np.zeros((m, m), dtype, order="F")
    timed(
        "peak",
        GROUP,
        lambda: gemm(1.0, A, A, c=out, overwrite_c=True),
        rounds=9,
        program="sgemm" if dtype == "float32" else "dgemm",
        flops=2 * m**3,
    )
    np.testing.assert_allclose(out[:2], A[:2] @ A, rtol=1e-2, atol=1e-2)


def test_peak_copy(timed, quick):
    """Far beyond the caches; bytes read and written."""
    source = np.ones((1 << 20) if quick else (1 << 27), np.uint8)
    target = np.empty_like(source)
    timed(
        "peak",
        GROUP,
        lambda: np.copyto(target, source),
        rounds=9,
        program="copy",
        bytes=2 * source.nbytes,
    )
    assert target[-1] == 1


def isotropic(n, d=D):
    return np.random.default_rng(5).standard_normal((n, d), dtype=np.float32)


def knn_exact(run, n):
    X = isotropic(n)
    return lambda: run.knn_exact(X, k=K, distance="l2").distances, n * n * D, 4 * n * D + 16 * n * K


def pair_terms(function):
    def make(run, n):
        sets = [embedding(n, D, m) for m in range(2)]
        channels = [Channel(X, function, 1.0 / (2 * D)) for X in sets]
        return lambda: run.pair_terms(channels).products, 2 * n * n * D, 8 * n * D

    return make


def rank_counts(run, n):
    X, lists = isotropic(n), neighbor_lists(n, K, 0)
    graph = Graph(lists, np.zeros(lists.shape))
    moved = 4 * n * D + 8 * n * K
    return lambda: run.rank_counts(X, [graph], [K]).sums, n * n * D, moved


def moments(run, n):
    """Linear CKA, all three moments: the squares of X and of Y are symmetric."""
    X, Y = embedding(10 * n, D, 0), embedding(10 * n, 2 * D, 1)
    flops, moved = 10 * n * (3 * D) ** 2, 40 * n * 3 * D
    return lambda: np.array([cs.cka(X, Y, backend="native", n_threads=1)]), flops, moved


def graph_terms(run, n):
    lists = [neighbor_lists(n, K, seed) for seed in range(2)]
    x, y = (Graph(found, np.zeros(found.shape)) for found in lists)
    values = np.random.default_rng(0).standard_normal((n, K))
    return lambda: run.graph_terms(x, y, values, values).products, 2 * n * K, 32 * n * K


KERNELS = {
    "knn_exact": knn_exact,
    "pair_terms distance": pair_terms("distance"),
    "pair_terms rbf": pair_terms("rbf"),
    "rank_counts": rank_counts,
    "moments, n = 100,000": moments,
    "graph_terms": graph_terms,
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_ours(kernel, timed, native, sized):
    call, flops, moved = KERNELS[kernel](native(1), sized(N))
    answer = timed("ours", GROUP, call, rounds=3, program=kernel, flops=flops, bytes=moved)
    assert np.isfinite(answer).all()
    assert np.abs(answer).max() > 0
