from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from consilience.study.analyses import spearman, spearman_of_pairs


@pytest.mark.parametrize("n", [5, 12, 40])
def test_rho_is_scipys_with_ties(rng, n):
    x, y = rng.integers(0, 6, (2, n))
    assert spearman(x, y).rho == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("n", [4, 6, 7])
def test_p_counts_all_orders(rng, n):
    x, y = rng.standard_normal((2, n))
    y = np.round(y)
    observed = abs(stats.spearmanr(x, y).statistic)
    others = [abs(stats.spearmanr(x, order).statistic) for order in itertools.permutations(y)]
    assert spearman(x, y).p == pytest.approx(np.mean(np.array(others) >= observed - 1e-9))


def test_p_by_draws_agrees_with_the_exact_one(rng):
    x = np.arange(10)
    y = x + rng.normal(0, 4, 10)
    exact = stats.spearmanr(x, y).pvalue  # Student's t, close enough at n = 10
    assert spearman(x, y).p == pytest.approx(exact, rel=0.5)
    assert spearman(x, y) == spearman(x, y)


def test_a_perfect_order_is_as_unlikely_as_it_can_be():
    found = spearman(range(6), range(6))
    assert found.rho == 1.0
    assert found.p == 2 / math.factorial(6)
    assert found.high == 1.0
    assert 0.3 < found.low < 1.0


def test_the_interval_is_fishers_with_the_variance_of_bonett_and_wright(rng):
    x = rng.standard_normal(30)
    found = spearman(x, x + rng.standard_normal(30))
    reach = 1.959964 * math.sqrt((1 + found.rho**2 / 2) / 27)
    z = math.atanh(found.rho)
    assert found.low == pytest.approx(math.tanh(z - reach), abs=1e-6)
    assert found.high == pytest.approx(math.tanh(z + reach), abs=1e-6)


def test_intervals_cover_the_truth():
    rng, truth, hits = np.random.default_rng(3), 0.7, 0
    rho = 6 / math.pi * math.asin(truth / 2)  # Spearman's of a normal pair
    for _ in range(400):
        x = rng.standard_normal(40)
        y = truth * x + math.sqrt(1 - truth**2) * rng.standard_normal(40)
        found = spearman(x, y, n_permutations=1)
        hits += found.low <= rho <= found.high
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize("x", [[1, 2, 3], []])
def test_too_few_points_have_no_correlation_and_say_so(x):
    found = spearman(x, x)
    assert (found.rho, found.low, found.high, found.p, found.n) == (None,) * 4 + (len(x),)
    assert "needs 4 points" in found.reason


def test_constant_values_have_no_order_and_say_so():
    found = spearman([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])
    assert found.rho is None
    assert "equal" in found.reason


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        spearman([1, 2, 3, math.nan], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="one length"):
        spearman([1, 2, 3], [1, 2, 3, 4])


def test_pairs_are_tested_by_relabelling_models(random_scores):
    A = random_scores(5)
    B = random_scores(5)
    upper = np.triu_indices(5, 1)
    observed = abs(stats.spearmanr(A[upper], B[upper]).statistic)
    all_ways = [
        abs(stats.spearmanr(A[upper], B[np.ix_(order, order)][upper]).statistic)
        for order in itertools.permutations(range(5))
    ]
    found = spearman_of_pairs(A, B)
    assert found.rho == pytest.approx(stats.spearmanr(A[upper], B[upper]).statistic)
    assert found.p == pytest.approx(np.mean(np.array(all_ways) >= observed - 1e-9))
    assert found.n == 10


def test_relabelling_keeps_its_level_where_pairs_share_models():
    # Each model agrees with everybody to its own degree: pairs are far from independent.
    rng, mantel, naive = np.random.default_rng(0), 0, 0
    upper = np.triu_indices(10, 1)
    for seed in range(200):
        u, v = rng.standard_normal((2, 10))
        A, B = u[:, None] + u, v[:, None] + v
        mantel += spearman_of_pairs(A, B, n_permutations=199, seed=seed).p <= 0.05
        naive += stats.spearmanr(A[upper], B[upper]).pvalue <= 0.05
    assert mantel / 200 <= 0.09
    assert naive / 200 >= 0.2


def test_the_jackknife_of_pairs_covers_zero_as_often_as_it_says():
    rng, hits = np.random.default_rng(1), 0
    for _ in range(150):
        u, v = rng.standard_normal((2, 12))
        found = spearman_of_pairs(u[:, None] + u, v[:, None] + v, n_permutations=1)
        hits += found.low <= 0.0 <= found.high
    assert hits / 150 >= 0.9


@pytest.mark.parametrize("m", [0, 1, 3])
def test_too_few_models_have_no_correlation_of_pairs(m):
    found = spearman_of_pairs(np.eye(m), np.eye(m))
    assert found.rho is None
    assert "4 models" in found.reason


def test_four_models_have_a_correlation_but_no_interval(random_scores):
    found = spearman_of_pairs(random_scores(4), random_scores(4))
    assert found.rho is not None
    assert found.low is None
    assert "5 models" in found.reason
