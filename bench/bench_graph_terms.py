"""What two graphs share, given their neighbour lists: n = 10,000, k = 25."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from workloads import THREADS, embedding, gram_floor, neighbor_lists

from consilience.terms import Graph

N, K, D = 10_000, 25, 256
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def group(n):
    return f"graph_terms n={n} k={K}"


def inputs(n):
    x, y = neighbor_lists(n, K, 0), neighbor_lists(n, K, 1)
    y[:, : K // 2] = x[:, : K // 2]
    for i in range(n):  # half shared, half new and not yet listed
        rest = [j for j in neighbor_lists_row(n, i) if j not in set(y[i, : K // 2])]
        y[i, K // 2 :] = rest[: K - K // 2]
    rng = np.random.default_rng(4)
    return x, y, rng.standard_normal(x.shape), rng.standard_normal(y.shape)


def neighbor_lists_row(n, i):
    drawn = np.random.default_rng([5, i]).choice(n - 1, 2 * K, replace=False)
    return drawn + (drawn >= i)


def dense_products(x, y, e, f, rows):
    return [
        sum(
            e[i, s] * f[i, list(y[i]).index(j)]
            for s, j in enumerate(x[i])
            if j in set(y[i].tolist())
        )
        for i in rows
    ]


def test_ours(n_threads, timed, native, sized):
    n = sized(N)
    x, y, e, f = inputs(n)
    graphs = [Graph(lists, np.zeros(lists.shape)) for lists in (x, y)]
    run = native(n_threads)
    terms = timed(
        "ours", group(n), lambda: run.graph_terms(*graphs, e, f), n_threads=n_threads, rounds=9
    )
    overlap = [len(set(a) & set(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert_array_equal(terms.overlap, overlap)
    assert_allclose(terms.products[:20], dense_products(x, y, e, f, range(20)), atol=1e-12)


def test_overlap_and_products_alone_ours(n_threads, timed, native, sized):
    n = sized(N)
    x, y, e, f = inputs(n)
    graphs = [Graph(lists, np.zeros(lists.shape)) for lists in (x, y)]
    run = native(n_threads)
    overlap, products = timed(
        "ours", group(n), lambda: run.overlap_terms(*graphs, e, f), n_threads=n_threads, rounds=9
    )
    assert_array_equal(overlap, [len(set(a) & set(b)) for a, b in zip(x, y, strict=True)])
    assert_allclose(products[:20], dense_products(x, y, e, f, range(20)), atol=1e-12)


@pytest.mark.parametrize("comparison", ["jaccard", "cycle", "lcs", "edit"])
def test_100_list_draws_ours(comparison, n_threads, timed, native, sized):
    """Ordered lists of independent models, one relabelled 100 times."""
    n = sized(N)
    x, y = (Graph(lists, np.zeros(lists.shape)) for lists in map(lists_of(n), (0, 1)))
    orders = np.stack([np.random.default_rng(seed).permutation(n) for seed in range(100)])
    run = native(n_threads)
    draws = timed(
        "ours",
        f"list_draws {comparison} n={n} k={K} draws=100",
        lambda: getattr(run.list_draws(x, y, orders, **{comparison: True}), comparison),
        n_threads=n_threads,
        rounds=3,
    )
    other = y.relabelled(orders[0])
    if comparison == "jaccard":
        shared = run.overlap_terms(x, other, None, None)[0]
        expected = (shared / (2 * K - shared)).sum()
    else:
        expected = getattr(run.list_terms(x, other, **{comparison: True}), comparison).sum()
    assert_allclose(draws[0], expected, rtol=1e-12)


def lists_of(n):
    return lambda seed: neighbor_lists(n, K, seed)


def test_scipy_sparse(n_threads, timed, sized):
    """The same sums by sparse matrices: intersection, products, row, column, reciprocal sums."""
    from scipy.sparse import csr_array

    n = sized(N)
    x, y, e, f = inputs(n)

    def composed():
        starts = np.arange(0, n * K + 1, K)
        ones = np.ones(n * K)
        A, B = (csr_array((ones, lists.ravel(), starts), shape=(n, n)) for lists in (x, y))
        E, F = (
            csr_array((values.ravel(), lists.ravel(), starts), shape=(n, n))
            for values, lists in ((e, x), (f, y))
        )
        shared = A.multiply(B)
        P, Q = E.multiply(shared), F.multiply(shared)
        sums = [Z.sum(axis=axis) for Z in (P, Q) for axis in (0, 1)]
        return shared.sum(axis=1), P.multiply(Q).sum(axis=1), P.multiply(Q.T).sum(axis=1), sums

    overlap, products, *_ = timed("rival", group(n), composed, n_threads=n_threads)
    assert_array_equal(overlap, [len(set(a) & set(b)) for a, b in zip(x, y, strict=True)])
    assert_allclose(products[:20], dense_products(x, y, e, f, range(20)), atol=1e-12)


def test_numpy_broadcast_overlap(n_threads, timed, sized):
    """The overlap alone, by comparing all k x k entries of two lists."""
    n = sized(N)
    x, y, *_ = inputs(n)
    overlap = timed(
        "rival",
        group(n),
        lambda: (x[:, :, None] == y[:, None, :]).sum(axis=(1, 2)),
        n_threads=n_threads,
    )
    assert_array_equal(overlap, [len(set(a) & set(b)) for a, b in zip(x, y, strict=True)])


def test_floor_sgemm(n_threads, timed, sized):
    """What finding the neighbours of one such model costs at least."""
    n = sized(N)
    product = timed("floor", group(n), gram_floor(embedding(n, D)), n_threads=n_threads)
    assert product.shape == (n, n)
