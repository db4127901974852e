"""Time against n at d = 256, from 5,000 to 200,000 samples where an op allows; two threads, or one.

Answers are checked on some rows, or against the definition where that is affordable.
"""

from __future__ import annotations

import definitions
import numpy as np
import pytest
from workloads import dense_neighbors, embedding, some_rows

import consilience as cs
from consilience.backends import Channel
from consilience.metrics._kernels import of_sums
from consilience.terms import Graph

D, K = 256, 25
SIZES = (5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
THREADED = 20_000
DEFINED = 10_000  # beyond, the definition takes longer than the op


def isotropic(n):
    return np.random.default_rng(5).standard_normal((n, D), dtype=np.float32)


def decaying(n):
    """Independent features of standard deviation f^-0.7, f = 1 ... d."""
    return isotropic(n) * np.arange(1, D + 1, dtype=np.float32) ** np.float32(-0.7)


def check_graph(graph, X, recall=1.0):
    rows = some_rows(len(X), 64)
    expected, _ = dense_neighbors(X, rows, K)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(graph.indices[rows], expected, strict=True)]
    assert np.mean(shared) >= recall * K


def knn(op, data, recall):
    def make(run, n):
        if not hasattr(run, op):
            pytest.skip(f"this build has no {op}")
        X = data(n)
        return lambda: getattr(run, op)(X, k=K, distance="l2"), lambda g: check_graph(g, X, recall)

    return make


def moments(run, n):
    """Linear CKA: the moments and a formula."""
    X, Y = embedding(n, D, 0), embedding(n, D, 1)

    def check(found):
        np.testing.assert_allclose(found, definitions.linear_family(X, Y)["cka"], rtol=1e-9)

    return lambda: cs.cka(X, Y, backend="native", n_threads=run.n_threads), check


def pair_terms(run, n):
    sets = [embedding(n, D, m) for m in range(2)]

    def check(table):
        kernels = of_sums(table.pair(0, 1))
        found = np.sqrt(kernels.xy / np.sqrt(kernels.xx * kernels.yy))
        assert 0.0 < found < 1.0
        if n <= DEFINED:
            np.testing.assert_allclose(found, definitions.distance_correlation(*sets), rtol=1e-7)

    return lambda: run.pair_terms([Channel(X) for X in sets]), check


def rank_counts(run, n):
    X, k = isotropic(n), 10
    rng = np.random.default_rng(0)
    lists = (np.arange(n)[:, None] + 1 + np.sort(rng.permutation(n - 1)[:k])) % n
    graph = Graph(lists, np.zeros(lists.shape))

    def check(terms):
        for i in some_rows(n, 4):
            found = np.linalg.norm(X.astype(np.float64) - X[i], axis=1)
            found[i] = np.inf
            ranks = [1 + (found < found[j]).sum() for j in lists[i]]
            np.testing.assert_allclose(terms.sums[0, i, 0], sum(ranks), rtol=1e-12)

    return lambda: run.rank_counts(X, [graph], [k]), check


# name -> (op, largest n, exponent that is expected)
OPS = {
    "knn_exact, isotropic": (knn("knn_exact", isotropic, 1.0), 100_000, 2.0),
    "knn_exact, decaying": (knn("knn_exact", decaying, 1.0), 200_000, 2.0),
    "knn_approx, decaying": (knn("knn_approx", decaying, 0.9), 200_000, 1.1),
    "pair_terms": (pair_terms, 50_000, 2.0),
    "rank_counts": (rank_counts, 50_000, 2.0),
    "moments": (moments, 200_000, 1.0),
}
CASES = [
    pytest.param(name, n, n_threads, id=f"{name}-{n}-{n_threads}")
    for name, (_, largest, _) in OPS.items()
    for n in SIZES
    for n_threads in ((2, 1) if n == THREADED else (2,))
    if n <= largest
]


@pytest.mark.parametrize(("name", "n", "n_threads"), CASES)
def test_ours(name, n, n_threads, timed, native, quick):
    make, _, expected = OPS[name]
    if quick and n > SIZES[0]:
        pytest.skip("the smallest size answers")
    call, check = make(native(n_threads), 1_000 if quick else n)
    answer = timed(
        "ours",
        f"scaling {name} n={n} d={D}",
        call,
        n_threads=n_threads,
        rounds=3 if n <= THREADED else 1,
        warmup=n <= THREADED,
        program=name,
        n=n,
        expected=expected,
    )
    check(answer)
