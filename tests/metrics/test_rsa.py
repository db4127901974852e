from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

CORRELATIONS = ["pearson", "spearman"]


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_equals_the_dense_definition(correlation, case, backend):
    score = cs.rsa(case.X, case.Y, correlation=correlation, backend=backend)
    expected = reference.rsa(case.X, case.Y, correlation=correlation)
    assert score == pytest.approx(expected, rel=case.rel, abs=case.rel)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_tied_distances_share_their_rank(correlation, tied, backend):
    score = cs.rsa(tied.X, tied.Y, correlation=correlation, backend=backend)
    expected = reference.rsa(tied.X, tied.Y, correlation=correlation)
    assert score == pytest.approx(expected, rel=tied.rel, abs=tied.rel)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_is_one_on_self_and_symmetric(correlation, paired, backend):
    X, Y = paired
    options = {"correlation": correlation, "backend": backend}
    assert cs.rsa(X, X, **options) == pytest.approx(1.0, abs=1e-12)
    assert cs.rsa(X, Y, **options) == pytest.approx(cs.rsa(Y, X, **options), rel=1e-12)


def test_spearman_sees_the_order_only(backend):
    # Squaring the gaps of a growing sequence keeps the order of all distances.
    X = np.array([[0.0], [1.0], [3.0], [7.0], [15.0]])
    Y = X**2
    assert cs.rsa(X, Y, correlation="spearman", backend=backend) == pytest.approx(1.0)
    assert cs.rsa(X, Y, backend=backend) < 0.999


def test_known_answer(backend):
    # Distances 1, 3, 2 against 2, 3, 1: Pearson and Spearman are both 0.5.
    X = np.array([[0.0], [1.0], [3.0]])
    Y = np.array([[0.0], [2.0], [3.0]])
    assert cs.rsa(X, Y, backend=backend) == pytest.approx(0.5, abs=1e-12)
    assert cs.rsa(X, Y, correlation="spearman", backend=backend) == pytest.approx(0.5)
