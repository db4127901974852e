from __future__ import annotations

import numpy as np
import pytest

from consilience.study.analyses import recommendation

NAMES = ("big", "middle", "small", "tiny", "random")
FACTS = (
    {"name": "big", "parameters": 1000, "seconds_per_1k": 50.0},
    {"name": "middle", "parameters": 100, "seconds_per_1k": 60.0},
    {"name": "small", "parameters": 10, "seconds": 4.0, "n_samples": 200},
    {"name": "tiny", "parameters": 1, "seconds_per_1k": None},
    {"name": "random", "baseline": True, "parameters": 1},
)


def alignment(*rows):
    values = np.eye(len(rows[0]))
    for a, row in enumerate(rows):
        values[a, a + 1 :] = values[a + 1 :, a] = row[a + 1 :]
    return values


#                   big middle small tiny random
VALUES = alignment(
    (1, 0.9, 0.6, 0.7, 0.95), (0, 1, 0.5, 0.2, 0.1), (0, 0, 1, 0.3, 0.1), (0, 0, 0, 1, 0.1)
)


def names_of(found, target):
    (one,) = [t for t in found.targets if t.target == target]
    return [candidate.name for candidate in one.candidates]


def test_candidates_are_on_the_front_of_size_or_time(scores_of):
    found = recommendation(scores_of(VALUES), NAMES, FACTS)
    # By size: tiny, middle (small aligns less than tiny). By time: small, the only faster one.
    assert names_of(found, "big") == ["middle", "tiny", "small"]
    # By time big and small are faster than middle; by size tiny and small are smaller.
    assert names_of(found, "middle") == ["big", "small", "tiny"]
    # Its time is not known, so neither is what is faster: all that have one are candidates.
    assert names_of(found, "tiny") == ["big", "small"]


def test_the_smallest_and_fastest_has_no_candidate(scores_of):
    facts = [{"parameters": p, "seconds_per_1k": p} for p in (3, 2, 1)]
    found = recommendation(scores_of(VALUES[:3, :3]), NAMES[:3], facts)
    assert names_of(found, "small") == []


def test_baselines_are_neither_targets_nor_candidates(scores_of):
    found = recommendation(scores_of(VALUES), NAMES, FACTS)
    assert [t.target for t in found.targets] == ["big", "middle", "small", "tiny"]
    assert all("random" not in names_of(found, t.target) for t in found.targets)


def test_a_candidate_carries_its_score_and_interval(scores_of):
    found = recommendation(
        scores_of(VALUES, std_error=np.full((5, 5), 0.01)), NAMES, FACTS
    ).to_json()
    small = found["targets"][0]["candidates"][2]
    assert small == {
        "name": "small",
        "score": 0.6,
        "low": pytest.approx(0.5804, abs=1e-4),
        "high": pytest.approx(0.6196, abs=1e-4),
        "parameters": 10,
        "seconds_per_1k": 20.0,
    }


def test_what_chance_gives_is_no_candidate(scores_of):
    scores = scores_of(VALUES, std_error=np.full((5, 5), 0.01), null_mean=np.full((5, 5), 0.65))
    assert names_of(recommendation(scores, NAMES, FACTS), "big") == ["middle", "tiny"]


@pytest.fixture
def eight(scores_of):
    """m0 … m4 do well and agree at about 0.8, but m1 with nobody; m5 … do badly."""
    rng = np.random.default_rng(0)
    values = np.full((9, 9), 0.2)
    values[:5, :5] = 0.8 + rng.uniform(-0.02, 0.02, (5, 5))
    values[1, :] = values[:, 1] = 0.3
    values = (values + values.T) / 2
    np.fill_diagonal(values, 1.0)
    return scores_of(values, std_error=np.full((9, 9), 0.02))


def test_a_good_model_that_stands_alone_is_a_local_optimum(eight):
    names = [f"m{a}" for a in range(9)]
    facts = [{"name": name} for name in names]
    found = recommendation(eight, names, facts, {f"m{a}": 0.1 + a for a in range(9)}).to_json()
    (optimum,) = found["local_optima"]
    assert optimum["name"] == "m1"
    assert optimum["performance"] == 1.1
    assert optimum["mean_alignment"] == pytest.approx(0.3)
    assert optimum["high"] == pytest.approx(0.3 + 1.96 * 0.02, abs=1e-4)
    assert "rank 2 of 9" in optimum["reason"]
    assert found["local_optima_reason"] is None


def test_an_interval_that_reaches_the_others_is_no_local_optimum(eight, scores_of):
    names = [f"m{a}" for a in range(9)]
    wide = scores_of(eight.values, std_error=np.full((9, 9), 0.3))
    found = recommendation(wide, names, [{}] * 9, {f"m{a}": 0.1 + a for a in range(9)})
    assert found.local_optima == ()


def test_a_bad_model_that_stands_alone_is_none(eight):
    names = [f"m{a}" for a in range(9)]
    backwards = {f"m{a}": 9.0 - a for a in range(9)}
    found = recommendation(eight, names, [{}] * 9, backwards)
    assert "m1" not in [optimum.name for optimum in found.local_optima]
    same = recommendation(eight, names, [{}] * 9, backwards, lower_is_better=False)
    assert [optimum.name for optimum in same.local_optima] == ["m1"]


def test_without_performance_local_optima_are_absent_and_why_is_said(scores_of):
    found = recommendation(scores_of(VALUES), NAMES, FACTS)
    assert found.local_optima == ()
    assert "performance of 7 models" in found.local_optima_reason


def test_bad_input_is_named(scores_of):
    with pytest.raises(ValueError, match="smaller where models agree more"):
        recommendation(scores_of(VALUES, label="ii", metric="information_imbalance"), NAMES, FACTS)
    with pytest.raises(ValueError, match="`facts` must have one entry per model, 5"):
        recommendation(scores_of(VALUES), NAMES, FACTS[:2])
    with pytest.raises(ValueError, match="`parameters` of 'big' must be a finite"):
        recommendation(scores_of(VALUES), NAMES, [{"parameters": -1}, {}, {}, {}, {}])
    with pytest.raises(ValueError, match="no model"):
        recommendation(scores_of(VALUES), NAMES, FACTS, {"nobody": 1.0})


def test_a_model_that_is_merely_the_lowest_is_no_local_optimum(scores_of):
    # Everyone has a level of agreement of its own, evenly spread.
    level = np.linspace(0.2, 0.3, 9)
    values = level[:, None] + level
    np.fill_diagonal(values, 1.0)
    names = [f"m{a}" for a in range(9)]
    found = recommendation(scores_of(values), names, [{}] * 9, {f"m{a}": a for a in range(9)})
    assert found.local_optima == ()


@pytest.mark.parametrize("n", [7, 15])
def test_local_optima_are_rare_where_models_differ_by_chance(scores_of, n):
    rng, found, trials = np.random.default_rng(0), 0, 300
    names = [f"m{a}" for a in range(n)]
    for _ in range(trials):
        u = rng.standard_normal(n)
        scores = scores_of(u[:, None] + u, bounds=(-9, 9))
        found += bool(
            recommendation(scores, names, [{}] * n, {f"m{a}": a for a in range(n)}).local_optima
        )
    assert 0.02 <= found / trials <= 0.08
