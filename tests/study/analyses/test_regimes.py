from __future__ import annotations

import itertools

import numpy as np
import pytest

from consilience.study.analyses import compare_regimes
from consilience.study.analyses.regimes import pseudo_values, sign_flip


def test_common_pairs_are_compared(scores_of):
    inside = scores_of([[1, 0.5, 0.3], [0.5, 1, 0.1], [0.3, 0.1, 1]])
    outside = scores_of([[1, 0.2, 0.9], [0.2, 1, 0.6], [0.9, 0.6, 1]])
    found = compare_regimes(inside, outside, ["a", "b", "c"], ["c", "x", "a"]).to_json()
    assert found["pairs"] == [{"a": "a", "b": "c", "inside": 0.3, "outside": 0.9}]
    assert found["difference"] == pytest.approx(0.6)
    assert found["p"] is None
    assert "3 common models" in found["reason"]


def test_a_shift_of_all_pairs_is_found_exactly(scores_of, random_scores):
    values = random_scores(6) / 2
    names = [f"m{a}" for a in range(6)]
    found = compare_regimes(scores_of(values), scores_of(values + 0.2), names, names)
    assert found.difference == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2)
    assert found.high == pytest.approx(0.2)
    # All models say the same: only all signs flipped is as extreme.
    assert found.p == 2 / 2**6


def test_pseudo_values_are_those_of_leaving_a_model_out(rng):
    d = rng.standard_normal((6, 6))
    d = d + d.T

    def mean(kept):
        return np.mean([d[a, b] for a, b in itertools.combinations(kept, 2)])

    everyone = list(range(6))
    expected = [6 * mean(everyone) - 5 * mean([b for b in everyone if b != a]) for a in everyone]
    np.testing.assert_allclose(pseudo_values(d), expected, rtol=1e-12)
    assert np.mean(expected) == pytest.approx(mean(everyone))


def test_differences_that_come_from_models_are_their_own_units(rng):
    u = rng.standard_normal(7)
    np.testing.assert_allclose(pseudo_values(0.3 + u[:, None] + u), 0.3 + 2 * u)


@pytest.mark.parametrize("source", ["models", "pairs"])
def test_level_and_coverage_hold_where_pairs_share_models(scores_of, source):
    rng, rejected, covered, trials, m = np.random.default_rng(0), 0, 0, 300, 9
    names = [f"m{a}" for a in range(m)]
    base = np.full((m, m), 0.5)
    for _ in range(trials):
        u, e = rng.standard_normal(m), rng.standard_normal((m, m))
        difference = u[:, None] + u if source == "models" else e + e.T
        found = compare_regimes(
            scores_of(base, bounds=(-9, 9)),
            scores_of(base + 0.1 * difference, bounds=(-9, 9)),
            names,
            names,
        )
        rejected += found.p <= 0.05
        covered += found.low <= 0.0 <= found.high
    assert rejected / trials <= 0.08
    assert covered / trials >= 0.92
    if source == "models":
        assert rejected / trials >= 0.02  # exact, not merely safe


def test_the_sign_test_by_draws_agrees_with_the_exact_one(rng):
    w = rng.standard_normal(14) + 0.5
    signs = np.array(list(itertools.product([-1, 1], repeat=14)))
    exact = np.mean(np.abs(signs @ w) >= abs(w.sum()) - 1e-12)
    assert sign_flip(w, seed=0) == pytest.approx(exact)
    longer = np.append(w, 0.0)
    assert sign_flip(longer, seed=0) == pytest.approx(exact, abs=0.015)


def test_bad_input_is_named(scores_of):
    two = scores_of([[1, 0.5], [0.5, 1]])
    with pytest.raises(ValueError, match="share 1"):
        compare_regimes(two, two, ["a", "b"], ["b", "c"])
    other = scores_of([[1, 0.5], [0.5, 1]], settings={"k": 3})
    with pytest.raises(ValueError, match="one choice of settings"):
        compare_regimes(two, other, ["a", "b"], ["a", "b"])
    with pytest.raises(ValueError, match="2 models, but 1 names"):
        compare_regimes(two, two, ["a"], ["a", "b"])
