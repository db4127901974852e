from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
from consilience.compat import dcor as ours

dcor = pytest.importorskip("dcor", reason="the peer suite compares with dcor")


@pytest.fixture(params=[(40, 3, 5), (61, 20, 2), (30, 50, 40)])
def sets(request, rng):
    n, d1, d2 = request.param
    X = rng.standard_normal((n, d1))
    return X, X[:, :1] + rng.standard_normal((n, d2))


def test_biased(sets):
    expected = dcor.distance_correlation(*sets)
    assert cs.distance_correlation(*sets) == pytest.approx(float(expected), rel=1e-9)


def test_unbiased(sets):
    expected = dcor.u_distance_correlation_sqr(*sets)
    score = cs.distance_correlation(*sets, unbiased=True)
    assert score == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


def test_independent_sets_may_be_negative(rng):
    X, Y = rng.standard_normal((2, 25, 100))
    expected = dcor.u_distance_correlation_sqr(X, Y)
    score = cs.distance_correlation(X, Y, unbiased=True)
    assert score == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


def test_duplicates(sets):
    X, Y = (A.copy() for A in sets)
    X[:5], Y[:5] = X[5], Y[5]
    assert cs.distance_correlation(X, Y) == pytest.approx(
        float(dcor.distance_correlation(X, Y)), rel=1e-9
    )


def test_an_offset_in_float32_costs_the_peer_digits_and_us_none(rng):
    # dcor works on the float32 values it is given; the distances are small beside them.
    X = (rng.standard_normal((60, 4)) + 1e4).astype(np.float32)
    Y = X[:, :2].astype(np.float64) + rng.standard_normal((60, 2))
    exact = float(dcor.distance_correlation(X.astype(np.float64), Y))
    assert cs.distance_correlation(X, Y) == pytest.approx(exact, rel=1e-6)


FUNCTIONS = [
    "distance_covariance",
    "distance_covariance_sqr",
    "u_distance_covariance_sqr",
    "distance_correlation",
    "distance_correlation_sqr",
    "u_distance_correlation_sqr",
]
STATS = ["distance_stats", "distance_stats_sqr", "u_distance_stats_sqr"]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("vectors", [False, True])
def test_the_drop_in_is_the_peer(name, vectors, sets):
    x, y = (A[:, 0] for A in sets) if vectors else sets
    expected = getattr(dcor, name)(x, y, method="naive")
    found = getattr(ours, name)(x, y, method="naive", compile_mode=dcor.CompileMode.AUTO)
    assert type(found) is type(expected)
    assert float(found) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
    method = dcor.DistanceCovarianceMethod.NAIVE
    assert getattr(ours, name)(x, y, method=method) == found


@pytest.mark.parametrize("name", STATS)
def test_the_statistics_of_the_drop_in_are_the_peers(name, sets):
    expected, found = getattr(dcor, name)(*sets), getattr(ours, name)(*sets)
    for field in ("covariance_xy", "correlation_xy", "variance_x", "variance_y"):
        value = float(getattr(expected, field))
        assert float(getattr(found, field)) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert [type(value) for value in found] == [type(value) for value in expected]
