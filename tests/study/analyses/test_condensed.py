from __future__ import annotations

import numpy as np
import pytest

from consilience.study.analyses import condensed


@pytest.fixture
def four(scores_of):
    # A A B B: within A 0.8, within B 0.6, between 0.1 to 0.4
    values = np.array(
        [[1, 0.8, 0.1, 0.2], [0.8, 1, 0.3, 0.4], [0.1, 0.3, 1, 0.6], [0.2, 0.4, 0.6, 1]]
    )
    return scores_of(values, std_error=np.full((4, 4), 0.05))


def test_blocks_are_means_without_a_model_with_itself(four):
    found = condensed(four, ["A", "A", "B", "B"], by="family").to_json()
    assert found["groups"] == ["A", "B"]
    assert found["means"] == [[0.8, pytest.approx(0.25)], [pytest.approx(0.25), 0.6]]
    assert found["counts"] == [[1, 4], [4, 1]]
    assert (found["label"], found["by"]) == ("cknna", "family")


def test_the_error_of_a_block_is_the_mean_of_its_errors(four):
    found = condensed(four, ["A", "A", "B", "B"], by="family")
    assert found.low[0][1] == pytest.approx(0.25 - 1.96 * 0.05, abs=1e-5)
    assert found.high[0][1] == pytest.approx(0.25 + 1.96 * 0.05, abs=1e-5)


def test_baselines_are_a_group_of_their_own(four):
    found = condensed(four, ["A", "A", "A", "B"], baselines=[False, False, True, True], by="family")
    assert found.groups == ("A", "baseline")
    assert found.means[0][1] == pytest.approx(0.25)


def test_unknown_groups_are_no_family(four):
    found = condensed(four, ["A", None, "", "A"], by="architecture").to_json()
    assert found["groups"] == ["A", "unknown"]
    assert found["means"][1][1] is None
    assert found["counts"][1][1] == 0
    assert found["means"][0][1] == pytest.approx((0.8 + 0.1 + 0.4 + 0.6) / 4)


def test_a_group_of_one_has_no_diagonal_and_no_errors_mean_no_interval(scores_of):
    found = condensed(scores_of([[1, 0.5], [0.5, 1]]), ["A", "B"], by="family").to_json()
    assert found["means"] == [[None, 0.5], [0.5, None]]
    assert found["low"] == [[None, None], [None, None]]


def test_a_directed_score_keeps_its_direction(scores_of):
    found = condensed(scores_of([[0, 0.2], [0.7, 0]]), ["A", "B"], by="family")
    assert (found.means[0][1], found.means[1][0]) == (0.2, 0.7)


def test_bad_input_is_named(four, scores_of):
    with pytest.raises(ValueError, match="4 models, but 3 names"):
        condensed(four, ["A", "A", "B"], by="family")
    with pytest.raises(ValueError, match="`baselines` must have 4"):
        condensed(four, ["A"] * 4, baselines=[True], by="family")
    with pytest.raises(ValueError, match="single models"):
        condensed(scores_of([1.0, 2.0]), ["A", "B"], by="family")
