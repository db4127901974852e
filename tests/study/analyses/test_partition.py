from __future__ import annotations

import numpy as np
import pytest

from consilience.study.analyses import explain

DATA = list("aabbccaabbcc")
ARCHITECTURE = list("xyxyxyyxyxyx")


def same(values):
    values = np.array(values)
    return (values[:, None] == values[None]).astype(float)


@pytest.fixture
def noise(rng):
    e = rng.standard_normal((12, 12))
    return e + e.T


def shares(found):
    return {factor.name: factor for factor in found.factors}


def test_what_one_factor_makes_is_its_own(scores_of):
    scores = scores_of(0.2 + 0.5 * same(DATA))
    found = explain(scores, {"data": DATA, "architecture": ARCHITECTURE})
    data, architecture = found.factors
    assert data.share_alone == pytest.approx(1.0)
    assert data.p <= 0.001
    assert architecture.share_unique == pytest.approx(0.0, abs=1e-12)
    assert found.residual == pytest.approx(0.0, abs=1e-12)
    assert found.n_pairs == 66


def test_shares_are_those_of_least_squares(scores_of, noise):
    scores = scores_of(
        same(DATA) + 0.5 * same(ARCHITECTURE) + 0.5 * noise, bounds=(-99, 99), label="s"
    )
    upper = np.triu_indices(12, 1)
    y = scores.values[upper]

    def r2(*columns):
        design = np.column_stack([np.ones(66), *(same(c)[upper] for c in columns)])
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return 1 - rest @ rest / np.sum((y - y.mean()) ** 2)

    found = explain(scores, {"data": DATA, "architecture": ARCHITECTURE})
    whole = r2(DATA, ARCHITECTURE)
    by = shares(found)
    assert by["data"].share_alone == pytest.approx(r2(DATA))
    assert by["data"].share_unique == pytest.approx(whole - r2(ARCHITECTURE))
    assert by["architecture"].share_unique == pytest.approx(whole - r2(DATA))
    assert found.residual == pytest.approx(1 - whole)
    total = sum(f.share_unique for f in found.factors) + found.shared + found.residual
    assert total == pytest.approx(1.0)


def test_factors_that_say_the_same_have_nothing_of_their_own(scores_of, noise):
    scores = scores_of(same(DATA) + 0.1 * noise, bounds=(-99, 99))
    found = explain(scores, {"data": DATA, "again": [d.upper() for d in DATA]})
    for factor in found.factors:
        assert factor.share_unique == 0.0
        assert factor.p is None
        assert "say the same" in factor.reason
        assert factor.p_alone <= 0.001
    assert found.shared == pytest.approx(found.factors[0].share_alone)


def test_the_test_keeps_its_level_where_pairs_share_models_and_factors_overlap(scores_of):
    # Data makes scores, models have levels of their own, and architecture goes with the data.
    rng, rejected, trials = np.random.default_rng(0), 0, 200
    architecture = list("xxyyzzxxyyxz")
    for seed in range(trials):
        u, e = rng.standard_normal(12), rng.standard_normal((12, 12))
        values = same(DATA) + 0.5 * (u[:, None] + u) + 0.3 * (e + e.T)
        found = explain(
            scores_of(values, bounds=(-99, 99)),
            {"data": DATA, "architecture": architecture},
            n_permutations=199,
            seed=seed,
        )
        rejected += found.factors[1].p <= 0.05
    assert rejected / trials <= 0.09


def test_models_with_an_unknown_factor_are_left_out(scores_of, random_scores):
    values = random_scores(8)
    data = [*"aabbab", "", None]
    found = explain(scores_of(values), {"data": data})
    alone = explain(scores_of(values[:6, :6]), {"data": data[:6]})
    assert found.left_out == 2
    assert found.factors == alone.factors


def test_a_factor_that_is_the_same_for_all_explains_nothing_and_says_so(scores_of, random_scores):
    found = explain(scores_of(random_scores(5)), {"data": ["a"] * 5, "size": [1, 2, 3, 4, 5]})
    for factor, word in zip(found.factors, ("the same", "different"), strict=True):
        assert (factor.share_alone, factor.share_unique, factor.p) == (0.0, 0.0, None)
        assert f"{word} for all pairs" in factor.reason


def test_bad_input_is_named(scores_of, random_scores):
    with pytest.raises(ValueError, match=r"needs 4 models .* got 3 of 5"):
        explain(scores_of(random_scores(5)), {"data": ["a", "a", "b", None, ""]})
    with pytest.raises(ValueError, match="all scores are equal"):
        explain(scores_of(np.ones((5, 5))), {"data": list("aabbc")})
    with pytest.raises(ValueError, match="`factors` is empty"):
        explain(scores_of(random_scores(5)), {})
    with pytest.raises(ValueError, match="`data` must have one entry per model"):
        explain(scores_of(random_scores(5)), {"data": ["a"]})
