import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from engine import native


@pytest.fixture
def graphs(ops, sets):
    X, Y, _ = sets
    return ops.knn_exact(X, k=9, distance="l2"), ops.knn_exact(Y, k=9, distance="l2")


def weights(graph, values):
    W = np.zeros((graph.n_samples, graph.n_samples))
    np.put_along_axis(W, graph.indices, values, axis=1)
    return W


@pytest.mark.parametrize("centered", [True, False])
def test_edge_values_are_inner_products(ops, sets, centered):
    for X in sets:
        graph = ops.knn_exact(X, k=5, distance="l2")
        X = X.astype(np.float64)
        K = X @ (X - X.mean(axis=0) if centered else X).T
        expected = np.take_along_axis(K, graph.indices, axis=1)
        found = ops.edge_values(X, graph, centered=centered)
        assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("centered", [True, False])
def test_edge_values_from_the_products_of_a_search(ops, sets, centered, offset):
    """Far from the origin the difference would keep few digits, and is summed anew."""
    X = sets[0].astype(np.float64) + offset
    graph = ops.knn_exact(X, k=5, distance="ip")
    K = X @ (X - X.mean(axis=0) if centered else X).T
    expected = np.take_along_axis(K, graph.indices, axis=1)
    found = ops.edge_values(X, graph, centered=centered, products=-graph.distances)
    assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    summed = ops.edge_values(X, graph, centered=centered)
    assert_allclose(found, summed, rtol=1e-12, atol=1e-15 * np.abs(summed).max())


def test_sums_over_shared_edges(ops, graphs, rng):
    x, y = graphs
    e, f = rng.standard_normal((2, 97, 9))
    shared = reference.mask_of(x.indices) * reference.mask_of(y.indices)
    E, F = weights(x, e) * shared, weights(y, f) * shared
    found = ops.graph_terms(x, y, e, f)
    assert_array_equal(found.overlap, shared.sum(axis=1))
    assert_allclose(found.products, (E * F).sum(axis=1), atol=1e-12)
    assert_allclose(found.rows_e, E.sum(axis=1), atol=1e-12)
    assert_allclose(found.rows_f, F.sum(axis=1), atol=1e-12)
    assert_allclose(found.columns_e, E.sum(axis=0), atol=1e-12)
    assert_allclose(found.columns_f, F.sum(axis=0), atol=1e-12)
    assert_allclose(found.reciprocal, (E * F.T).sum(axis=1), atol=1e-12)


def test_without_values_edges_count_one(ops, graphs):
    x, y = graphs
    ones = np.ones((97, 9))
    plain, weighted = ops.graph_terms(x, y, None, None), ops.graph_terms(x, y, ones, ones)
    for field in dataclasses.fields(plain):
        assert_array_equal(getattr(plain, field.name), getattr(weighted, field.name))


def test_comparisons_of_ordered_lists(ops, graphs):
    x, y = graphs
    found = ops.list_terms(x, y, cycle=True, lcs=True, edit=True)
    rows = range(97)
    cycle = [float((x.indices[y.indices[i]] == i).any()) for i in rows]
    lcs = [reference.longest_common_subsequence(x.indices[i], y.indices[i]) for i in rows]
    edit = [reference.levenshtein(x.indices[i], y.indices[i]) for i in rows]
    assert_array_equal(found.cycle, cycle)
    assert_array_equal(found.lcs, lcs)
    assert_array_equal(found.edit, edit)


def test_only_what_was_asked_for_is_compared(ops, graphs):
    found = ops.list_terms(*graphs, lcs=True)
    assert len(found.cycle) == len(found.edit) == 0
    assert len(found.lcs) == 97


def test_relabelled_lists_are_those_of_the_relabelled_rows(ops, sets, rng):
    X, *_ = sets
    order = rng.permutation(97)
    X = np.delete(X, 80, axis=0)  # no duplicates: a tie by index would not carry over
    order = order[order != 96]
    graph = ops.knn_exact(X, k=6, distance="l2")
    expected = ops.knn_exact(np.ascontiguousarray(X[order]), k=6, distance="l2")
    assert_array_equal(graph.relabelled(order).indices, expected.indices)
    assert_array_equal(graph.relabelled(order).distances, expected.distances)


def test_saved_terms_come_back_bit_for_bit(graphs, tmp_path):
    x, _ = graphs
    x.save(tmp_path / "graph.npz")
    back = type(x).load(tmp_path / "graph.npz")
    assert_array_equal(back.indices, x.indices)
    assert_array_equal(back.distances, x.distances)
    assert back.judged == x.judged


@pytest.mark.parametrize(
    ("indices", "values", "message"),
    [
        (np.full((3, 1), 3), None, "points outside"),
        (np.full((3, 1), -1), None, "points outside"),
        (np.zeros((2, 1), np.int64), None, "shape"),
        (np.zeros((3, 1), np.int64), np.ones((3, 2)), "shape of its indices"),
    ],
)
def test_the_kernel_rejects_bad_lists(indices, values, message):
    native()
    fine = np.array([[1], [2], [0]])
    with pytest.raises(ValueError, match=message):
        _core.graph_terms(fine, indices, None, values, n_threads=1)


def test_the_kernel_converts_nothing():
    fine = np.array([[1], [2], [0]])
    with pytest.raises(TypeError):
        _core.graph_terms(fine, fine.astype(np.int32), None, None, n_threads=1)


def test_list_draws_compare_relabelled_lists(ops, sets, rng):
    x, y = ops.knn_exact(sets[0], k=7, distance="l2"), ops.knn_exact(sets[1], k=7, distance="l2")
    orders = np.array([rng.permutation(97) for _ in range(4)])
    draws = ops.list_draws(x, y, orders, jaccard=True, cycle=True, lcs=True, edit=True)
    for p, q in enumerate(orders):
        other = y.relabelled(q)
        alone = ops.list_terms(x, other, cycle=True, lcs=True, edit=True)
        shared = ops.graph_terms(x, other, None, None).overlap
        assert_allclose(draws.jaccard[p], (shared / (14 - shared)).sum(), rtol=1e-13)
        for name in ("cycle", "lcs", "edit"):
            assert getattr(draws, name)[p] == getattr(alone, name).sum()


def test_list_draws_not_asked_for_are_empty(ops, sets, rng):
    x = ops.knn_exact(sets[0], k=3, distance="l2")
    draws = ops.list_draws(x, x, np.arange(97)[None, :], lcs=True)
    assert_allclose(draws.lcs, [97 * 3])
    assert draws.jaccard.size == draws.cycle.size == draws.edit.size == 0


def test_overlap_and_products_alone(ops, sets, rng):
    x, y = ops.knn_exact(sets[0], k=9, distance="l2"), ops.knn_exact(sets[1], k=5, distance="l2")
    e, f = rng.standard_normal(x.indices.shape), rng.standard_normal(y.indices.shape)
    whole = ops.graph_terms(x, y, e, f)
    overlap, products = ops.overlap_terms(x, y, e, f)
    assert_array_equal(overlap, whole.overlap)
    assert_allclose(products, whole.products, rtol=1e-12, atol=1e-14)
    _, plain = ops.overlap_terms(x, y, None, None)
    assert_array_equal(plain, whole.overlap)


def test_lists_within_hold_the_first_of_the_own_group(ops, sets, rng):
    graph = ops.knn_exact(sets[0], k=9, distance="l2")
    group = rng.integers(0, 3, 97)
    places = ops.lists_within(graph, group, 4)
    for i, row in enumerate(places):
        own = [s for s, j in enumerate(graph.indices[i]) if group[j] == group[i]]
        assert row.tolist() == (own + [-1] * 4)[:4]


@pytest.mark.parametrize("rows", [None, np.array([0, 3, 40, 96])])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
def test_members_within_are_the_first_of_the_own_half(ops, sets, rng, rows, k):
    graph = ops.knn_exact(sets[0], k=9, distance="l2", rows=rows)
    halves = rng.integers(0, 1 << 32, 97, dtype=np.uint32)
    members = ops.members_within(graph, halves, k)
    samples = np.arange(97) if rows is None else rows
    for t in (0, 5, 31):
        half = halves >> t & 1
        for i, ends, row in zip(samples, graph.indices, members >> t & 1, strict=True):
            own = np.flatnonzero(half[ends] == half[i])[:k]
            assert np.flatnonzero(row).tolist() == own.tolist()


@pytest.mark.parametrize("n_splits", [1, 7, 32])
def test_overlap_within_is_the_overlap_of_the_members(ops, sets, rng, n_splits):
    x, y = ops.knn_exact(sets[0], k=9, distance="l2"), ops.knn_exact(sets[1], k=7, distance="l2")
    e, f = rng.standard_normal(x.indices.shape), rng.standard_normal(y.indices.shape)
    halves = rng.integers(0, 1 << 32, 97, dtype=np.uint32)
    members = tuple(ops.members_within(graph, halves, 4) for graph in (x, y))
    plain = ops.overlap_within(x, y, members, None, None, n_splits)
    products = ops.overlap_within(x, y, members, e, f, n_splits)
    assert plain.shape == products.shape == (n_splits, 97)
    for t in range(n_splits):
        a, b = (np.zeros((97, 97)) for _ in range(2))
        for matrix, graph, values, some in ((a, x, e, members[0]), (b, y, f, members[1])):
            np.put_along_axis(matrix, graph.indices, np.where(some >> t & 1, values, 0.0), axis=1)
        assert_allclose(products[t], (a * b).sum(axis=1), rtol=1e-12, atol=1e-14)
        assert_array_equal(plain[t], ((a != 0.0) & (b != 0.0)).sum(axis=1))


def test_a_value_that_is_no_member_adds_nothing(ops, sets):
    graph = ops.knn_exact(sets[0], k=3, distance="l2")
    values = np.full(graph.indices.shape, -np.inf)
    values[:, 1] = 2.0
    members = np.full(graph.indices.shape, 2, np.uint32)
    members[:, 1] = 3
    sums = ops.overlap_within(graph, graph, (members, members), values, None, 2)
    assert_array_equal(sums, [np.full(97, 2.0), np.full(97, -np.inf)])


@pytest.mark.parametrize("order", [1, 2, 5])
def test_nth_within_is_the_nth_member_or_the_last_of_the_list(ops, rng, order):
    values = np.sort(rng.standard_normal((300, 6)), axis=1)
    members = rng.integers(0, 1 << 9, (300, 6), dtype=np.uint32)
    nth = ops.nth_within(values, members, order, 9)
    for t in range(9):
        for row, some, found in zip(values, members >> t & 1, nth[t], strict=True):
            own = row[some == 1]
            assert found == (own[order - 1] if len(own) >= order else row[-1])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_splits_do_not_depend_on_threads(sets, rng, n_threads):
    graphs = [native().knn_exact(X, k=9, distance="l2") for X in sets[:2]]
    e, f = rng.standard_normal((2, 97, 9))
    halves = rng.integers(0, 1 << 32, 97, dtype=np.uint32)
    found = []
    for ops in (native(), native(n_threads=n_threads)):
        members = tuple(ops.members_within(graph, halves, 4) for graph in graphs)
        sums = ops.overlap_within(*graphs, members, e, f, 32)
        nth = ops.nth_within(graphs[0].distances, members[0], 2, 32)
        found.append((*members, sums, nth))
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


def test_splits_reject_a_bad_argument(sets):
    graph = native().knn_exact(sets[0][:30], k=3, distance="l2")
    halves, members = np.zeros(30, np.uint32), np.zeros((30, 3), np.uint32)
    for call, message in (
        (lambda: _core.members_within(graph.indices, halves, k=4, n_threads=1), "`k`"),
        (lambda: _core.members_within(graph.indices, halves[:9], k=1, n_threads=1), "indices"),
        (lambda: native().overlap_within(graph, graph, (members, members), None, None, 33), "32"),
        (
            lambda: native().overlap_within(graph, graph, (members, members[:9]), None, None, 1),
            "members_y",
        ),
        (lambda: native().nth_within(graph.distances, members, 4, 1), "`order`"),
        (lambda: native().nth_within(graph.distances, members[:, :2].copy(), 1, 1), "members"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("k", "size", "message"), [(0, 30, "`k`"), (4, 30, "`k`"), (2, 29, "indices")]
)
def test_lists_within_reject_a_bad_argument(sets, k, size, message):
    indices = native().knn_exact(sets[0][:30], k=3, distance="l2").indices
    with pytest.raises(ValueError, match=message):
        _core.lists_within(indices, np.zeros(size, np.int64), k=k, n_threads=1)


ROWS = np.array([0, 3, 4, 40, 41, 95, 96])


@pytest.mark.parametrize("rows", [ROWS, np.array([50])])
def test_lists_of_some_rows_are_read_as_those_rows(ops, sets, rng, rows):
    X, Y, _ = sets
    whole = [ops.knn_exact(Z, k=9, distance="l2") for Z in (X, Y)]
    x, y = (ops.knn_exact(Z, k=9, distance="l2", rows=rows) for Z in (X, Y))
    assert (x.n_samples, x.k, len(x.indices)) == (97, 9, len(rows))
    e = ops.edge_values(X, x, centered=True)
    assert_allclose(e, ops.edge_values(X, whole[0], centered=True)[rows], rtol=1e-12)
    f = rng.standard_normal((97, 9))
    all_e = np.zeros((97, 9))
    all_e[rows] = e
    for found, expected in zip(
        ops.overlap_terms(x, y, e, np.ascontiguousarray(f[rows])),
        ops.overlap_terms(*whole, all_e, f),
        strict=True,
    ):
        assert_allclose(found, expected[rows], rtol=1e-12, atol=1e-12)
    lists, expected = (ops.list_terms(*pair, lcs=True, edit=True) for pair in ((x, y), whole))
    assert_array_equal(lists.lcs, expected.lcs[rows])
    assert_array_equal(lists.edit, expected.edit[rows])
    group = rng.integers(0, 3, 97)
    assert_array_equal(ops.lists_within(x, group, 4), ops.lists_within(whole[0], group, 4)[rows])


def test_what_reads_other_rows_too_refuses_lists_of_some(ops, sets):
    x, y = (ops.knn_exact(Z, k=9, distance="l2", rows=ROWS) for Z in sets[:2])
    orders = np.arange(97)[None, :]
    for read in (
        lambda: ops.graph_terms(x, y, None, None),
        lambda: ops.list_terms(x, y, cycle=True),
        lambda: ops.list_draws(x, y, orders, jaccard=True),
        lambda: ops.mantel_counts(x, [2]),
        lambda: ops.mantel_draws([x, y], [None, None], [(0, 1)], orders),
        lambda: x.relabelled(orders[0]),
    ):
        with pytest.raises(ValueError, match="all 97 samples, and only 7"):
            read()


def test_the_kernel_refuses_lists_of_other_rows(sets):
    graph = native().knn_exact(sets[0], k=3, distance="l2", rows=ROWS)
    lists = graph.indices
    with pytest.raises(ValueError, match="points outside"):
        _core.overlap_terms(lists, lists, None, None, n_samples=50, n_threads=1)
    with pytest.raises(ValueError, match="all samples"):
        _core.list_terms(lists, lists, cycle=True, lcs=False, edit=False, n_samples=97, n_threads=1)
    for rows in (ROWS[:3], ROWS[::-1].copy(), ROWS + 1):
        with pytest.raises(ValueError, match="rows"):
            _core.lists_within(lists, np.zeros(97, np.int64), k=1, rows=rows, n_threads=1)


def test_a_graph_of_some_rows_is_saved_and_cut(sets, tmp_path):
    graph = native().knn_exact(sets[0], k=5, distance="l2", rows=ROWS)
    graph.save(tmp_path / "graph.npz")
    for found in (type(graph).load(tmp_path / "graph.npz"), graph.nearest(2)):
        assert_array_equal(found.rows, ROWS)
        assert found.n_samples == 97
