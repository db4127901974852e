from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference


@pytest.mark.parametrize("k", [1, 7])
def test_equals_the_dense_definition(k, case, backend):
    scores = cs.information_imbalance(case.X, case.Y, k=k, backend=backend)
    expected = reference.information_imbalance(case.X, case.Y, k=k)
    assert tuple(scores) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_ties_count_half(k, tied, backend):
    scores = cs.information_imbalance(tied.X, tied.Y, k=k, backend=backend)
    expected = reference.information_imbalance(tied.X, tied.Y, k=k)
    assert tuple(scores) == pytest.approx(expected, rel=1e-12)


def test_ranks_beyond_any_shortlist_are_exact(backend):
    # DADApy gives neighbors beyond maxk random ranks (0.049 -> 0.53).
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((2, 150, 6))
    scores = cs.information_imbalance(X, Y, k=149, backend=backend)
    # Every neighbor is asked for, so that the ranks 1 to n - 1 all appear.
    assert tuple(scores) == pytest.approx((1.0, 1.0), rel=1e-12)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_identical_sets(k, paired, backend):
    X, _ = paired
    expected = (k + 1) / len(X)
    scores = cs.information_imbalance(X, 2.0 * X, k=k, backend=backend)
    assert tuple(scores) == pytest.approx((expected, expected), rel=1e-12)


def test_independent_sets_are_near_one(backend):
    rng = np.random.default_rng(8)
    scores = [
        cs.information_imbalance(*rng.standard_normal((2, 60, 5)), backend=backend)
        for _ in range(30)
    ]
    assert np.mean(scores) == pytest.approx(1.0, abs=0.05)


def test_the_richer_space_predicts_the_poorer_one(backend, rng):
    X = rng.standard_normal((120, 2))
    x_to_y, y_to_x = cs.information_imbalance(X, X[:, :1], backend=backend)
    assert x_to_y < 0.5 * y_to_x


def test_swapping_the_arguments_swaps_the_answers(paired, backend):
    X, Y = paired
    forward = cs.information_imbalance(X, Y, k=3, backend=backend)
    back = cs.information_imbalance(Y, X, k=3, backend=backend)
    assert tuple(forward) == tuple(back)[::-1]


def test_known_answer(backend):
    X = np.array([[0.0], [1.0], [3.5]])
    Y = np.array([[0.0], [5.0], [2.0]])
    # Nearest in X: 1, 0, 1. Order in Y: 0 sees 2, 1; 1 sees 2, 0; 2 sees 0, 1.
    # Ranks in Y of X's nearest: 0 -> 1: 2; 1 -> 0: 2; 2 -> 1: 2. Mean 2, times 2/3.
    # Nearest in Y: 2, 2, 0; ranks in X: 0 -> 2: 2; 1 -> 2: 2; 2 -> 0: 2.
    scores = cs.information_imbalance(X, Y, backend=backend)
    assert tuple(scores) == pytest.approx((4 / 3, 4 / 3), rel=1e-14)
