"""The same pairs of models on two kinds of samples."""

from __future__ import annotations

from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table, columns
from consilience.report.static import GREY
from consilience.report.subject import Subject, leading
from consilience.report.tables import stem_of
from consilience.report.text import number
from consilience.report.words import interval_text, p_text
from consilience.study.result import StudyResult

LEDE = (
    "Models may agree on samples like those they were trained on and part ways elsewhere. Each "
    "point is a pair of models that saw both sets."
)


def exhibits(result: StudyResult) -> list[Exhibit]:
    """Return one exhibit with a figure per comparison of two sets of samples."""
    subject = Subject(result.parts[0])
    found = leading(result.analyses.get("regimes"), subject.cast.headline)
    figures = tuple(_figure(subject, one, i) for i, one in enumerate(found) if one.get("pairs"))
    if not figures:
        return []
    return [Exhibit("regimes", "Inside and outside the training data", "In and out", LEDE, figures)]


def evidence(found: dict[str, Any]) -> str:
    """Return "0.31 against 0.36, difference 0.05 (95 % interval −0.01 to 0.1; p = 0.4)"."""
    told = []
    if found.get("low") is not None:
        told.append(interval_text(found["low"], found["high"]))
    if found.get("p") is not None:
        told.append(p_text(found["p"]))
    told.append(f"{len(found['pairs'])} pairs")
    if found.get("n_models") is not None:
        told.append(f"{found['n_models']} models")
    return (
        f"{number(found['mean_inside'])} against {number(found['mean_outside'])}, "
        f"difference {number(found['difference'])} ({'; '.join(told)})"
    )


def _figure(subject: Subject, found: dict[str, Any], place: int) -> Figure:
    title = subject.title(found["label"])
    table = columns(list(found["pairs"]), ("a", "b", "inside", "outside"))
    inside, outside = found["inside_name"], found["outside_name"]
    more = {"title": title, "inside": inside, "outside": outside}
    return Figure(
        key=stem_of(f"regimes-{place + 1}-{found['label']}"),
        kind="regimes",
        name=f"{inside} and {outside}, {title}",
        caption=f"Mean {title} in {inside} against {outside}: {evidence(found)}.",
        table=table,
        more=more,
        draw=partial(_draw, table=table, more=more),
        size=(5.2, 4.8),
    )


def _draw(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    axes = canvas.add_subplot()
    both = [*table["inside"], *table["outside"]]
    ends = [min(both), max(both)]
    axes.plot(ends, ends, ":", color=GREY, linewidth=1)
    axes.plot(table["inside"], table["outside"], "o", color="#0072B2", mec="white", ms=6)
    axes.set_xlabel(f"{more['title']}, {more['inside']}")
    axes.set_ylabel(f"{more['title']}, {more['outside']}")
    axes.grid(visible=True)
