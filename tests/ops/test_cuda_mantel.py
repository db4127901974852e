"""What draws meet on a GPU alone: united lists, filters, batches, fixed point."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience.backends.cuda import mantel
from consilience.terms import Graph


def random_graph(rng, n, k):
    lists = [rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)]
    return Graph(np.array(lists), None)


def summed(x, y, e, f, q):
    """The sum of one draw and of its terms' sizes, exactly rounded."""
    terms = []
    for i in range(x.n_samples):
        there = dict(zip(y.indices[q[i]], f[q[i]], strict=True))
        terms += [
            value * there[q[j]]
            for j, value in zip(x.indices[i], e[i], strict=True)
            if q[j] in there
        ]
    return math.fsum(terms), math.fsum(map(abs, terms))


@pytest.mark.parametrize(
    ("n", "k_x", "k_y"), [(12, 1, 1), (40, 31, 33), (70, 32, 1), (137, 130, 7)]
)
def test_draws_are_exact_but_for_the_products(cuda, rng, n, k_x, k_y):
    """Values of twelve orders of magnitude and of both signs; one draw of which all is shared."""
    x, y = random_graph(rng, n, k_x), random_graph(rng, n, k_y)
    e, f = (rng.standard_normal((n, k)) * 10.0 ** rng.uniform(-6, 6, (n, k)) for k in (k_x, k_y))
    draws = np.stack([rng.permutation(n) for _ in range(9)] + [np.arange(n)])
    pairs = [(0, 1), (0, 0)]
    found = cuda.mantel_draws([x, y], [e, f], pairs, draws)
    for (a, b), row in zip(pairs, found, strict=True):
        graphs, values = (x, y), (e, f)
        for q, value in zip(draws, row, strict=True):
            expected, size = summed(graphs[a], graphs[b], values[a], values[b], q)
            assert abs(value - expected) <= 1e-15 * size
    assert_allclose(found[1, -1], (e * e).sum(), rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_of_any_scale(cuda, rng, scale):
    x, y = random_graph(rng, 30, 12), random_graph(rng, 30, 9)
    e, f = -scale * rng.uniform(1.0, 2.0, (30, 12)), rng.standard_normal((30, 9)) / scale
    draws = np.stack([rng.permutation(30) for _ in range(3)])
    found = cuda.mantel_draws([x, y], [e, f], [(0, 1)], draws)[0]
    for q, value in zip(draws, found, strict=True):
        expected, size = summed(x, y, e, f, q)
        assert size > 0.0
        assert abs(value - expected) <= 1e-15 * size


def test_graphs_that_share_nothing_under_any_draw(cuda, rng):
    """A ring and its reverse in steps of two: no relabelling by rotation makes them meet."""
    n = 15
    step = np.arange(n)[:, None]
    x, y = Graph((step + 1) % n, None), Graph((step + 2) % n, None)
    draws = np.stack([(np.arange(n) + shift) % n for shift in range(n)])
    found = cuda.mantel_draws([x, y], [None, None], [(0, 1), (0, 0)], draws)
    assert_array_equal(found, [np.zeros(n), np.full(n, n)])


@pytest.fixture
def many(cuda, rng):
    """Seven graphs, all pairs of them, and what comes of all at once."""
    n = 21
    graphs = [random_graph(rng, n, k) for k in (3, 5, 1, 8, 2, 13, 4)]
    values = [None if g.k == 5 else rng.standard_normal((n, g.k)) for g in graphs]
    pairs = [(a, b) for a in range(7) for b in range(7)] + [(2, 5)]
    draws = np.stack([rng.permutation(n) for _ in range(5)])
    return (graphs, values, pairs, draws), cuda.mantel_draws(graphs, values, pairs, draws)


@pytest.mark.parametrize("entries", [36, 24, 21])
def test_batches_change_no_bit(cuda, many, monkeypatch, entries):
    """All graphs, or groups of them, and a draw or a few at a time."""
    arguments, expected = many
    monkeypatch.setattr(mantel, "MOST_UNITED", max(26, entries))
    memory = 2 * entries * mantel.EDGE_BYTES * 21
    assert_array_equal(replace(cuda, max_memory=memory).mantel_draws(*arguments), expected)


def test_too_little_memory_is_said(cuda, many):
    arguments, _ = many
    with pytest.raises(MemoryError, match="`max_memory`"):
        replace(cuda, max_memory=2 * 20 * mantel.EDGE_BYTES * 21).mantel_draws(*arguments)


def test_a_filter_in_which_entries_share_bits_rules_none_out(cuda, many, monkeypatch):
    arguments, expected = many
    monkeypatch.setattr(mantel, "MOST_FILTER_BITS", 32)
    assert_array_equal(cuda.mantel_draws(*arguments), expected)


def test_more_graphs_than_an_edge_can_name(cuda, rng):
    n, n_graphs = 9, 300
    graphs = [random_graph(rng, n, 2) for _ in range(n_graphs)]
    pairs = [(g, (g + 1) % n_graphs) for g in range(n_graphs)]
    q = rng.permutation(n)
    found = cuda.mantel_draws(graphs, [None] * n_graphs, pairs, q[None, :])[:, 0]
    ones = np.ones((n, 2))
    expected = [summed(graphs[x], graphs[y], ones, ones, q)[0] for x, y in pairs]
    assert_array_equal(found, expected)


def test_lists_too_long_to_be_united_are_the_hosts(cuda, many, monkeypatch):
    arguments, expected = many
    monkeypatch.setattr(mantel, "MOST_UNITED", 20)
    assert_allclose(cuda.mantel_draws(*arguments), expected, rtol=1e-12, atol=1e-13)
