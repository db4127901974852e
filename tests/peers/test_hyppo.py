from __future__ import annotations

import numpy as np
import pytest

import consilience as cs

independence = pytest.importorskip(
    "hyppo.independence", reason="the peer suite compares with hyppo"
)


@pytest.fixture
def sets(rng):
    X = rng.standard_normal((60, 6))
    return X, X[:, :2] + 0.7 * rng.standard_normal((60, 2))


@pytest.mark.parametrize("biased", [False, True])
def test_distance_correlation(biased, sets):
    # hyppo takes the square root of the biased form and leaves the unbiased one, as we do.
    expected = independence.Dcorr(bias=biased).statistic(*sets)
    score = cs.distance_correlation(*sets, unbiased=not biased)
    assert score == pytest.approx(float(expected), rel=1e-9)


def median_distance(X):
    return float(np.median(np.linalg.norm(X[:, None] - X, axis=2)[np.triu_indices(len(X), 1)]))


@pytest.mark.parametrize("biased", [False, True])
def test_hsic_with_one_bandwidth_for_both(biased, sets):
    # Its Hsic is the correlation of the (U-)centered kernels, which we call CKA; the biased
    # form is the square root of that.
    X, Y = sets
    expected = independence.Hsic(bias=biased).statistic(X, Y)
    score = cs.cka(X, Y, kernel="rbf", bandwidth=median_distance(X), debiased=not biased)
    score = np.sqrt(score) if biased else score
    assert score == pytest.approx(float(expected), rel=1e-7)


def test_the_second_set_gets_the_bandwidth_of_the_first_from_the_peer_only(sets):
    X, Y = sets[0], 9.0 * sets[1]
    forward = independence.Hsic().statistic(X, Y)
    back = independence.Hsic().statistic(Y, X)
    assert abs(forward - back) > 0.1
    ours = [cs.cka(*p, kernel="rbf", debiased=True) for p in ((X, Y), (Y, X))]
    assert ours[0] == pytest.approx(ours[1], rel=1e-12)
    # And the unit of Y does not matter to us.
    plain = cs.cka(*sets, kernel="rbf", debiased=True)
    assert ours[0] == pytest.approx(plain, rel=1e-9)
