import dataclasses

import numpy as np
import pytest

from consilience.report.findings import findings
from consilience.report.parts import cast, lower_is_closer
from consilience.study.score_matrix import ScoreMatrix, Scores


def told(matrix, models=()):
    return [f"{f.lead} {f.text}" for f in findings(matrix, cast(matrix, models))]


def keep(matrix, *labels):
    return dataclasses.replace(matrix, scores={label: matrix.scores[label] for label in labels})


def test_a_study_with_known_answers_is_told_in_six_findings(matrix, models):
    most, least, company, dimensions, bias, asymmetry = told(matrix, models)
    assert most == (
        "Alpha and Beta are the most alike. "
        "CKNNA 0.80 (95 % interval 0.78 to 0.82; chance 0.050 ± 0.010, z = 75)."
    )
    assert least == (
        "Beta and Gamma are the least alike. "
        "CKNNA 0.30 (95 % interval 0.28 to 0.32; chance 0.050 ± 0.010, z = 25). "
        "All 3 pairs lie more than 3 standard deviations beyond chance. "
        "Against Noise, models score 0.040 to 0.060."
    )
    assert company == (
        "Alpha is most like the others, Gamma least. "
        "Mean CKNNA with the 2 other models: 0.60 against 0.35."
    )
    assert dimensions == (
        "The same samples fill 4.0 to 9.0 dimensions. "
        "By TwoNN the lowest is Alpha and the highest Gamma, "
        "in embeddings 64 to 256 columns wide. "
        "By MLE it is 3.5 (Alpha) to 8.0 (Gamma)."
    )
    # the roots of 0.8, 0.45, 0.03, 0.4, 0.02 and 0; gaps 0.006, 0.029, 0.327, 0.018, 0.359, 0.5
    assert bias == (
        "Plain distance correlation reads 0.18 above the unbiased one at the median. "
        "Over all pairs the plain estimator runs from 0.50 to 0.90, "
        "the root of the unbiased one from 0 to 0.89. "
        "They differ most for Gamma and Noise: 0.50 and 0. "
        "Against a random baseline, where nothing is shared, they average 0.50 and 0.10."
    )
    assert asymmetry == (
        "Alpha tells more about Gamma than the reverse. "
        "Information imbalance, k=50: 0.30 from Alpha to Gamma, 0.80 back: "
        "the largest asymmetry of all pairs."
    )


def test_without_a_baseline_the_noise_is_a_model_like_any_other(matrix):
    least = told(matrix)[1]
    assert least.startswith("Gamma and Noise are the least alike. CKNNA 0.040")
    assert "3 of 6 pairs lie more than 3 standard deviations" in least


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["cknna"], 3),
        (["twonn"], 1),
        (["information_imbalance[k=50]"], 1),
        (["distance_correlation"], 3),
        ([], 0),
    ],
)
def test_findings_whose_metric_is_missing_are_left_out(matrix, labels, expected):
    assert len(told(keep(matrix, *labels))) == expected


def test_one_model_alone_has_nothing_to_tell():
    alone = Scores("cknna", "cknna", "pair", {}, (0, 1), True, [[1.0]])
    assert told(ScoreMatrix(("A",), 10, (3,), {"cknna": alone})) == []


def test_cknna_leads_wherever_it_stands(matrix):
    labels = list(matrix.metrics)[::-1]
    assert cast(keep(matrix, *labels)).headline == "cknna"


def test_the_direction_of_a_metric_is_read_off_its_diagonal(matrix):
    assert lower_is_closer(matrix.scores["information_imbalance[k=50]"])
    assert not lower_is_closer(matrix.scores["cknna"])
    assert not lower_is_closer(matrix.scores["twonn"])


def test_a_distance_ranks_the_smallest_pair_as_most_alike():
    values = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]])
    distance = Scores("d", "cka", "pair", {}, (0, np.inf), True, values)
    sentences = told(ScoreMatrix(("A", "B", "C"), 10, (1, 1, 1), {"d": distance}))
    assert sentences[0].startswith("A and B are the most alike.")
    assert sentences[1].startswith("A and C are the least alike.")
    assert sentences[2].startswith("B is most like the others, C least.")


def test_a_negative_unbiased_score_counts_as_zero_under_the_root(matrix):
    scores = dict(matrix.scores)
    label = "distance_correlation[unbiased]"
    values = scores[label].values.copy()
    values[2, 3] = values[3, 2] = -0.04
    scores[label] = dataclasses.replace(scores[label], values=values)
    text = told(dataclasses.replace(matrix, scores=scores))[4]
    assert "the root of the unbiased one from 0 to 0.89" in text
