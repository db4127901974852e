"""What the kernels over lists meet on a GPU alone: lists around a warp's 32 lanes, fixed point."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience.terms import Graph
from engine import native


def random_graph(rng, n, k, rows=None, ends=None):
    """Lists of any other samples, or of some of `ends`."""
    samples = np.arange(n) if rows is None else rows
    ends = np.arange(n) if ends is None else ends
    lists = [rng.choice(ends[ends != i], k, replace=False) for i in samples]
    return Graph(np.array(lists), None, rows=rows, n_all=None if rows is None else n)


def dense(graph, values):
    samples = np.arange(graph.n_samples) if graph.rows is None else graph.rows
    W, there = np.zeros((2, graph.n_samples, graph.n_samples))
    W[samples[:, None], graph.indices] = values
    there[samples[:, None], graph.indices] = 1.0
    return W, there


@pytest.mark.parametrize("n", [41, 48])
@pytest.mark.parametrize(("k_x", "k_y"), [(1, 1), (31, 33), (33, 31), (32, 32), (1, 40), (40, 2)])
def test_lists_of_any_length_are_searched_whole(cuda, rng, n, k_x, k_y):
    x, y = random_graph(rng, n, k_x), random_graph(rng, n, k_y)
    e, f = rng.standard_normal((n, k_x)), rng.standard_normal((n, k_y))
    (E, X), (F, Y) = dense(x, e), dense(y, f)
    both = X * Y
    found = cuda.graph_terms(x, y, e, f)
    assert_array_equal(found.overlap, both.sum(axis=1))
    for name, expected in (
        ("products", (E * F).sum(axis=1)),
        ("rows_e", (E * both).sum(axis=1)),
        ("rows_f", (F * both).sum(axis=1)),
        ("columns_e", (E * both).sum(axis=0)),
        ("columns_f", (F * both).sum(axis=0)),
        ("reciprocal", (E * both * (F * both).T).sum(axis=1)),
    ):
        assert_allclose(getattr(found, name), expected, rtol=1e-12, atol=1e-13, err_msg=name)
    overlap, products = cuda.overlap_terms(x, y, e, f)
    assert_array_equal(overlap, found.overlap)
    assert_array_equal(products, found.products)


@pytest.mark.parametrize(("k_x", "k_y"), [(100, 1000), (1000, 1000)])
def test_long_lists_of_some_rows(cuda, rng, k_x, k_y):
    rows = np.array([0, 3, 500, 1004])
    x, y = random_graph(rng, 1005, k_x, rows), random_graph(rng, 1005, k_y, rows)
    e, f = rng.standard_normal((4, k_x)), rng.standard_normal((4, k_y))
    (E, X), (F, Y) = dense(x, e), dense(y, f)
    overlap, products = cuda.overlap_terms(x, y, e, f)
    assert_array_equal(overlap, (X * Y).sum(axis=1)[rows])
    assert_allclose(products, (E * F).sum(axis=1)[rows], rtol=1e-12, atol=1e-12)
    members = tuple(rng.integers(0, 1 << 32, g.indices.shape, dtype=np.uint32) for g in (x, y))
    within = cuda.overlap_within(x, y, members, e, f, 32)
    for t in (0, 17, 31):
        sides = (dense(x, e * (members[0] >> t & 1)), dense(y, f * (members[1] >> t & 1)))
        expected = (sides[0][0] * sides[1][0]).sum(axis=1)[rows]
        assert_allclose(within[t], expected, rtol=1e-12, atol=1e-12)


def test_graphs_that_share_nothing(cuda, rng):
    n, half = 20, np.arange(10)
    x, y = random_graph(rng, n, 5, ends=half), random_graph(rng, n, 5, ends=half + 10)
    found = cuda.graph_terms(x, y, rng.standard_normal((n, 5)), None)
    for name in ("overlap", "products", "rows_e", "rows_f", "columns_e", "columns_f", "reciprocal"):
        assert not getattr(found, name).any(), name


@pytest.mark.parametrize("scale", [1e-305, 1e-12, 1.0, 1e12, 1e305])
def test_column_sums_keep_all_digits_of_any_scale(cuda, rng, scale):
    """Some columns end in what is 1e12 times less than the largest value, and of both signs."""
    n, k = 50, 20
    x = random_graph(rng, n, k)
    e = scale * rng.standard_normal((n, k)) * np.where(x.indices % 2, 1.0, 1e-12)
    e[:, 0] = 0.0
    found = cuda.graph_terms(x, x, e, None)
    for j in range(n):
        expected = math.fsum(e[x.indices == j])
        most = np.abs(e[x.indices == j]).sum()
        assert abs(found.columns_e[j] - expected) <= 1e-15 * most
    assert_array_equal(found.columns_f, np.bincount(x.indices.ravel(), minlength=n))


def test_values_that_fixed_point_does_not_hold_are_summed_on_the_host(cuda, rng):
    x, y = random_graph(rng, 20, 9), random_graph(rng, 20, 9)
    e, draws = rng.standard_normal((20, 9)), np.stack([rng.permutation(20) for _ in range(3)])
    e[3, 4] = np.inf
    found, expected = (ops.graph_terms(x, y, e, None) for ops in (cuda, native()))
    assert_array_equal(found.columns_e, expected.columns_e)
    found, expected = (
        ops.mantel_draws([x, y], [e, None], [(0, 1)], draws) for ops in (cuda, native())
    )
    assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 31, 33, 70])
def test_rows_of_any_width(cuda, rng, dtype, d):
    X = (rng.standard_normal((1030, d)) + 30.0).astype(dtype)
    rows = np.array([1, 7, 1029])
    graph = random_graph(rng, 1030, 33, rows)
    wide = X.astype(np.float64)
    for centered in (True, False):
        K = wide @ (wide - (wide.mean(axis=0) if centered else 0.0)).T
        found = cuda.edge_values(X, graph, centered=centered)
        # What the mean is rounded by counts as much as the rows are long.
        rounding = 1e-15 * (wide**2).sum(axis=1).max()
        assert_allclose(found, K[rows[:, None], graph.indices], rtol=1e-12, atol=rounding)
    i, j = rng.integers(0, 1030, (2, 21))
    assert_allclose(
        cuda.pair_distances(X, i, j),
        np.sqrt(((wide[i] - wide[j]) ** 2).sum(axis=1)),
        rtol=1e-14,
    )
    assert len(cuda.pair_distances(X, i[:0], j[:0])) == 0


class Recording:
    """A device that notes what is launched and what comes over."""

    def __init__(self, device):
        self._device, self.launched, self.uploaded = device, [], 0

    def __getattr__(self, name):
        return getattr(self._device, name)

    def launch(self, kernel, *arguments, **options):
        self.launched.append(kernel)
        self._device.launch(kernel, *arguments, **options)

    def from_host(self, array):
        self.uploaded += array.nbytes
        return self._device.from_host(array)


def test_lists_and_values_travel_once(cuda, rng):
    device = Recording(cuda.device)
    ops = type(cuda)(device, cuda.host, cuda.max_memory)
    x, y = random_graph(rng, 30, 5), random_graph(rng, 30, 6)
    X = rng.standard_normal((30, 4))
    e = ops.edge_values(X, x, centered=False)
    first = ops.graph_terms(x, y, e, None)
    before = device.uploaded
    again = ops.graph_terms(x, y, e, None)
    assert_array_equal(first.products, again.products)
    assert device.uploaded == before == x.indices.nbytes + y.indices.nbytes
    assert device.launched.count("sort_lists") == 2


def test_kernels_are_given_no_index_from_outside(cuda, rng):
    outside = Graph(np.array([[1], [2], [3]]), None)
    fine = Graph(np.array([[1], [2], [0]]), None)
    with pytest.raises(ValueError, match="points outside the 3 samples"):
        cuda.overlap_terms(fine, outside, None, None)
    with pytest.raises(ValueError, match="`j` points outside"):
        cuda.pair_distances(np.ones((3, 2)), np.array([0]), np.array([3]))
    with pytest.raises(ValueError, match="`permutations` points outside"):
        cuda.mantel_draws([fine], [None], [(0, 0)], np.full((1, 3), 3))
    with pytest.raises(ValueError, match="`permutations` must be of shape"):
        cuda.mantel_draws([fine], [None], [(0, 0)], np.zeros((1, 2), np.int64))
    members = np.ones((3, 1), np.uint32)
    with pytest.raises(ValueError, match="n_splits"):
        cuda.overlap_within(fine, fine, (members, members), None, None, 33)
    with pytest.raises(ValueError, match="shape of their lists"):
        cuda.overlap_within(fine, fine, (members, members[:2]), None, None, 1)
