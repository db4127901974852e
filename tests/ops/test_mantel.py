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


@pytest.mark.parametrize("ks", [[9], [1], [2, 5, 9], [1, 2, 3, 8]])
def test_counts_are_the_sums_of_graphs_without_values(ops, graphs, ks):
    found = ops.mantel_counts(graphs[0], ks)
    for k, counts in zip(ks, found, strict=True):
        assert counts == ops.mantel_terms(graphs[0].nearest(k), np.ones((97, k)))


@pytest.mark.parametrize("n_threads", [2, 5])
def test_counts_do_not_depend_on_threads(rng, n_threads):
    n = 2500
    graph = Graph((np.arange(n)[:, None] + rng.permutation(n - 1)[:40] + 1) % n, None)
    found = native(n_threads=n_threads).mantel_counts(graph, [3, 40])
    assert found == native().mantel_counts(graph, [3, 40])
    A = weights(graph, np.ones((n, 40)))
    assert found[1].reciprocal == (A * A.T).sum()


@pytest.mark.parametrize("ks", [[], [0, 1], [3, 2], [10]])
def test_counts_reject_bad_ks(graphs, ks):
    with pytest.raises(ValueError, match="ks"):
        native().mantel_counts(graphs[0], ks)


def test_draws_are_sums_over_relabelled_graphs(ops, graphs, rng):
    x, y = graphs
    e, f = rng.standard_normal(x.indices.shape), rng.standard_normal(y.indices.shape)
    A, B = weights(x, e), weights(y, f)
    draws = np.array([rng.permutation(97) for _ in range(5)])
    expected = [(A * B[np.ix_(q, q)]).sum() for q in draws]
    assert_allclose(
        ops.mantel_draws([x, y], [e, f], [(0, 1)], draws)[0], expected, rtol=1e-10, atol=1e-12
    )
    plain = [((A != 0) * (B != 0)[np.ix_(q, q)]).sum() for q in draws]
    assert_allclose(ops.mantel_draws([x, y], [None, None], [(0, 1)], draws)[0], plain)


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
    assert_allclose(
        ops.mantel_draws([x, y], [e, f], [(0, 1)], draws)[0], expected, rtol=1e-10, atol=1e-10
    )


def test_draws_of_more_samples_than_two_bytes_count(rng):
    n, k = (1 << 16) + 7, 3
    lists = (np.arange(n)[:, None] + rng.integers(1, n, (1, k))) % n
    x, y = Graph(lists, None), Graph(lists[:, ::-1].copy(), None)
    e, f = rng.standard_normal((2, n, k))
    identity, shift = np.arange(n), (np.arange(n) + 5) % n
    found = native().mantel_draws([x, y], [e, f], [(0, 1)], np.stack([identity, shift]))[0]
    reversed_f = f[:, ::-1]
    expected = [(e * reversed_f).sum(), (e * reversed_f[shift]).sum()]
    assert_allclose(found, expected, rtol=1e-10)


def test_draws_of_many_pairs_are_those_of_each(ops, rng):
    check_many_pairs(ops, rng, 40)


@pytest.mark.parametrize("n", [700, 1500])
def test_draws_of_many_pairs_where_lists_share_few(rng, n):
    check_many_pairs(native(), rng, n)


def check_many_pairs(ops, rng, n):
    """Of graphs with and without values, lists of several lengths, and a graph with itself."""
    ks = (3, 25, 32, 33, 12)
    graphs = [
        Graph(np.array([rng.choice(np.delete(np.arange(n), i), k, False) for i in range(n)]), None)
        for k in ks
    ]
    values = [rng.standard_normal((n, k)) if k != 25 else None for k in ks]
    pairs = [(0, 1), (1, 0), (2, 3), (3, 3), (1, 4), (4, 2)]
    draws = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(3))])
    found = ops.mantel_draws(graphs, values, pairs, draws)
    assert found.shape == (6, 4)
    dense = [
        weights(graph, np.ones(graph.indices.shape) if e is None else e)
        for graph, e in zip(graphs, values, strict=True)
    ]
    for (x, y), row in zip(pairs, found, strict=True):
        expected = [(dense[x] * dense[y][np.ix_(q, q)]).sum() for q in draws]
        assert_allclose(row, expected, rtol=1e-10, atol=1e-9)


def test_draws_do_not_depend_on_threads_or_memory(rng):
    n = 2000
    graphs = [Graph((np.arange(n)[:, None] + rng.integers(1, n, (1, 9))) % n, None) for _ in "abc"]
    values = list(rng.standard_normal((3, n, 9)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    # A graph with itself shares every edge under the first: more than is looked up at a time.
    draws = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(5))])
    pairs.append((2, 2))
    expected = native().mantel_draws(graphs, values, pairs, draws)
    assert_allclose(expected[3, 0], (values[2] ** 2).sum(), rtol=1e-12)
    for run in (native(n_threads=3), native(max_memory=n * 128 + 1)):
        assert (run.mantel_draws(graphs, values, pairs, draws) == expected).all()


def test_the_closed_form_agrees_with_many_draws(sets, rng):
    ops = native()
    x, y = (ops.knn_exact(X, k=9, distance="l2") for X in sets[:2])
    e, f = rng.uniform(0.5, 2.0, (2, 97, 9))
    draws = np.array([rng.permutation(97) for _ in range(20_000)])
    found = ops.mantel_draws([x, y], [e, f], [(0, 1)], draws)[0]
    mean, variance = mantel_moments(ops.mantel_terms(x, e), ops.mantel_terms(y, f), 97)
    assert abs(found.mean() - mean) < 4.0 * np.sqrt(variance / len(draws))
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_the_kernel_rejects_bad_permutations(sets):
    graph = native().knn_exact(sets[0], k=2, distance="l2")
    for bad, message in ((np.zeros((2, 96), np.int64), "shape"), (np.full((1, 97), 97), "outside")):
        with pytest.raises(ValueError, match=message):
            _core.mantel_draws([graph.indices], [None], [(0, 0)], bad, n_threads=1)
