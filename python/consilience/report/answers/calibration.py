"""What is left of the scores once chance has had its share?"""

from __future__ import annotations

import numpy as np

from consilience.report.answers.answer import Answer
from consilience.report.answers.modality import RATE
from consilience.report.answers.pairs import STANDS_OUT
from consilience.report.parts import lower_is_closer
from consilience.report.subject import Subject
from consilience.report.text import number

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
    calibrated, q, z = scores.calibrated, scores.q_value(), scores.z()
    sentences = []
    share = None
    if calibrated is not None:
        left = np.array([calibrated[pair] for pair in pairs if np.isfinite(calibrated[pair])])
        raw = np.array([scores.values[pair] for pair in pairs])
        share = float((left > 0).mean()) if left.size else None
        sentences.append(
            f"{int((left > 0).sum())} of {left.size} pairs stay above the level that 5 % of "
            f"relabellings reach; the median {subject.title(scores.label)} goes from "
            f"{number(float(np.median(raw)))} to {number(float(np.median(left)))}."
        )
    if q is not None:
        tested = [float(q[pair]) for pair in pairs if np.isfinite(q[pair])]
        beyond = sum(value < RATE for value in tested)
        share = beyond / len(tested) if share is None and tested else share
        sentences.append(f"{beyond} of {len(tested)} have q < {RATE}.")
    if share is None and z is not None:
        sign = -1 if lower_is_closer(scores) else 1
        known = [float(z[pair]) * sign for pair in pairs if np.isfinite(z[pair])]
        beyond = sum(value > STANDS_OUT for value in known)
        share = beyond / len(known) if known else None
        sentences.append(
            f"{beyond} of {len(known)} pairs lie more than {STANDS_OUT:.0f} standard deviations "
            "beyond chance."
        )
    if share is None:
        return None
    verdict = "most" if share > 0.5 else "some" if share > 0 else "none"
    return Answer(verdict, LEADS[verdict], " ".join(sentences))
