"""The assertion on neighbors must itself be able to fail."""

from __future__ import annotations

import numpy as np
import pytest

from assertions import assert_neighbors
from reference import neighbors


@pytest.fixture
def line():
    """Points 0, 1, 2, 3, 4 on a line: every inner point has tied neighbors."""
    X = np.arange(5.0)[:, None]
    indices, distances = neighbors(X, 2)
    return X, indices.astype(np.int64), distances


def test_accepts_the_brute_force_answer(line):
    assert_neighbors(*line)


@pytest.mark.parametrize("kind", ["l2", "cosine", "ip"])
def test_accepts_the_brute_force_answer_for_every_distance(kind, rng):
    X = rng.standard_normal((23, 4))
    indices, distances = neighbors(X, 5, kind)
    assert_neighbors(X, indices, distances, kind=kind)


def test_accepts_another_choice_among_tied_neighbors(rng):
    X = np.array([[0.0], [1.0], [-1.0], [5.0]])
    indices, distances = neighbors(X, 1)
    assert indices[0, 0] == 1
    indices[0, 0] = 2
    assert_neighbors(X, indices, distances)


def test_accepts_near_ties_within_the_tolerance_only():
    X = np.array([[0.0], [1.0], [-1.0 - 1e-9], [5.0]])
    indices, distances = neighbors(X, 1)
    indices[0, 0], distances[0, 0] = 2, 1.0 + 1e-9
    assert_neighbors(X, indices, distances, rtol=1e-6)
    with pytest.raises(AssertionError, match="row 0: 2 is at"):
        assert_neighbors(X, indices, distances, rtol=1e-12)


def test_rejects_self(line):
    X, indices, distances = line
    indices[3, 0], distances[3, 0] = 3, 0.0
    with pytest.raises(AssertionError, match="row 3 is its own neighbor"):
        assert_neighbors(X, indices, distances)


def test_rejects_a_neighbor_named_twice(line):
    X, indices, distances = line
    indices[2] = [1, 1]
    with pytest.raises(AssertionError, match="row 2 names a neighbor twice"):
        assert_neighbors(X, indices, distances)


def test_rejects_a_neighbor_that_is_too_far(line):
    X, indices, distances = line
    indices[0, 1], distances[0, 1] = 4, 4.0
    with pytest.raises(AssertionError, match="row 0: 4 is at"):
        assert_neighbors(X, indices, distances)


def test_rejects_a_wrong_distance(line):
    X, indices, distances = line
    distances[0, 0] += 1e-3
    with pytest.raises(AssertionError, match="row 0: the distance to 1"):
        assert_neighbors(X, indices, distances)


@pytest.mark.parametrize("row", [0, 2])
def test_rejects_a_wrong_order(row, line):
    X, indices, distances = line
    indices[row] = indices[row, ::-1].copy()
    distances[row] = distances[row, ::-1].copy()
    with pytest.raises(AssertionError, match=f"row {row} is not ordered"):
        assert_neighbors(X, indices, distances)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, d: (i[:, :1], d), "must both have shape"),
        (lambda i, d: (i[:-1], d[:-1]), "must both have shape"),
        (lambda i, d: (i.astype(np.int32), d), "want int64"),
        (lambda i, d: (i, d.astype(np.float32)), "float64 distances"),
        (lambda i, d: (i + 3, d), "must lie in"),
        (lambda i, d: (i - 3, d), "must lie in"),
    ],
)
def test_rejects_a_wrong_form(change, message, line):
    X, indices, distances = line
    with pytest.raises(AssertionError, match=message):
        assert_neighbors(X, *change(indices, distances))
