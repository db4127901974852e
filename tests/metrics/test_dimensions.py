"""TwoNN, the Levina-Bickel maximum likelihood and GRIDE."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

ESTIMATORS = [
    ("twonn", {}),
    ("twonn", {"discard": 0.25}),
    ("twonn", {"discard": 0.0, "method": "mle"}),
    ("twonn", {"method": "mle"}),
    ("dimension_mle", {"k": 10}),
    ("dimension_mle", {"k": 10, "combine": "mean"}),
    ("dimension_mle", {"k": 2}),
    ("gride", {}),
    ("gride", {"n1": 2, "n2": 3}),
    ("gride", {"n1": 1, "n2": 4}),
    ("gride", {"n1": 4, "n2": 8}),
]
IDS = [f"{name} {options}" for name, options in ESTIMATORS]


@pytest.mark.parametrize(("name", "options"), ESTIMATORS, ids=IDS)
def test_equals_the_dense_definition(name, options, case, backend):
    score = getattr(cs, name)(case.X, backend=backend, **options)
    expected = getattr(reference, name)(case.X, **options)
    assert score == pytest.approx(expected, rel=case.rel)


@pytest.mark.parametrize(
    ("name", "options"),
    [("twonn", {}), ("twonn", {"method": "mle"}), ("gride", {"n1": 2, "n2": 5})],
)
def test_rows_without_a_ratio_are_left_out(name, options, tied, backend):
    score = getattr(cs, name)(tied.X, backend=backend, **options)
    expected = getattr(reference, name)(tied.X, **options)
    assert score == pytest.approx(expected, rel=tied.rel)


@pytest.mark.parametrize(("name", "options"), ESTIMATORS, ids=IDS)
def test_finds_the_dimension_of_a_flat_sheet(name, options, backend):
    rng = np.random.default_rng(9)
    sheet = rng.uniform(size=(600, 2)) @ rng.standard_normal((2, 12))
    # Each estimator's spread on 600 points is below 10 % of the dimension.
    assert getattr(cs, name)(sheet, backend=backend, **options) == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize(("name", "options"), ESTIMATORS, ids=IDS)
def test_ignores_rotation_scale_and_shift(name, options, paired, backend, rng):
    X, _ = paired
    Q = np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0]
    estimate = getattr(cs, name)
    assert estimate(2.5 * X @ Q + 7.0, backend=backend, **options) == pytest.approx(
        estimate(X, backend=backend, **options), rel=1e-8
    )


def test_gride_of_two_neighbors_is_the_maximum_likelihood(paired, backend):
    X, _ = paired
    # N / sum(ln mu) against the unbiased (N - 1) / sum(ln mu).
    twonn = cs.twonn(X, method="mle", backend=backend)
    assert cs.gride(X, backend=backend) == pytest.approx(twonn * len(X) / (len(X) - 1), rel=1e-10)


def test_known_answer_of_the_maximum_likelihood(backend):
    # On the line 0, 1, 3, 8: r2/r1 is 3/1, 2/1, 3/2 and 7/5.
    X = np.array([[0.0], [1.0], [3.0], [8.0]])
    expected = 3 / np.log([3.0, 2.0, 1.5, 1.4]).sum()
    assert cs.twonn(X, method="mle", backend=backend) == pytest.approx(expected, rel=1e-14)


def test_known_answer_of_the_fit(backend):
    # F = 1/4, 1/2, 3/4, 1 over all four: a quarter left out removes the infinite one.
    X = np.array([[0.0], [1.0], [3.0], [8.0]])
    x, y = np.log([1.4, 1.5, 2.0]), -np.log([3 / 4, 1 / 2, 1 / 4])
    score = cs.twonn(X, discard=0.25, backend=backend)
    assert score == pytest.approx((x @ y) / (x @ x), rel=1e-14)


def test_duplicates_do_not_make_a_dimension_of_zero(backend, rng):
    X = rng.standard_normal((200, 3))
    X[:20] = X[20:40]
    score = cs.twonn(X, backend=backend)
    assert np.isfinite(score)
    assert score == pytest.approx(reference.twonn(X), rel=1e-9)
