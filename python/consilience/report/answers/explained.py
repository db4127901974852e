"""Is it shared data or shared architecture that makes models agree?"""

from __future__ import annotations

from typing import Any

from consilience.report.answers.answer import Answer
from consilience.report.subject import Subject
from consilience.report.text import number
from consilience.report.words import p_text

LEVEL = 0.05
VERDICTS = {
    "data": (
        "Shared training data explain agreement beyond shared architecture {where}; "
        "the reverse is not shown."
    ),
    "architecture": (
        "Shared architecture explains agreement beyond shared training data {where}; "
        "the reverse is not shown."
    ),
    "both": "Shared training data and shared architecture each explain agreement {where}.",
    "neither": (
        "Neither shared training data nor shared architecture is shown to explain agreement "
        "beyond the other traits {where}."
    ),
}
LEADS = {key: sentence.replace(" {where}", "") for key, sentence in VERDICTS.items()}


def answer(subject: Subject) -> Answer | None:
    """Judge by the permutation p of what each factor explains beyond the others."""
    for found in subject.analysis("partition"):
        factors = {one["name"]: one for one in found["factors"]}
        data = next((one for name, one in factors.items() if "data" in name), None)
        built = next((one for name, one in factors.items() if "architecture" in name), None)
        if data is None or built is None:
            continue
        if data.get("p") is None or built.get("p") is None:
            continue
        by_data, by_build = data["p"] < LEVEL, built["p"] < LEVEL
        verdict = {
            (True, False): "data",
            (False, True): "architecture",
            (True, True): "both",
            (False, False): "neither",
        }[by_data, by_build]
        text = (
            f"Of the variance of {subject.title(found['label'])} over {found['n_pairs']} pairs, "
            f"{_share(data)}; {_share(built)}."
        )
        return Answer(verdict, LEADS[verdict], text)
    return None


def _share(factor: dict[str, Any]) -> str:
    alone, unique = number(factor["share_alone"]), number(factor["share_unique"])
    return (
        f"{factor['name']} explains {alone} alone, {unique} beyond the rest ({p_text(factor['p'])})"
    )
