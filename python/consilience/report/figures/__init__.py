"""The figures of a study, one kind a file. Each reads what the study computed."""

from __future__ import annotations

from consilience.report.figure import Exhibit
from consilience.report.figures import (
    condensed,
    convergence,
    dimension,
    layers,
    locality,
    maps,
    matrix,
    partition,
    plane,
    recommendation,
    regimes,
    tree,
)
from consilience.report.subject import Subject
from consilience.study.result import StudyResult

OF_A_PART = (
    matrix,
    condensed,
    convergence,
    partition,
    plane,
    locality,
    dimension,
    tree,
    maps,
    layers,
    recommendation,
)


def of_part(subject: Subject) -> list[Exhibit]:
    """Return the exhibits of one part in the order of the page."""
    return [exhibit for module in OF_A_PART for exhibit in module.exhibits(subject)]


def across(result: StudyResult) -> list[Exhibit]:
    """Return the exhibits that compare parts."""
    return regimes.exhibits(result)
