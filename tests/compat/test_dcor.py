"""dcor's functions, held against their definitions and their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import reference
from consilience.compat import dcor

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "prh_s0_n200.npz", allow_pickle=False)
A, B = GOLDEN["A"], GOLDEN["B"]
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))


def test_the_golden_numbers_are_theirs():
    assert dcor.distance_correlation(A, B) == pytest.approx(VALUES["dcor.biased"], rel=1e-6)
    assert dcor.u_distance_correlation_sqr(A, B) == pytest.approx(VALUES["dcor.u_sqr"], rel=1e-6)
    assert dcor.distance_covariance_sqr(A, B) == pytest.approx(VALUES["dcor.dcov_sqr"], rel=1e-6)


def dense(x, y):
    """Biased and unbiased squared covariances: xy, xx, yy."""
    D, E = (reference.distances(np.reshape(z, (len(z), -1)).astype(float)) for z in (x, y))
    n = len(D)
    pairs = ((D, E), (D, D), (E, E))
    biased = [
        (reference.double_centered(P) * reference.double_centered(Q)).mean() for P, Q in pairs
    ]
    unbiased = [
        (reference.u_centered(P) * reference.u_centered(Q)).sum() / (n * (n - 3)) for P, Q in pairs
    ]
    return biased, unbiased


SETS = {
    "two matrices": lambda rng: (rng.standard_normal((31, 3)), rng.standard_normal((31, 5))),
    "vectors": lambda rng: (rng.standard_normal(40), rng.standard_normal(40)),
    "a vector and a matrix": lambda rng: (rng.standard_normal(23), rng.standard_normal((23, 2))),
    "integers": lambda rng: (rng.integers(0, 9, (30, 2)), rng.integers(0, 5, 30)),
    "float32": lambda rng: (A[:50], A[:50, :3] ** 2),
}


@pytest.mark.parametrize("name", SETS)
def test_every_function_follows_its_definition(name, rng):
    x, y = SETS[name](rng)
    (xy, xx, yy), (u_xy, u_xx, u_yy) = dense(x, y)
    r, u_r = xy / np.sqrt(xx * yy), u_xy / np.sqrt(u_xx * u_yy)
    found = {
        "distance_covariance_sqr": xy,
        "distance_covariance": np.sqrt(xy),
        "u_distance_covariance_sqr": u_xy,
        "distance_correlation_sqr": r,
        "distance_correlation": np.sqrt(r),
        "u_distance_correlation_sqr": u_r,
    }
    for function, expected in found.items():
        value = getattr(dcor, function)(x, y, method="naive", compile_mode=None)
        assert type(value) is np.float64
        assert value == pytest.approx(expected, rel=1e-10)
    stats = {
        "distance_stats_sqr": (xy, r, xx, yy),
        "distance_stats": np.sqrt((xy, r, xx, yy)),
        "u_distance_stats_sqr": (u_xy, u_r, u_xx, u_yy),
    }
    for function, expected in stats.items():
        one = getattr(dcor, function)(x, y)
        assert tuple(one) == pytest.approx(tuple(expected), rel=1e-10)
        assert one.variance_y == tuple(one)[3]


def test_exactly_independent_variables_have_none_and_no_root_of_less_than_none():
    x, y = (side.ravel().astype(float) for side in np.meshgrid(np.arange(6) ** 2, np.arange(7)))
    assert dcor.distance_covariance(x, y) == pytest.approx(0.0, abs=1e-6)
    assert dcor.distance_correlation(x, y) == pytest.approx(0.0, abs=1e-6)


def test_what_means_something_else_here_raises(rng):
    x, y = rng.standard_normal((2, 20))
    for function in (dcor.distance_covariance, dcor.u_distance_correlation_sqr):
        with pytest.raises(ValueError, match="`exponent` must be 1"):
            function(x, y, exponent=0.5)
        with pytest.raises(ValueError, match="`method` must be one of"):
            function(x, y, method="fastest")
        with pytest.raises(ValueError, match="`y` is constant"):
            function(x, np.ones(20))
    with pytest.raises(ValueError, match="at least 4 samples"):
        dcor.u_distance_covariance_sqr(x[:3], y[:3])
    with pytest.raises(ValueError, match="2-D"):
        dcor.distance_correlation(x, np.ones((20, 2, 2)))
