from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from consilience.study.analyses import locality

UPPER = np.triu_indices(6, 1)


@pytest.fixture
def matrix(scores_of, matrix_of, random_scores):
    base = random_scores(6)
    return matrix_of(
        scores_of(base, label="cknna"),
        scores_of(base**2, label="cknna[k=10]", metric="cknna"),
        scores_of(1.0 - base + np.eye(6), label="cknna[k=100]", metric="cknna", bounds=(0, 2)),
        scores_of(random_scores(6), label="dcor", metric="distance_correlation"),
    )


LABELS = {100: "cknna[k=100]", 10: "cknna[k=10]", 25: "cknna"}


def test_rankings_are_compared_with_that_at_25(matrix):
    found = locality(matrix, LABELS).to_json()
    assert found["ks"] == [10, 25, 100]
    assert found["rank_correlation"] == [1.0, 1.0, -1.0]
    assert found["reference_k"] == 25
    assert len(found["pairs"]) == 15
    first = found["pairs"][0]
    assert (first["a"], first["b"]) == ("m0", "m1")
    expected = [matrix[label][0, 1] for label in ("cknna[k=10]", "cknna", "cknna[k=100]")]
    assert first["values"] == expected


def test_distance_correlations_are_what_is_compared_with(matrix):
    found = locality(matrix, LABELS).against
    assert set(found) == {"dcor"}
    expected = stats.spearmanr(matrix["cknna"][UPPER], matrix["dcor"][UPPER]).statistic
    assert found["dcor"].rho == pytest.approx(expected)
    assert found["dcor"].n == 15
    assert 0 < found["dcor"].p <= 1


def test_without_25_the_nearest_k_is_the_reference(matrix):
    found = locality(matrix, {10: "cknna[k=10]", 100: "cknna[k=100]"})
    assert found.reference_k == 10
    assert found.rank_correlation == (1.0, -1.0)


def test_two_models_have_values_and_no_ranking(scores_of, matrix_of):
    two = [[1, 0.5], [0.5, 1]]
    matrix = matrix_of(scores_of(two, label="a"), scores_of(two, label="b"))
    found = locality(matrix, {5: "a", 25: "b"}, against=["a"])
    assert found.pairs[0].values == (0.5, 0.5)
    assert found.rank_correlation == (None, None)
    assert "4 models" in found.against["a"].reason


def test_bad_input_is_named(matrix, scores_of, matrix_of):
    with pytest.raises(ValueError, match="at least two k"):
        locality(matrix, {25: "cknna"})
    with pytest.raises(KeyError, match="no metric 'nothing'"):
        locality(matrix, {25: "cknna", 50: "nothing"})
    one = matrix_of(scores_of([[1.0]], label="a"))
    with pytest.raises(ValueError, match="got 1 model"):
        locality(one, {5: "a", 25: "a"})


def test_near_is_meant_in_ratio(scores_of, matrix_of, random_scores):
    matrix = matrix_of(*(scores_of(random_scores(4), label=label) for label in "ab"))
    assert locality(matrix, {10: "a", 45: "b"}).reference_k == 45
