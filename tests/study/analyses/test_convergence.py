from __future__ import annotations

import math

import numpy as np
import pytest

from consilience.study.analyses import convergence

NAMES = ("best", "a", "b", "c", "d", "e")
MAE = {"best": 0.01, "a": 0.02, "b": 0.03, "c": 0.04, "d": 0.05}


@pytest.fixture
def converging(scores_of):
    """Alignment with the best falls with the error; all else is 0.3."""
    values = np.full((6, 6), 0.3)
    np.fill_diagonal(values, 1.0)
    values[0, 1:] = values[1:, 0] = [0.9, 0.8, 0.7, 0.6, 0.99]
    return scores_of(values, std_error=np.full((6, 6), 0.01))


def test_alignment_with_the_best_against_performance(converging):
    found = convergence(
        converging,
        NAMES,
        MAE,
        performance_label="MAE",
        parameters={"a": 1000, "b": 100, "c": 10, "d": 1},
        families={"a": "F", "b": "F", "c": "", "d": "G"},
    ).to_json()
    assert found["best"] == "best"
    assert [p["name"] for p in found["points"]] == ["a", "b", "c", "d"]
    assert found["points"][0] == {
        "name": "a",
        "performance": 0.02,
        "alignment": 0.9,
        "low": pytest.approx(0.9 - 0.0196, abs=1e-6),
        "high": pytest.approx(0.9 + 0.0196, abs=1e-6),
        "parameters": 1000,
        "family": "F",
    }
    assert found["points"][2]["family"] is None
    assert found["correlation"]["rho"] == -1.0
    assert found["correlation"]["p"] == 2 / math.factorial(4)
    assert found["trends"]["parameters"]["rho"] == 1.0
    assert found["trends"]["training_size"]["rho"] is None
    assert set(found["within"]) == {"F", "G"}
    assert found["within"]["F"]["n"] == 2
    assert "needs 4 points" in found["within"]["F"]["reason"]


def test_higher_may_be_better(converging):
    accuracy = {name: -value for name, value in MAE.items()}
    found = convergence(
        converging, NAMES, accuracy, performance_label="accuracy", lower_is_better=False
    )
    assert found.best == "best"
    assert found.correlation.rho == 1.0


def test_within_a_family_only_its_models_count(converging):
    performance = MAE | {"e": 0.06}
    found = convergence(
        converging,
        NAMES,
        performance,
        performance_label="MAE",
        families=["F", "F", "F", "F", "F", "G"],
    )
    assert found.within["F"].rho == -1.0
    assert found.correlation.rho == pytest.approx(0.0)


def test_without_errors_there_is_no_interval(scores_of):
    found = convergence(
        scores_of(np.eye(3)), ["a", "b", "c"], {"a": 1, "b": 2}, performance_label="MAE"
    )
    assert (found.points[0].low, found.points[0].high) == (None, None)
    assert found.correlation.rho is None


def test_constant_alignment_has_no_correlation(scores_of):
    performance = dict(zip(NAMES, range(6), strict=True))
    found = convergence(scores_of(np.ones((6, 6))), NAMES, performance, performance_label="MAE")
    assert found.correlation.rho is None
    assert "equal" in found.correlation.reason


@pytest.mark.parametrize("performance", [{}, {"a": 1.0}, {"a": 1.0, "b": None}])
def test_missing_performance_is_an_error(converging, performance):
    with pytest.raises(ValueError, match="at least two models"):
        convergence(converging, NAMES, performance, performance_label="MAE")


def test_bad_input_is_named(converging, scores_of):
    with pytest.raises(ValueError, match="'x', which is no model"):
        convergence(converging, NAMES, {"x": 1.0}, performance_label="MAE")
    with pytest.raises(ValueError, match="'a' must be finite"):
        convergence(converging, NAMES, MAE | {"a": math.inf}, performance_label="MAE")
    with pytest.raises(ValueError, match="`parameters` of 'a' must be a finite"):
        convergence(converging, NAMES, MAE, performance_label="MAE", parameters={"a": -1})
    with pytest.raises(ValueError, match="single models"):
        convergence(scores_of(np.ones(6)), NAMES, MAE, performance_label="MAE")


def test_the_alignment_is_the_mean_of_both_directions(scores_of):
    scores = scores_of([[1, 0.2, 0.5], [0.6, 1, 0.5], [0.5, 0.5, 1]])
    found = convergence(scores, ["a", "b", "c"], {"a": 1, "b": 2}, performance_label="MAE")
    assert found.points[0].alignment == pytest.approx(0.4)
