"""Do the same models agree more inside their training data than outside?"""

from __future__ import annotations

from consilience.report.answers.answer import Finding, Line
from consilience.report.figures.regimes import evidence
from consilience.report.subject import Subject
from consilience.report.words import direction
from consilience.study.result import StudyResult

# the difference is outside minus inside
LEADS = {
    "up": "The same models agree less on {inside} than on {outside}.",
    "down": "The same models agree more on {inside} than on {outside}.",
    "open": "No evidence that the same models agree more or less on {inside} than on {outside}.",
}


def finding(result: StudyResult) -> Finding | None:
    """Judge by the interval of the mean difference."""
    found = result.analyses.get("regimes") or []
    found = [found] if isinstance(found, dict) else found
    if not found:
        return None
    subject = Subject(result.parts[0])
    first = found[0]
    lead = LEADS[direction(first.get("low"), first.get("high"))].format(
        inside=first["inside_name"], outside=first["outside_name"]
    )
    lines = tuple(
        Line(
            f"{one['inside_name']}, {one['outside_name']}" if len(found) > 1 else "",
            f"Mean {subject.title(one['label'])} {evidence(one)}.",
        )
        for one in found
    )
    return Finding("In and out of distribution?", lead, lines)
