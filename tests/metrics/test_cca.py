"""CCA, SVCCA, PWCCA, Procrustes similarity and linear regression: the linear subspaces."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

# The moments carry squares of singular values, so that half of the digits of a weak
# direction are gone: what is held is 1e-7 at float64.
REL = 1e-7


@pytest.mark.parametrize("name", ["cca", "svcca", "pwcca", "procrustes"])
def test_equals_the_dense_definition(name, case, backend):
    score = getattr(cs, name)(case.X, case.Y, backend=backend)
    expected = getattr(reference, name)(case.X, case.Y)
    assert score == pytest.approx(expected, rel=max(case.rel, REL))


def test_regression_equals_least_squares(case, backend):
    scores = cs.linear_regression_r2(case.X, case.Y, backend=backend)
    expected = reference.linear_regression_r2(case.X, case.Y)
    assert tuple(scores) == pytest.approx(expected, rel=max(case.rel, REL))


@pytest.mark.parametrize("options", [{"variance": 0.8}, {"variance": 1.0}, {"dims": 3}])
def test_svcca_equals_the_dense_definition(options, case_with_features, backend):
    X, Y, rel = case_with_features
    score = cs.svcca(X, Y, backend=backend, **options)
    assert score == pytest.approx(reference.svcca(X, Y, **options), rel=max(rel, REL))


@pytest.mark.parametrize("name", ["cca", "svcca", "pwcca", "procrustes"])
def test_is_one_on_self_and_symmetric_where_claimed(name, paired, backend):
    X, Y = paired
    metric = getattr(cs, name)
    assert metric(X, X, backend=backend) == pytest.approx(1.0, abs=1e-9)
    if name != "pwcca":
        assert metric(X, Y, backend=backend) == pytest.approx(
            metric(Y, X, backend=backend), rel=1e-9
        )


def test_pwcca_takes_its_weights_from_the_first_argument(backend):
    # Strong columns of X know nothing of Y, weak ones all: X's weights pull the score
    # down, Y's weights do not.
    rng = np.random.default_rng(4)
    Y = rng.standard_normal((80, 2)) @ np.diag([1.0, 0.7])
    X = np.hstack([0.1 * Y + 0.01 * rng.standard_normal((80, 2)), rng.normal(size=(80, 3))])
    forward = cs.pwcca(X, Y, backend=backend)
    back = cs.pwcca(Y, X, backend=backend)
    assert forward == pytest.approx(reference.pwcca(X, Y), rel=REL)
    assert back == pytest.approx(reference.pwcca(Y, X), rel=REL)
    assert abs(forward - back) > 1e-4


@pytest.mark.parametrize("name", ["cca", "svcca"])
def test_constant_and_repeated_columns_change_nothing(name, backend, rng):
    X, Y = rng.standard_normal((50, 4)), rng.standard_normal((50, 3))
    padded = np.hstack([X, X[:, :1], np.full((50, 1), 3.7)])
    metric = getattr(cs, name)
    options = {"variance": 1.0} if name == "svcca" else {}
    assert metric(padded, Y, backend=backend, **options) == pytest.approx(
        metric(X, Y, backend=backend, **options), rel=1e-6
    )


def test_regression_survives_repeated_and_constant_columns(backend, rng):
    X, Y = rng.standard_normal((50, 4)), rng.standard_normal((50, 3))
    padded = np.hstack([X, X[:, :1], np.full((50, 1), 3.7)])
    plain = cs.linear_regression_r2(X, Y, backend=backend)[0]
    assert cs.linear_regression_r2(padded, Y, backend=backend)[0] == pytest.approx(plain, rel=1e-6)


def test_more_features_than_samples_explain_everything(backend, rng):
    # Both centered spans are the whole space, so that every correlation is 1.
    X, Y = rng.standard_normal((12, 30)), rng.standard_normal((12, 40))
    assert cs.cca(X, Y, backend=backend) == pytest.approx(1.0, abs=1e-6)
    assert tuple(cs.linear_regression_r2(X, Y, backend=backend)) == pytest.approx(
        (1.0, 1.0), abs=1e-6
    )


def test_cca_ignores_any_invertible_map(paired, backend, rng):
    X, Y = paired
    expected = cs.cca(X, Y, backend=backend)
    moved = X @ rng.standard_normal((X.shape[1],) * 2) + 5.0
    assert cs.cca(moved, Y, backend=backend) == pytest.approx(expected, rel=1e-6)


def test_procrustes_ignores_rotation_scale_and_shift(paired, backend, rng):
    X, Y = paired
    expected = cs.procrustes(X, Y, backend=backend)
    Q = np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0]
    assert cs.procrustes(2.5 * X @ Q + 7.0, Y, backend=backend) == pytest.approx(expected, rel=1e-9)


def test_known_answers(backend):
    # Orthogonal centered columns a, b, c of length sqrt(4).
    a, b, c = np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]])
    X = np.column_stack([a, b])
    Y = np.column_stack([a, c])
    assert cs.cca(X, Y, backend=backend) == pytest.approx(0.5, abs=1e-12)
    assert cs.procrustes(X, Y, backend=backend) == pytest.approx(0.5, abs=1e-12)
    assert tuple(cs.linear_regression_r2(X, Y, backend=backend)) == pytest.approx(
        (0.5, 0.5), abs=1e-12
    )
    # Y = 3 a: X explains all of it, it explains a's half of X.
    line = 3.0 * a[:, None]
    assert tuple(cs.linear_regression_r2(X, line, backend=backend)) == pytest.approx(
        (1.0, 0.5), abs=1e-12
    )
    assert cs.cca(X, line, backend=backend) == pytest.approx(1.0, abs=1e-12)


def test_svcca_is_the_same_every_time(paired, backend):
    # The published program draws at random: .319 to .379 on one input.
    scores = {cs.svcca(*paired, dims=4, backend=backend) for _ in range(3)}
    assert len(scores) == 1


def test_pwcca_of_more_features_than_samples_does_not_depend_on_the_order_of_rows(rng):
    # Spans of 16 and 33 in 39 dimensions share at least 10: as many correlations are 1.
    X, Y = rng.standard_normal((40, 16)), rng.standard_normal((40, 33))
    order = rng.permutation(40)
    assert cs.pwcca(X[order], Y[order]) == pytest.approx(cs.pwcca(X, Y), rel=1e-8)


@pytest.mark.parametrize("name", ["cca", "svcca", "pwcca", "procrustes", "linear_regression_r2"])
def test_a_comparison_gives_the_scores_of_single_pairs(name, backend, paired, rng):
    # There the axes of a set and the vectors of a pair are made once and serve both ways.
    X, Y = paired
    sets = {"x": X, "y": Y, "z": np.hstack([Y[:, :4], rng.standard_normal((97, 5))])}
    table = cs.compare(sets, [name], null=None, intervals=None, backend=backend)[name]
    for i, A in enumerate(sets.values()):
        for j, B in enumerate(sets.values()):
            alone = getattr(cs, name)(A, B, backend=backend)
            alone = alone[0] if name == "linear_regression_r2" else alone
            assert table[i, j] == pytest.approx(alone, rel=1e-9)


def test_a_symmetric_metric_compares_to_a_symmetric_table(backend, paired):
    X, Y = paired
    table = cs.compare({"x": X, "y": Y}, ["cka", "cca"], null=None, intervals=None, backend=backend)
    for name in ("cka", "cca"):
        assert table[name][0, 1] == table[name][1, 0]
