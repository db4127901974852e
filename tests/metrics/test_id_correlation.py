from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference


def test_value_equals_the_dense_definition(case, backend):
    result = cs.id_correlation(case.X, case.Y, permutations=0, backend=backend)
    expected = reference.id_correlation(case.X, case.Y)
    assert result.value == pytest.approx(expected, rel=case.rel, abs=case.rel)
    assert result.p_value is None


def test_result_unpacks_to_value_and_p_value(paired, backend):
    value, p_value = cs.id_correlation(*paired, permutations=19, backend=backend)
    assert type(value) is float
    assert type(p_value) is float


def test_p_value_is_a_count_out_of_the_draws_and_one(paired, backend):
    P = 19
    p_value = cs.id_correlation(*paired, permutations=P, backend=backend).p_value
    count = p_value * (P + 1)
    assert count == pytest.approx(round(count), abs=1e-9)
    assert 1 <= round(count) <= P + 1


def test_the_same_seed_gives_the_same_p_value(paired, backend):
    first, again = (
        cs.id_correlation(*paired, permutations=29, seed=3, backend=backend) for _ in range(2)
    )
    assert first == again


def test_dependent_sets_are_told_from_independent_ones(backend):
    rng = np.random.default_rng(10)
    X = rng.standard_normal((150, 3))
    Y = np.column_stack([np.sin(X), X[:, :1] ** 2])
    dependent = cs.id_correlation(X, Y, permutations=19, backend=backend)
    assert dependent.p_value == pytest.approx(1 / 20)
    alone = cs.id_correlation(X, rng.standard_normal((150, 3)), permutations=19, backend=backend)
    assert alone.value < dependent.value
    assert alone.p_value > 1 / 20


def test_p_value_under_independence_is_not_small_too_often(backend):
    rng = np.random.default_rng(11)
    p_values = [
        cs.id_correlation(
            *rng.standard_normal((2, 40, 3)), permutations=9, seed=i, backend=backend
        ).p_value
        for i in range(40)
    ]
    # P(p <= 0.1) is 0.1 by construction; 40 draws exceed 11 with probability < 0.2 %.
    assert sum(p <= 0.1 + 1e-9 for p in p_values) <= 11


def test_a_set_with_itself_is_one(paired, backend):
    X, _ = paired
    result = cs.id_correlation(X, X, permutations=0, backend=backend)
    assert result.value == pytest.approx(1.0, abs=1e-9)


def test_column_scales_do_not_matter(paired, backend, rng):
    X, Y = paired
    expected = cs.id_correlation(X, Y, permutations=0, backend=backend).value
    scaled = X * rng.uniform(0.01, 100.0, X.shape[1]) + 5.0
    result = cs.id_correlation(scaled, Y, permutations=0, backend=backend)
    assert result.value == pytest.approx(expected, abs=1e-8)
