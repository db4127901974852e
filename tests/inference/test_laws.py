import math

import numpy as np
import pytest
from scipy import stats

from consilience.inference.discovery import benjamini_hochberg
from consilience.inference.laws import Drawn, PearsonThree, Root, calibrated
from consilience.inference.relabel import permutation, permutations

# ---- fitted laws -------------------------------------------------------------------------


@pytest.mark.parametrize("skewness", [-1.5, -0.2, 0.0, 0.2, 1.5])
def test_pearson_three_is_the_law_of_that_name(skewness):
    law = PearsonThree(2.0, 0.5, skewness)
    known = stats.pearson3(skewness, loc=2.0, scale=0.5)
    for x in (1.2, 1.9, 2.1, 3.0, 4.0):
        assert law.upper(x) == pytest.approx(known.sf(x), rel=1e-9, abs=1e-300)
    for alpha in (0.5, 0.05, 0.001):
        assert law.threshold(0.0, alpha) == pytest.approx(known.isf(alpha), rel=1e-9)


@pytest.mark.parametrize("skewness", [-0.7, 0.0, 0.7])
def test_the_threshold_is_exceeded_with_probability_alpha(skewness):
    law = PearsonThree(-1.0, 3.0, skewness)
    assert law.upper(law.threshold(0.0, 0.05)) == pytest.approx(0.05, rel=1e-9)


def test_beyond_the_end_of_a_skewed_law_nothing_is_left():
    law = PearsonThree(0.0, 1.0, -1.0)  # ends at mean + 2 std / |skewness|
    assert law.upper(2.1) == 0.0
    assert PearsonThree(0.0, 1.0, 1.0).upper(-2.1) == 1.0


def test_a_law_without_spread_knows_only_its_mean():
    law = PearsonThree(0.3, 0.0)
    assert law.upper(0.3) == 1.0
    assert law.upper(0.4) == 0.0


def test_the_root_of_a_statistic_has_its_p_value():
    square = PearsonThree(0.2, 0.05, 0.4)
    assert Root(square).upper(0.5) == square.upper(0.25)
    assert Root(square).threshold(0.5) == pytest.approx(math.sqrt(square.threshold(0.25)))
    assert Root(PearsonThree(-1.0, 0.1)).threshold(0.0) == 0.0


# ---- draws -------------------------------------------------------------------------------


def test_the_add_one_p_value():
    law = Drawn(np.array([0.1, 0.2, 0.3, 0.4]))
    assert law.upper(0.5) == 1 / 5
    assert law.upper(0.4) == 2 / 5  # an equal draw counts
    assert law.upper(0.0) == 1.0


def test_a_draw_that_differs_by_rounding_counts_as_equal():
    assert Drawn(np.array([0.3 - 1e-16])).upper(0.1 + 0.2) == 1.0


@pytest.mark.parametrize(("n_draws", "place"), [(19, 19), (99, 95), (199, 190), (200, 191)])
def test_the_threshold_is_an_order_statistic_of_draws_and_score(n_draws, place):
    draws = np.arange(1.0, n_draws + 1.0)
    rng = np.random.default_rng(0)
    assert Drawn(rng.permutation(draws)).threshold(1e9) == place


def test_calibrated_is_0_at_chance_and_1_at_identity():
    law = Drawn(np.linspace(0.0, 0.2, 99))
    threshold = law.threshold(0.9)
    assert calibrated(law, 0.1, 1.0) == 0.0
    assert calibrated(law, 1.0, 1.0) == 1.0
    assert calibrated(law, 0.9, 1.0) == pytest.approx((0.9 - threshold) / (1.0 - threshold))


def test_calibrated_is_0_where_chance_reaches_the_best():
    assert calibrated(Drawn(np.ones(99)), 1.0, 1.0) == 0.0


# ---- relabellings ------------------------------------------------------------------------


def test_a_permutation_depends_on_its_number_alone():
    together = permutations(50, 3, 0, 8)
    for draw in (7, 0, 4):
        np.testing.assert_array_equal(permutation(50, 3, draw), together[draw])
    np.testing.assert_array_equal(permutations(50, 3, 4, 6), together[4:6])


def test_permutations_are_permutations_and_differ():
    drawn = permutations(30, 0, 0, 200)
    assert (np.sort(drawn, axis=1) == np.arange(30)).all()
    assert len(np.unique(drawn, axis=0)) == 200
    assert (permutations(30, 1, 0, 200) != drawn).any(axis=1).all()


def test_every_sample_goes_everywhere_as_often():
    drawn = permutations(6, 0, 0, 6000)
    counts = np.stack([np.bincount(column, minlength=6) for column in drawn.T])
    chi2 = ((counts - 1000) ** 2 / 1000).sum()
    assert chi2 < stats.chi2(25).isf(1e-4)


# ---- many tests --------------------------------------------------------------------------


def test_q_values_are_those_of_scipy():
    p = np.random.default_rng(1).uniform(size=40) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_q_values_of_undefined_tests_are_undefined_and_do_not_count():
    p = np.array([[0.01, np.nan], [0.04, np.nan]])
    np.testing.assert_allclose(benjamini_hochberg(p), [[0.02, np.nan], [0.04, np.nan]])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_discoveries_are_false_at_most_at_the_rate():
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(400):
        p = rng.uniform(size=50)
        p[:10] = stats.norm.sf(rng.standard_normal(10) + 3.0)
        found = benjamini_hochberg(p) <= 0.1
        shares.append(found[10:].sum() / max(found.sum(), 1))
    assert 0.05 < np.mean(shares) < 0.1  # 0.1 * 40 / 50 is expected
