"""Permutation null of shared edges: n = 10,000, k = 25; closed form and 100 draws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, embedding, gram_floor, neighbor_lists

from consilience.inference.permutation import mantel_moments
from consilience.terms import Graph

N, K, D, DRAWS = 10_000, 25, 256, 100
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def group(n):
    return f"mantel n={n} k={K} draws={DRAWS}"


def inputs(n):
    lists = [neighbor_lists(n, K, seed) for seed in (0, 1)]
    rng = np.random.default_rng(6)
    e, f = (rng.standard_normal(lists[0].shape) + 1.0 for _ in range(2))
    permutations = np.stack([rng.permutation(n) for _ in range(DRAWS)])
    return [Graph(x, np.zeros(x.shape)) for x in lists], e, f, permutations


def sparse(lists, values):
    from scipy.sparse import csr_array

    n, k = lists.shape
    return csr_array((values.ravel(), lists.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))


def draw(x, y, e, f, q):
    """Σ e_ij f_q(i)q(j) by sparse matrices."""
    place = np.empty_like(q)
    place[q] = np.arange(len(q))
    # Row i of the relabelled graph is row q(i), its ends renamed back.
    return sparse(x, e).multiply(sparse(place[y[q]], f[q])).sum()


def test_draws_ours(n_threads, timed, native, sized):
    n = sized(N)
    (x, y), e, f, permutations = inputs(n)
    run = native(n_threads)
    draws = timed(
        "ours",
        group(n),
        lambda: run.mantel_draws([x, y], [e, f], [(0, 1)], permutations)[0],
        n_threads=n_threads,
    )
    expected = [draw(x.indices, y.indices, e, f, q) for q in permutations[:3]]
    assert_allclose(draws[:3], expected, rtol=1e-10)


def test_draws_scipy_sparse(n_threads, timed, sized):
    n = sized(N)
    (x, y), e, f, permutations = inputs(n)
    draws = timed(
        "rival",
        group(n),
        lambda: [draw(x.indices, y.indices, e, f, q) for q in permutations],
        n_threads=n_threads,
        rounds=1,
        warmup=False,
    )
    assert len(draws) == DRAWS
    assert np.isfinite(draws).all()


def test_closed_form_ours(n_threads, timed, native, sized):
    """Mean and variance over all n! relabellings, in place of draws."""
    n = sized(N)
    (x, y), e, f, permutations = inputs(n)
    run = native(n_threads)
    mean, variance = timed(
        "ours",
        group(n),
        lambda: mantel_moments(run.mantel_terms(x, e), run.mantel_terms(y, f), n),
        n_threads=n_threads,
    )
    draws = run.mantel_draws([x, y], [e, f], [(0, 1)], permutations)[0]
    # 100 draws: five standard errors of their mean, and their spread within a half.
    assert abs(draws.mean() - mean) < 5 * np.sqrt(variance / DRAWS)
    assert 0.5 < draws.std() / np.sqrt(variance) < 1.5


def test_floor_sgemm(n_threads, timed, sized):
    """What finding the neighbours again for one draw would cost at least."""
    n = sized(N)
    product = timed("floor", group(n), gram_floor(embedding(n, D)), n_threads=n_threads)
    assert product.shape == (n, n)
