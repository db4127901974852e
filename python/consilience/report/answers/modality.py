"""Do models that read different representations of the same sample agree?"""

from __future__ import annotations

import numpy as np

from consilience.report.answers.answer import Answer
from consilience.report.parts import lower_is_closer
from consilience.report.subject import Subject
from consilience.report.text import number
from consilience.report.words import p_text

VERDICTS = {
    "most": "Most pairs of models agree beyond chance across modalities {where}.",
    "some": "Some pairs of models agree beyond chance across modalities {where}.",
    "none": "No pair is shown to agree beyond chance across modalities {where}.",
    "open": "Agreement across modalities {where} comes without a test.",
}
LEADS = {
    "most": "Most pairs of models agree beyond chance across modalities.",
    "some": "Some pairs of models agree beyond chance across modalities.",
    "none": "No pair is shown to agree beyond chance across modalities.",
    "open": "Agreement across modalities comes without a test.",
}
RATE = 0.05  # false discovery rate


def answer(subject: Subject) -> Answer | None:
    """Contrast the pairs across with those within modalities, baselines apart."""
    scores = subject.headline
    if scores is None:
        return None
    kinds = [subject.modality(name) for name in subject.names]
    pairs = [(a, b) for i, a in enumerate(subject.real) for b in subject.real[i + 1 :]]
    across = [(a, b) for a, b in pairs if kinds[a] != kinds[b]]
    within = [(a, b) for a, b in pairs if kinds[a] == kinds[b]]
    if not across or "unknown" in kinds:
        return None
    values = np.array([scores.values[pair] for pair in across])
    title = subject.title(scores.label)
    text = f"Median {title} over {len(across)} pairs across modalities {_median(values)}"
    if within:
        others = np.array([scores.values[pair] for pair in within])
        text += f", over {len(within)} within one {_median(others)}"
    text += "."
    q = scores.q_value()
    tested = [pair for pair in across if q is not None and np.isfinite(q[pair])]
    if q is None or not tested:
        return Answer("open", LEADS["open"], text + _explained(subject))
    beyond = sum(bool(q[pair] < RATE) for pair in tested)
    verdict = "most" if 2 * beyond > len(tested) else "some" if beyond else "none"
    text += (
        f" {beyond} of {len(tested)} across lie beyond chance at a false discovery rate "
        f"of {RATE:.0%}."
    )
    best = (min if lower_is_closer(scores) else max)(across, key=lambda pair: scores.values[pair])
    names = subject.names
    text += (
        f" Closest across: {names[best[0]]} and {names[best[1]]}, {number(scores.values[best])}."
    )
    return Answer(verdict, LEADS[verdict], text + _explained(subject))


def _median(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{number(middle)} (middle half {number(low)} to {number(high)})"


def _explained(subject: Subject) -> str:
    """Return what the variance partition says of modality, with its test."""
    for found in subject.analysis("partition"):
        for factor in found["factors"]:
            if "modality" in factor["name"] and factor.get("p_alone") is not None:
                return (
                    f" Sharing a modality explains {number(factor['share_alone'])} of the "
                    f"variance over pairs ({p_text(factor['p_alone'])})."
                )
    return ""
