import numpy as np
import pytest
from numpy.testing import assert_allclose

from consilience import _core
from consilience.inference.permutation import mantel_moments
from consilience.terms import Graph
from engine import native


def weights(graph, values):
    W = np.zeros((graph.n_samples, graph.n_samples))
    np.put_along_axis(W, graph.indices, values, axis=1)
    return W


@pytest.fixture
def graphs(ops, sets):
    X, Y, _ = sets
    return ops.knn_exact(X, k=9, distance="l2"), ops.knn_exact(Y, k=4, distance="l2")


def test_sums_of_a_weighted_graph(ops, graphs, rng):
    for graph in graphs:
        e = rng.standard_normal(graph.indices.shape)
        A = weights(graph, e)
        rows, columns = A.sum(axis=1), A.sum(axis=0)
        found = ops.mantel_terms(graph, e)
        assert_allclose(found.sum, A.sum(), rtol=1e-12)
        assert_allclose(found.squares, (A * A).sum(), rtol=1e-12)
        assert_allclose(found.reciprocal, (A * A.T).sum(), rtol=1e-12, atol=1e-12)
        assert_allclose(found.row_squares, rows @ rows, rtol=1e-12)
        assert_allclose(found.col_squares, columns @ columns, rtol=1e-12)
        assert_allclose(found.row_col, rows @ columns, rtol=1e-12, atol=1e-12)


def test_an_unweighted_graph_counts_edges(ops, graphs):
    graph = graphs[0]
    found = ops.mantel_terms(graph, None)
    assert found.sum == found.squares == 97 * 9
    assert found.row_squares == 97 * 81
    assert (
        found.reciprocal
        == (weights(graph, np.ones((97, 9))) * weights(graph, np.ones((97, 9))).T).sum()
    )


def test_draws_are_sums_over_relabelled_graphs(ops, graphs, rng):
    x, y = graphs
    e, f = rng.standard_normal(x.indices.shape), rng.standard_normal(y.indices.shape)
    A, B = weights(x, e), weights(y, f)
    draws = np.array([rng.permutation(97) for _ in range(5)])
    expected = [(A * B[np.ix_(q, q)]).sum() for q in draws]
    assert_allclose(ops.mantel_draws(x, y, e, f, draws), expected, rtol=1e-10, atol=1e-12)
    plain = [((A != 0) * (B != 0)[np.ix_(q, q)]).sum() for q in draws]
    assert_allclose(ops.mantel_draws(x, y, None, None, draws), plain)


@pytest.mark.parametrize(("k_x", "k_y"), [(3, 32), (40, 33), (5, 120), (120, 64)])
def test_draws_of_longer_lists(ops, k_x, k_y, rng):
    """Lists of one block, of several, and of too many to compare whole."""
    n = 150
    x, y = (
        Graph(np.array([rng.choice(np.delete(np.arange(n), i), k, False) for i in range(n)]), None)
        for k in (k_x, k_y)
    )
    e, f = rng.standard_normal((n, k_x)), rng.standard_normal((n, k_y))
    A, B = weights(x, e), weights(y, f)
    draws = np.array([rng.permutation(n) for _ in range(3)])
    expected = [(A * B[np.ix_(q, q)]).sum() for q in draws]
    assert_allclose(ops.mantel_draws(x, y, e, f, draws), expected, rtol=1e-10, atol=1e-10)


def test_draws_of_more_samples_than_two_bytes_count(rng):
    n, k = (1 << 16) + 7, 3
    lists = (np.arange(n)[:, None] + rng.integers(1, n, (1, k))) % n
    x, y = Graph(lists, None), Graph(lists[:, ::-1].copy(), None)
    e, f = rng.standard_normal((2, n, k))
    identity, shift = np.arange(n), (np.arange(n) + 5) % n
    found = native().mantel_draws(x, y, e, f, np.stack([identity, shift]))
    reversed_f = f[:, ::-1]
    expected = [(e * reversed_f).sum(), (e * reversed_f[shift]).sum()]
    assert_allclose(found, expected, rtol=1e-10)


def test_the_closed_form_agrees_with_many_draws(sets, rng):
    ops = native()
    x, y = (ops.knn_exact(X, k=9, distance="l2") for X in sets[:2])
    e, f = rng.uniform(0.5, 2.0, (2, 97, 9))
    draws = np.array([rng.permutation(97) for _ in range(20_000)])
    found = ops.mantel_draws(x, y, e, f, draws)
    mean, variance = mantel_moments(ops.mantel_terms(x, e), ops.mantel_terms(y, f), 97)
    assert abs(found.mean() - mean) < 4.0 * np.sqrt(variance / len(draws))
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_the_kernel_rejects_bad_permutations(sets):
    graph = native().knn_exact(sets[0], k=2, distance="l2")
    for bad, message in ((np.zeros((2, 96), np.int64), "shape"), (np.full((1, 97), 97), "outside")):
        with pytest.raises(ValueError, match=message):
            _core.mantel_draws(graph.indices, graph.indices, None, None, bad, n_threads=1)
