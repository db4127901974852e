"""What a study shows, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consilience.report.answers import (
    baselines,
    calibration,
    convergence,
    dimensions,
    explained,
    modality,
    pairs,
    regimes,
    scaling,
)
from consilience.report.answers.answer import Answer, Finding, Line, combine
from consilience.report.subject import Subject
from consilience.study.result import StudyResult

Question = Callable[[Subject], Answer | None]

# what is asked, who answers for one part, and what each verdict says of some parts
QUESTIONS: tuple[tuple[str, Question, dict[str, str]], ...] = (
    ("Do better models agree more?", convergence.answer, convergence.VERDICTS),
    ("Do modalities agree?", modality.answer, modality.VERDICTS),
    ("Is it more than chance?", calibration.answer, calibration.VERDICTS),
    ("More than a baseline?", baselines.answer, baselines.VERDICTS),
    ("Data or architecture?", explained.answer, explained.VERDICTS),
    ("Do larger models agree more?", scaling.answer, scaling.VERDICTS),
    ("How many dimensions?", dimensions.answer, dimensions.VERDICTS),
)
# asked of each part by itself, because they are about single models
DETAILS: tuple[tuple[str, Question], ...] = (
    ("Who is most alike?", pairs.extremes),
    ("Who stands in the middle?", pairs.company),
    ("Who contains whom?", pairs.asymmetry),
    ("How much does the estimator matter?", pairs.bias),
)


def findings(result: StudyResult, subjects: Sequence[Subject]) -> list[Finding]:
    """Return one finding per question over all parts that the study can answer."""
    found = []
    for question, answer, verdicts in QUESTIONS:
        answers = [(one.part.title, answer(one)) for one in subjects]
        known = [(title, one) for title, one in answers if one is not None]
        if known:
            found.append(combine(question, known, verdicts, n_parts=len(subjects)))
    crossing = regimes.finding(result)
    if crossing is not None:
        found.insert(min(4, len(found)), crossing)
    return found


def details(subject: Subject) -> list[Finding]:
    """Return one finding per question about the models of one part."""
    answers = [(question, answer(subject)) for question, answer in DETAILS]
    return [
        Finding(question, one.lead, (Line("", one.text),))
        for question, one in answers
        if one is not None
    ]


__all__ = ["Finding", "details", "findings"]
