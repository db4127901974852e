from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference


@pytest.mark.parametrize("unbiased", [False, True])
def test_equals_the_dense_definition(unbiased, case, backend):
    score = cs.distance_correlation(case.X, case.Y, unbiased=unbiased, backend=backend)
    expected = reference.distance_correlation(case.X, case.Y, unbiased=unbiased)
    assert score == pytest.approx(expected, rel=case.rel, abs=case.rel)


@pytest.mark.parametrize("unbiased", [False, True])
def test_ties_and_duplicates(unbiased, tied, backend):
    score = cs.distance_correlation(tied.X, tied.Y, unbiased=unbiased, backend=backend)
    expected = reference.distance_correlation(tied.X, tied.Y, unbiased=unbiased)
    assert score == pytest.approx(expected, rel=tied.rel, abs=tied.rel)


@pytest.mark.parametrize("unbiased", [False, True])
def test_is_one_on_self_and_symmetric(unbiased, paired, backend):
    X, Y = paired
    options = {"unbiased": unbiased, "backend": backend}
    assert cs.distance_correlation(X, X, **options) == pytest.approx(1.0, abs=1e-12)
    forward = cs.distance_correlation(X, Y, **options)
    assert forward == pytest.approx(cs.distance_correlation(Y, X, **options), rel=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_ignores_rotation_scale_and_shift(unbiased, paired, backend, rng):
    X, Y = paired
    options = {"unbiased": unbiased, "backend": backend}
    Q = np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0]
    assert cs.distance_correlation(2.5 * X @ Q + 7.0, Y, **options) == pytest.approx(
        cs.distance_correlation(X, Y, **options), rel=1e-9
    )


def test_a_line_and_its_mirror_image(backend):
    X = np.array([[0.0], [1.0], [4.0], [9.0]])
    assert cs.distance_correlation(X, 3.0 - 2.0 * X, backend=backend) == pytest.approx(1.0)


def test_two_labels_that_cross_have_no_dependence(backend):
    # A balanced 2 x 2 design: the double-centered distances are orthogonal.
    X = np.array([[0.0], [0.0], [1.0], [1.0]])
    Y = np.array([[0.0], [1.0], [0.0], [1.0]])
    # The square root of a rounding error of 1e-16 is 1e-8.
    assert cs.distance_correlation(X, Y, backend=backend) == pytest.approx(0.0, abs=1e-7)


def test_bias_grows_with_the_dimension_and_the_unbiased_form_does_not(backend):
    rng = np.random.default_rng(6)
    pairs = [rng.standard_normal((2, 30, 150)) for _ in range(40)]
    biased = [cs.distance_correlation(*p, backend=backend) for p in pairs]
    unbiased = [cs.distance_correlation(*p, unbiased=True, backend=backend) for p in pairs]
    assert np.mean(biased) > 0.95
    assert abs(np.mean(unbiased)) < 4 * np.std(unbiased) / np.sqrt(len(unbiased))
    assert min(unbiased) < 0.0
