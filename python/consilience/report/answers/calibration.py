"""What is left of the scores once chance has had its share?"""

from __future__ import annotations

from statistics import median

import numpy as np

from consilience.report.answers.answer import Answer
from consilience.report.answers.modality import RATE
from consilience.report.answers.pairs import STANDS_OUT
from consilience.report.parts import lower_is_closer
from consilience.report.subject import Subject
from consilience.report.text import number
from consilience.study.score_matrix import Array, Scores

Pairs = list[tuple[int, int]]

VERDICTS = {
    "most": "Most agreement survives calibration {where}.",
    "some": "Some agreement survives calibration {where}.",
    "none": "Nothing survives calibration {where}.",
}
LEADS = {
    "most": "Most agreement survives calibration.",
    "some": "Some agreement survives calibration.",
    "none": "Nothing survives calibration.",
}


def answer(subject: Subject) -> Answer | None:
    """Count the pairs of real models that stay above what chance reaches."""
    scores = subject.headline
    if scores is None or len(subject.real) < 2:
        return None
    pairs = [(a, b) for i, a in enumerate(subject.real) for b in subject.real[i + 1 :]]
    told = [
        one
        for one in (_calibrated(subject.title(scores.label), scores, pairs), _tested(scores, pairs))
        if one is not None
    ] or [one for one in (_standing_out(scores, pairs),) if one is not None]
    if not told:
        return None
    share = told[0][0]
    verdict = "most" if share > 0.5 else "some" if share > 0 else "none"
    return Answer(verdict, LEADS[verdict], " ".join(text for _, text in told))


def _calibrated(title: str, scores: Scores, pairs: Pairs) -> tuple[float, str] | None:
    left = _known(scores.calibrated, pairs)
    if not left:
        return None
    raw = [float(scores.values[pair]) for pair in pairs]
    above = sum(value > 0 for value in left)
    text = (
        f"{above} of {len(left)} pairs stay above the level that 5 % of relabellings reach; "
        f"the median {title} goes from {number(median(raw))} to {number(median(left))}."
    )
    return above / len(left), text


def _tested(scores: Scores, pairs: Pairs) -> tuple[float, str] | None:
    q = _known(scores.q_value(), pairs)
    beyond = sum(value < RATE for value in q)
    return (beyond / len(q), f"{beyond} of {len(q)} have q < {RATE}.") if q else None


def _standing_out(scores: Scores, pairs: Pairs) -> tuple[float, str] | None:
    sign = -1 if lower_is_closer(scores) else 1
    z = _known(scores.z(), pairs)
    beyond = sum(value * sign > STANDS_OUT for value in z)
    text = (
        f"{beyond} of {len(z)} pairs lie more than {STANDS_OUT:.0f} standard deviations "
        "beyond chance."
    )
    return (beyond / len(z), text) if z else None


def _known(array: Array | None, pairs: Pairs) -> list[float]:
    return [] if array is None else [float(array[p]) for p in pairs if np.isfinite(array[p])]
