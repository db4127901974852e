"""Do the same models agree more inside their training data than outside?"""

from __future__ import annotations

from typing import Any

from consilience.report.answers.answer import Finding, Line
from consilience.report.figures.regimes import evidence
from consilience.report.subject import Subject, leading
from consilience.report.words import direction, opening
from consilience.study.result import StudyResult

# the difference is outside minus inside
LEADS = {
    "up": "The same models agree less on {inside} than on {outside}.",
    "down": "The same models agree more on {inside} than on {outside}.",
    "open": "No evidence that the same models agree more or less on {inside} than on {outside}.",
}


def finding(result: StudyResult) -> Finding | None:
    """Judge by the interval of the mean difference, for each two sets the leading metric."""
    subject = Subject(result.parts[0])
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in leading(result.analyses.get("regimes"), subject.cast.headline):
        found.setdefault((one["inside_name"], one["outside_name"]), one)
    if not found:
        return None
    leads = [
        LEADS[direction(one.get("low"), one.get("high"))].format(
            inside=opening(inside), outside=opening(outside)
        )
        for (inside, outside), one in found.items()
    ]
    lines = tuple(
        Line(
            f"{inside}; {outside}" if len(found) > 1 else "",
            f"Mean {subject.title(one['label'])} {evidence(one)}.",
        )
        for (inside, outside), one in found.items()
    )
    return Finding("In and out of distribution?", " ".join(leads), lines)
