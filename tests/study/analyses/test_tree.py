from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from consilience.study.analyses import profile_distances, tree
from consilience.study.analyses._layout import crossings, unrooted_layout
from consilience.study.analyses._neighbor_joining import Edge, neighbor_joining, newick, quoted


def random_tree(rng, n):
    """A binary unrooted tree as edges, grown leaf by leaf, with lengths of (0.1, 1)."""
    edges = [(n, leaf) for leaf in range(3)]
    for leaf in range(3, n):
        a, b = edges.pop(rng.integers(len(edges)))
        new = n + leaf - 2
        edges += [(a, new), (new, b), (new, leaf)]
    return {edge: float(rng.uniform(0.1, 1.0)) for edge in edges}


def path_lengths(edges, n_nodes):
    d = np.full((n_nodes, n_nodes), np.inf)
    np.fill_diagonal(d, 0.0)
    for (a, b), length in edges.items():
        d[a, b] = d[b, a] = length
    for k in range(n_nodes):
        d = np.minimum(d, d[:, k, None] + d[None, k])
    return d


def as_mapping(edges):
    return {(edge.from_, edge.to): edge.length for edge in edges}


def splits(edges, n):
    """The leaves on one side of each branch, with the length: what defines an unrooted tree."""
    d = {}
    near = {}
    for a, b in edges:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    for (a, b), length in edges.items():
        stack, side = [(b, a)], set()
        while stack:
            node, back = stack.pop()
            if node < n:
                side.add(node)
            stack += [(c, node) for c in near[node] if c != back]
        if 0 in side:
            side = set(range(n)) - side
        d[frozenset(side)] = length
    return d


@pytest.mark.parametrize("n", [3, 4, 5, 8, 20, 40])
def test_an_additive_tree_is_recovered_with_its_lengths(rng, n):
    for _ in range(5):
        truth = random_tree(rng, n)
        found = neighbor_joining(path_lengths(truth, 2 * n - 2)[:n, :n])
        expected, got = splits(truth, n), splits(as_mapping(found), n)
        assert got.keys() == expected.keys()
        assert got == pytest.approx(expected, rel=1e-9)


def test_a_tree_known_by_hand():
    # ((a:2, b:3):4, (c:1, d:5)), the classic of four.
    d = np.array([[0, 5, 7, 11], [5, 0, 8, 12], [7, 8, 0, 6], [11, 12, 6, 0]])
    found = splits(as_mapping(neighbor_joining(d)), 4)
    assert found == pytest.approx(
        {
            frozenset({1, 2, 3}): 2.0,
            frozenset({1}): 3.0,
            frozenset({2}): 1.0,
            frozenset({3}): 5.0,
            frozenset({2, 3}): 4.0,
        }
    )


@pytest.mark.parametrize("n", [3, 4, 9])
def test_no_length_is_negative_and_sisters_keep_their_distance(rng, n):
    for _ in range(20):
        d = np.abs(rng.standard_normal((n, n)))
        d = np.triu(d, 1) + np.triu(d, 1).T
        found = neighbor_joining(d)
        assert len(found) == 2 * n - 3
        assert min(edge.length for edge in found) >= 0.0
        first, second = found[:2]
        if n > 3 and first.to < n and second.to < n:
            joined = d[first.to, second.to]
            assert first.length + second.length == pytest.approx(joined)


def test_a_broken_triangle_of_three_keeps_the_distances_that_fit():
    d = np.array([[0, 1, 1], [1, 0, 5], [1, 5, 0.0]])
    found = {edge.to: edge.length for edge in neighbor_joining(d)}
    assert found == {0: 0.0, 1: 1.0, 2: 1.0}


def test_newick_reads_back(rng):
    n = 12
    truth = random_tree(rng, n)
    edges = neighbor_joining(path_lengths(truth, 2 * n - 2)[:n, :n])
    text = newick(edges, tuple(f"m{a}" for a in range(n)))
    assert splits(read_newick(text), n) == pytest.approx(splits(truth, n), rel=1e-8)


def read_newick(text):
    """Edges of a Newick text whose leaves are m0, m1, ..."""
    tokens = re.findall(r"[(),;]|[^(),:;]+|:[^(),;]+", text)
    leaves = [int(t[1:]) for t in tokens if t.startswith("m")]
    fresh = itertools.count(len(leaves))
    edges, at = {}, 0

    def node():
        nonlocal at
        if tokens[at] == "(":
            own = next(fresh)
            while tokens[at] in "(,":
                at += 1
                child = node()
                edges[own, child] = float(tokens[at][1:])
                at += 1
            at += 1
            return own
        at += 1
        return int(tokens[at - 1][1:])

    node()
    assert tokens[at] == ";"
    return edges


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("MACE-0.3", "MACE-0.3"),
        ("l3i5 model", "'l3i5 model'"),
        ("a_b", "'a_b'"),
        ("it's (new), [x]:;", "'it''s (new), [x]:;'"),
        ("", "''"),
    ],
)
def test_names_are_quoted_where_newick_needs_it(name, label):
    assert quoted(name) == label


@pytest.mark.parametrize("n", [3, 4, 7, 25, 60])
def test_no_branches_cross_and_each_is_drawn_as_long_as_it_is(rng, n):
    for _ in range(3):
        edges = tuple(Edge(a, b, length) for (a, b), length in random_tree(rng, n).items())
        place = unrooted_layout(edges, n)
        assert place.shape == (2 * n - 2, 2)
        assert crossings(place, edges) == 0
        for edge in edges:
            drawn = np.hypot(*(place[edge.from_] - place[edge.to]))
            assert drawn == pytest.approx(edge.length)


def test_a_comb_is_drawn_without_crossings(rng):
    n = 30
    spine = range(n, 2 * n - 2)
    edges = [Edge(a, a + 1, 0.01) for a in spine[:-1]]
    edges += [Edge(a, leaf, 5.0) for leaf, a in enumerate(spine)]
    edges += [Edge(spine[0], n - 2, 5.0), Edge(spine[-1], n - 1, 0.0)]
    assert crossings(unrooted_layout(edges, n), edges) == 0


def test_crossings_are_seen():
    edges = (Edge(0, 1, 1.0), Edge(2, 3, 1.0), Edge(1, 2, 1.0))
    crossed = np.array([[0, 0], [1, 1], [0, 1], [1, 0.0]])
    assert crossings(crossed, edges) == 1
    assert crossings(np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]), edges) == 0


def test_profile_distances_are_jensen_shannons(rng):
    values = rng.uniform(0, 1, (5, 5))
    found = profile_distances(values)
    for a, b in itertools.combinations(range(5), 2):
        rows = jensenshannon(values[a], values[b], base=2)
        columns = jensenshannon(values[:, a], values[:, b], base=2)
        assert found[a, b] == pytest.approx((rows + columns) / 2)
    np.testing.assert_array_equal(found, found.T)
    assert np.diag(found).tolist() == [0.0] * 5


def test_models_that_share_nothing_are_at_distance_1_and_twins_at_0():
    values = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    found = profile_distances(values)
    assert found[0, 1] == 0.0
    assert found[0, 2] == found[2, 3] == 1.0


def test_families_are_branches(scores_of, rng):
    family = np.repeat([0, 1, 2], 4)
    values = np.where(family[:, None] == family, 0.8, 0.2) + rng.uniform(0, 0.02, (12, 12))
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1.0)
    names = [f"m{a}" for a in range(12)]
    found = tree(scores_of(values, bounds=(0, 2)), names)
    edges = as_mapping(found.edges)
    got = splits(edges, 12)
    for members in ({4, 5, 6, 7}, {8, 9, 10, 11}):
        assert frozenset(members) in got
    body = found.to_json()
    assert body["names"] == names
    assert [node["name"] for node in body["nodes"]] == names + [None] * 10
    assert [node["id"] for node in body["nodes"]] == list(range(22))
    assert set(body["edges"][0]) == {"from", "to", "length"}
    assert body["newick"].endswith(";")
    assert body["distances"] == profile_distances(values).tolist()
    place = np.array([(node["x"], node["y"]) for node in body["nodes"]])
    assert crossings(place, found.edges) == 0


def test_a_score_below_0_is_no_agreement_and_is_counted(scores_of, random_scores):
    values = random_scores(5)
    values[0, 1] = values[1, 0] = -0.01
    names = list("abcde")
    found = tree(scores_of(values, bounds=(-1, 1)), names)
    assert found.n_negative == 2
    values[0, 1] = values[1, 0] = 0.0
    assert found.distances == tree(scores_of(values), names).distances


def test_bad_input_is_named(scores_of):
    with pytest.raises(ValueError, match="at least 3 models, got 2"):
        tree(scores_of(np.eye(2)), ["a", "b"])
    with pytest.raises(ValueError, match="3 models, but 2 names"):
        tree(scores_of(np.eye(3)), ["a", "b"])
    with pytest.raises(ValueError, match="single models"):
        tree(scores_of(np.ones(3)), ["a", "b", "c"])
    with pytest.raises(ValueError, match="'b' has no score above 0"):
        tree(scores_of([[1, 0, 0], [0, 0, 0], [0, 0, 1]]), ["a", "b", "c"])
    with pytest.raises(ValueError, match="one profile"):
        tree(scores_of(np.ones((4, 4))), list("abcd"))
    with pytest.raises(ValueError, match="symmetric"):
        neighbor_joining([[0, 1, 2], [1, 0, 3], [2, 4, 0]])
    with pytest.raises(ValueError, match="not negative"):
        profile_distances([[1, -1], [1, 1]])


def test_models_that_agree_equally_with_all_make_a_star(scores_of):
    found = tree(scores_of(np.full((5, 5), 0.3) + 0.7 * np.eye(5)), list("abcde"))
    inner = [edge.length for edge in found.edges if edge.to >= 5]
    assert inner == pytest.approx([0.0] * 2, abs=1e-9)
