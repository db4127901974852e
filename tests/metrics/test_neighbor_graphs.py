"""mutual_knn, jaccard_knn, cycle_knn, lcs_knn and edit_knn."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

METRICS = ["mutual_knn", "jaccard_knn", "cycle_knn", "lcs_knn", "edit_knn"]


def both(name, X, Y, k, backend, **options):
    score = getattr(cs, name)(X, Y, k=k, backend=backend, **options)
    return score, getattr(reference, name)(X, Y, k, **options)


@pytest.mark.parametrize("name", METRICS)
def test_equals_the_dense_definition(name, case, backend):
    score, expected = both(name, case.X, case.Y, 5, backend)
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_equals_the_dense_definition_where_neighbors_tie(name, distance, tied, backend):
    score, expected = both(name, tied.X, tied.Y, 4, backend, normalize="none", distance=distance)
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("k", [1, 2, 60])
def test_equals_the_dense_definition_for_few_and_all_neighbors(name, k, backend, rng):
    X, Y = rng.standard_normal((2, 61, 4))
    score, expected = both(name, X, Y, k, backend)
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("normalize", ["none", "l2", "max", "zscore"])
@pytest.mark.parametrize("distance", ["l2", "cosine", "ip"])
def test_every_preprocessing_and_distance(name, normalize, distance, backend, rng):
    X = rng.standard_normal((37, 5)) + 0.3
    Y = X[:, :3] + 0.5 * rng.standard_normal((37, 3))
    score, expected = both(name, X, Y, 6, backend, normalize=normalize, distance=distance)
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_returns_a_python_float(name, paired, backend):
    assert type(getattr(cs, name)(*paired, backend=backend)) is float


def test_an_embedding_agrees_with_itself(paired, backend):
    X, _ = paired
    assert cs.mutual_knn(X, X, k=7, backend=backend) == 1.0
    assert cs.jaccard_knn(X, X, k=7, backend=backend) == 1.0
    assert cs.edit_knn(X, X, k=7, backend=backend) == 1.0
    assert cs.lcs_knn(X, X, k=7, backend=backend) == 7.0
    assert cs.lcs_knn(X, X, k=7, relative=True, backend=backend) == 1.0


def test_relative_lcs_is_a_share_of_k(paired, backend):
    raw = cs.lcs_knn(*paired, k=6, backend=backend)
    relative = cs.lcs_knn(*paired, k=6, relative=True, backend=backend)
    assert relative == pytest.approx(raw / 6, rel=1e-15)


def test_two_lines_in_reverse_order_share_half_of_a_neighborhood(backend):
    # Four points on a line against the same points with the outer ones exchanged.
    X = np.array([[0.0], [1.0], [2.1], [3.3]])
    Y = X[[3, 1, 2, 0]]
    options = {"k": 1, "normalize": "none", "distance": "l2", "backend": backend}
    # Nearest in X: 1, 0, 1, 2. Nearest in Y: 2, 3, 1, 1.
    assert cs.mutual_knn(X, Y, **options) == 0.25
    assert cs.jaccard_knn(X, Y, **options) == 0.25
    assert cs.lcs_knn(X, Y, **options) == 0.25
    assert cs.edit_knn(X, Y, **options) == 0.25
    # A step in Y then a step in X: 0-2-1, 1-3-2, 2-1-0, 3-1-0. No row comes home.
    assert cs.cycle_knn(X, Y, **options) == 0.0
    # A step in X then a step in Y: 0-1-3, 1-0-2, 2-1-3, 3-2-1.
    assert cs.cycle_knn(Y, X, **options) == 0.0
    # In X alone only 0 and 1 name each other.
    assert cs.cycle_knn(X, X, **options) == 0.5


def test_order_of_the_list_matters_to_lcs_and_edit_only(backend):
    # Distances from the first row: 1, 2, 3 in X and 3, 2, 1 in Y; k is everyone else.
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    Y = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    options = {"k": 3, "normalize": "none", "distance": "l2", "backend": backend}
    assert cs.mutual_knn(X, Y, **options) == 1.0
    assert cs.lcs_knn(X, Y, **options) < 3.0
    assert cs.edit_knn(X, Y, **options) < 1.0
    assert cs.lcs_knn(X, Y, **options) == reference.lcs_knn(
        X, Y, 3, normalize="none", distance="l2"
    )


def test_chance_level_of_mutual_knn(backend):
    rng = np.random.default_rng(5)
    n, k = 60, 6
    scores = [
        cs.mutual_knn(*rng.standard_normal((2, n, 5)), k=k, backend=backend) for _ in range(60)
    ]
    deviation = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - k / (n - 1)) < 4 * deviation


def test_self_is_left_out_by_index_and_not_by_place(backend):
    # Ten copies of each of six points: a row's own place among its copies is arbitrary,
    # and "drop the first column" would keep self for nine of ten rows.
    rng = np.random.default_rng(3)
    X = np.repeat(rng.standard_normal((6, 4)), 10, axis=0)
    Y = np.repeat(rng.standard_normal((6, 4)), 10, axis=0)
    assert cs.mutual_knn(X, Y, k=9, backend=backend) == 1.0
    assert cs.lcs_knn(X, Y, k=5, backend=backend) == 5.0
