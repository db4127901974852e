import dataclasses

import numpy as np
import pytest

from consilience.report.findings import details, findings
from consilience.report.parts import cast, lower_is_closer
from consilience.report.subject import Subject
from consilience.study.score_matrix import ScoreMatrix, Scores


def said(found):
    return " ".join([found.lead, *(f"[{one.part}] {one.text}" for one in found.lines)])


def told(result):
    """Return what is found at the top, by its question; spaces that do not break are plain."""
    found = findings(result, [Subject(part) for part in result.parts])
    return {one.question: said(one).replace("\u00a0", " ") for one in found}


def of_models(result):
    found = details(Subject(result.parts[0]))
    return [f"{one.lead} {one.lines[0].text}".replace("\u00a0", " ") for one in found]


def keep(matrix, *labels):
    return dataclasses.replace(matrix, scores={label: matrix.scores[label] for label in labels})


def rho(value, low, high, p=0.01, n=12):
    return {"rho": value, "low": low, "high": high, "p": p, "n": n}


def converging(correlation, *, lower=True, trends=None):
    return {
        "label": "cknna",
        "performance_label": "energy MAE",
        "lower_is_better": lower,
        "best": "Alpha",
        "points": [],
        "correlation": correlation,
        "within": {},
        "trends": trends or {},
    }


def test_a_part_with_known_answers_is_told_in_four_sentences(make_study):
    most, company, asymmetry, bias = of_models(make_study())
    assert most == (
        "Alpha and Beta are the most alike. "
        "CKNNA 0.80 (95 % interval 0.78 to 0.82; chance 0.050 ± 0.010, z = 75). "
        "The least alike, Beta and Gamma: "
        "0.30 (95 % interval 0.28 to 0.32; chance 0.050 ± 0.010, z = 25). "
        "Pairs with a baseline score 0.040 to 0.060."
    )
    assert company == (
        "Alpha is most like the others, Gamma least. "
        "Mean CKNNA with the 2 other models: 0.60 against 0.35."
    )
    assert asymmetry == (
        "Alpha tells more about Gamma than the reverse. "
        "Information imbalance, k=50: 0.30 from Alpha to Gamma, 0.80 back: "
        "the largest asymmetry of all pairs."
    )
    # the roots of 0.8, 0.45, 0.03, 0.4, 0.02 and 0; gaps 0.006, 0.029, 0.327, 0.018, 0.359, 0.5
    assert bias == (
        "Plain distance correlation reads 0.18 above the unbiased one at the median. "
        "Over all pairs the plain estimator runs from 0.50 to 0.90, "
        "the root of the unbiased one from 0 to 0.89. "
        "With a baseline they average 0.50 and 0.10."
    )


@pytest.mark.parametrize(
    ("low", "high", "lower", "lead"),
    [
        (-0.9, -0.2, True, "The better a model performs, the closer it comes to the best."),
        (0.2, 0.9, True, "The better a model performs, the further it lies from the best."),
        (0.2, 0.9, False, "The better a model performs, the closer it comes to the best."),
        (-0.5, 0.1, True, "No evidence that alignment changes with performance."),
        (None, None, True, "No evidence that alignment changes with performance."),
    ],
)
def test_convergence_is_judged_by_the_interval_alone(make_study, low, high, lower, lead):
    one = converging(rho(0.5 if (low or 0) > 0 else -0.5, low, high), lower=lower)
    text = told(make_study({"convergence": [one]}))["Do better models agree more?"]
    assert text.startswith(lead)


def test_too_few_models_are_said_and_not_judged(make_study):
    correlation = {"rho": None, "low": None, "high": None, "p": None, "n": 2}
    text = told(make_study({"convergence": [converging(correlation)]}))
    assert text["Do better models agree more?"] == (
        "No evidence that alignment changes with performance. [] CKNNA with Alpha against "
        "energy MAE: not known: too few models to say (n = 2)."
    )


def test_parts_with_one_verdict_share_a_sentence(make_study):
    result = make_study(
        {"convergence": [converging(rho(-0.6, -0.9, -0.2))]}, parts=("Molecules", "Materials")
    )
    text = told(result)["Do better models agree more?"]
    assert text.startswith("Alignment rises with performance in molecules and materials. ")
    assert "[Materials] CKNNA with Alpha against energy MAE: ρ = −0.60" in text
    other = converging(rho(0.1, -0.4, 0.5))
    second = dataclasses.replace(result.parts[1], analyses={"convergence": [other]})
    text = told(dataclasses.replace(result, parts=(result.parts[0], second)))[
        "Do better models agree more?"
    ]
    assert text.startswith(
        "Alignment rises with performance in molecules. "
        "No evidence in materials that alignment changes with performance. "
    )


def with_p(matrix, p):
    """The same study, with p and calibrated values beside the scores of CKNNA."""
    scores = matrix.scores["cknna"]
    own = np.eye(4, dtype=bool)
    held = dataclasses.replace(
        scores,
        # equal p-values stay what they are when adjusted for their number
        p_value=np.where(own, np.nan, p),
        calibrated=np.where(own, np.nan, np.maximum(scores.values - 0.35, 0.0)),
    )
    return dataclasses.replace(matrix, scores={**matrix.scores, "cknna": held})


@pytest.mark.parametrize(
    ("p", "lead"),
    [
        (0.001, "Most pairs of models agree beyond chance across modalities."),
        (0.4, "No pair is shown to agree beyond chance across modalities."),
    ],
)
def test_modalities_are_judged_by_the_false_discovery_rate(make_study, matrix, p, lead):
    text = told(make_study(matrix=with_p(matrix, p)))["Do modalities agree?"]
    assert text.startswith(lead)
    # Alpha is 3D, Beta a graph, Gamma a language model: 0.8, 0.4 and 0.3, all across
    assert "Median CKNNA over 3 pairs across modalities 0.40" in text
    assert "Closest across: Alpha and Beta, 0.80." in text


def test_calibration_counts_what_chance_does_not_reach(make_study, matrix):
    text = told(make_study(matrix=with_p(matrix, 0.01)))["Is it more than chance?"]
    assert text == (
        "Most agreement survives calibration. [] 2 of 3 pairs stay above the level that 5 % of "
        "relabellings reach; the median CKNNA goes from 0.40 to 0.050. 3 of 3 have q < 0.05."
    )


def test_without_calibration_the_null_speaks(make_study):
    text = told(make_study())["Is it more than chance?"]
    assert "3 of 3 pairs lie more than 3 standard deviations beyond chance." in text


@pytest.mark.parametrize(
    ("p_data", "p_built", "start"),
    [
        (0.01, 0.3, "Shared training data explain agreement beyond"),
        (0.3, 0.01, "Shared architecture explains agreement beyond"),
        (0.01, 0.01, "Shared training data and shared architecture each explain"),
        (0.2, 0.3, "Neither shared training data nor shared architecture is shown"),
    ],
)
def test_data_or_architecture_is_judged_by_both_tests(make_study, p_data, p_built, start):
    factors = [
        {"name": "training data", "share_alone": 0.3, "share_unique": 0.1, "p": p_data},
        {"name": "architecture", "share_alone": 0.2, "share_unique": 0.05, "p": p_built},
    ]
    one = {"label": "cknna", "factors": factors, "shared": 0.1, "residual": 0.6, "n_pairs": 3}
    text = told(make_study({"partition": [one]}))["Data or architecture?"]
    assert text.startswith(start)
    assert "training data explains 0.30 alone, 0.10 beyond the rest" in text


@pytest.mark.parametrize(
    ("low", "high", "lead"),
    [
        (0.02, 0.1, "The same models agree less on near than on far."),
        (-0.1, -0.02, "The same models agree more on near than on far."),
        (-0.1, 0.1, "No evidence that the same models agree more or less on near than on far."),
    ],
)
def test_regimes_read_the_difference_as_outside_minus_inside(make_study, low, high, lead):
    one = {
        "label": "cknna",
        "inside_name": "Near",
        "outside_name": "Far",
        "pairs": [{"a": "Alpha", "b": "Beta", "inside": 0.3, "outside": 0.3 + (low + high) / 2}],
        "mean_inside": 0.3,
        "mean_outside": 0.3 + (low + high) / 2,
        "difference": (low + high) / 2,
        "low": low,
        "high": high,
        "p": 0.2,
    }
    text = told(make_study(across={"regimes": [one]}))["In and out of distribution?"]
    assert text.startswith(lead)


def test_sets_with_commas_in_their_titles_are_told_apart(make_study):
    result = make_study(
        {"convergence": [converging(rho(-0.6, -0.9, -0.2))]}, parts=("QM9", "Crystals, near")
    )
    text = told(result)["Do better models agree more?"]
    assert text.startswith("Alignment rises with performance in QM9; crystals, near. ")


def test_the_leading_metric_speaks_wherever_it_stands(make_study):
    other = converging(rho(0.6, 0.2, 0.9)) | {"label": "distance_correlation"}
    one = converging(rho(-0.6, -0.9, -0.2))
    text = told(make_study({"convergence": [other, one]}))["Do better models agree more?"]
    assert text.startswith("The better a model performs, the closer it comes to the best.")


def test_size_and_training_data_are_judged_as_trends(make_study):
    trends = {"parameters": rho(0.7, 0.2, 0.9), "training_size": rho(0.1, -0.4, 0.6, 0.7)}
    one = converging(rho(-0.6, -0.9, -0.2), trends=trends)
    text = told(make_study({"convergence": [one]}))["Do larger models agree more?"]
    assert text.startswith("Larger models align more with the best.")
    assert "training data: ρ = 0.10 (95 % interval −0.40 to 0.60; p = 0.700; n = 12)" in text


def test_dimensions_leave_the_baseline_out(make_study):
    text = told(make_study())["How many dimensions?"]
    assert text == (
        "The same samples fill 4.0 to 9.0 dimensions. [] "
        "By TwoNN 4.0 (Alpha) to 9.0 (Gamma). By MLE 3.5 (Alpha) to 8.0 (Gamma). "
        "The embeddings are 64 to 256 columns wide."
    )


@pytest.mark.parametrize("labels", [["cknna"], ["twonn"], ["information_imbalance[k=50]"], []])
def test_findings_whose_metric_is_missing_are_left_out(make_study, matrix, labels):
    result = make_study(matrix=keep(matrix, *labels))
    asked = set(told(result))
    assert ("How many dimensions?" in asked) == ("twonn" in labels)
    assert ("Do modalities agree?" in asked) == ("cknna" in labels)
    assert len(of_models(result)) == {"cknna": 2, "twonn": 0}.get("".join(labels), len(labels))


def test_one_model_alone_has_nothing_to_tell(make_study):
    alone = Scores("cknna", "cknna", "pair", {}, (0, 1), True, [[1.0]])
    matrix = ScoreMatrix(("A",), 10, (3,), {"cknna": alone})
    result = make_study(matrix=matrix, models=[{"name": "A"}])
    assert told(result) == {}
    assert of_models(result) == []


def test_cknna_leads_wherever_it_stands(matrix):
    labels = list(matrix.metrics)[::-1]
    assert cast(keep(matrix, *labels)).headline == "cknna"


def test_the_direction_of_a_metric_is_read_off_its_diagonal(matrix):
    assert lower_is_closer(matrix.scores["information_imbalance[k=50]"])
    assert not lower_is_closer(matrix.scores["cknna"])
    assert not lower_is_closer(matrix.scores["twonn"])


def test_a_distance_ranks_the_smallest_pair_as_most_alike(make_study):
    values = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 4.0], [5.0, 4.0, 0.0]])
    distance = Scores("d", "cka", "pair", {}, (0, np.inf), True, values)
    matrix = ScoreMatrix(("A", "B", "C"), 10, (1, 1, 1), {"d": distance})
    extremes, company = of_models(make_study(matrix=matrix, models=[{"name": n} for n in "ABC"]))
    assert extremes.startswith("A and B are the most alike.")
    assert "The least alike, A and C:" in extremes
    assert company.startswith("B is most like the others, C least.")


@pytest.mark.parametrize(
    ("baseline", "lead"),
    [
        (0.05, "Models agree more with each other than with any baseline."),
        (0.35, "Across modalities, models agree no more than with the best baseline."),
        (0.55, "Models agree no more with each other than with the best baseline."),
    ],
)
def test_agreement_is_held_against_what_baselines_reach(make_study, baseline, lead):
    result = make_study()
    part = result.parts[0]
    scores = part.matrix.scores["cknna"]
    values = np.array(scores.values)
    facts = [dict(model) for model in part.models]
    # a and b read strings and agree at .8; c reads graphs and agrees with them at .31 and .36
    for place, kind in enumerate(["string", "string", "graph", "baseline"]):
        facts[place].update(modality=kind, baseline=kind == "baseline")
    values[:3, :3] = [[1, 0.8, 0.31], [0.8, 1, 0.36], [0.31, 0.36, 1]]
    values[3, :3] = values[:3, 3] = baseline
    changed = dataclasses.replace(scores, values=values)
    matrix = dataclasses.replace(part.matrix, scores={**part.matrix.scores, "cknna": changed})
    part = dataclasses.replace(part, matrix=matrix, models=tuple(facts))
    found = told(dataclasses.replace(result, parts=(part,)))["More than a baseline?"]
    assert found.startswith(lead)
    assert f"{baseline:.2f}" in found or f"{baseline:.3f}" in found
