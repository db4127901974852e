"""Does alignment with the best model rise with performance?"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table, columns
from consilience.report.palette import looks, word
from consilience.report.static import GREY, bar, key
from consilience.report.subject import Subject
from consilience.report.tables import stem_of
from consilience.report.words import correlation_text

LEDE = (
    "If models converge on one representation, then the better a model performs, the closer it "
    "should come to the best one. Each point is a model; the best one itself is the yardstick "
    "and no point of the correlation."
)
KEPT = ("name", "performance", "alignment", "low", "high", "parameters", "family")


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure per performance measure and metric."""
    figures = tuple(_figure(subject, one) for one in subject.analysis("convergence"))
    if not figures:
        return []
    return [Exhibit("convergence", "Performance and alignment", "Convergence", LEDE, figures)]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    title = subject.title(found["label"])
    points = [one for one in found["points"] if one["name"] != found["best"]]
    table: Table = columns(points, KEPT)
    table["modality"] = [subject.modality(one["name"]) for one in points]
    table["family"] = [word(family) for family in table["family"]]
    more = {
        "title": title,
        "axis": found["performance_label"],
        "lower": found.get("lower_is_better", True),
        "best": found["best"],
        "looks": {"family": looks(table["family"]), "modality": subject.modalities},
    }
    return Figure(
        key=stem_of(f"convergence-{found['label']}-{found['performance_label']}"),
        kind="convergence",
        name=f"{title} against {found['performance_label']}",
        caption=_caption(found, title),
        table=table,
        more=more,
        draw=partial(_draw, table=table, more=more),
        size=(7.4, 4.6),
    )


def _caption(found: dict[str, Any], title: str) -> str:
    sentences = [
        f"{title} with {found['best']}, the best by {found['performance_label']}. "
        "Bars are 95 % intervals; size grows with the number of parameters.",
        f"Spearman correlation of the two axes: {correlation_text(found.get('correlation'))}.",
    ]
    within = {
        family: one
        for family, one in (found.get("within") or {}).items()
        if one and one.get("rho") is not None
    }
    for family, one in within.items():
        sentences.append(f"Within {family}: {correlation_text(one)}.")
    for driver, one in (found.get("trends") or {}).items():
        sentences.append(f"Alignment against {driver.replace('_', ' ')}: {correlation_text(one)}.")
    return " ".join(sentences)


def diameters(parameters: list[Any], low: float, high: float) -> list[float]:
    """Return marker sizes that grow with the logarithm of the parameter count."""
    known = [math.log10(value) for value in parameters if value]
    if not known:
        return [low for _ in parameters]
    floor, reach = min(known), max(known) - min(known) or 1.0
    return [
        low + (high - low) * ((math.log10(value) - floor) / reach) if value else low
        for value in parameters
    ]


def _draw(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    axes = canvas.add_subplot()
    sizes = diameters(table["parameters"], 6.0, 14.0)
    axes.errorbar(
        table["performance"],
        table["alignment"],
        yerr=bar(table["low"], table["alignment"], table["high"]),
        fmt="none",
        ecolor=GREY,
        elinewidth=0.8,
    )
    for i, name in enumerate(table["name"]):
        look = more["looks"]["family"][table["family"][i]]
        place = (table["performance"][i], table["alignment"][i])
        axes.plot(*place, look["marker"], color=look["color"], markersize=sizes[i], mec="white")
        axes.annotate(name, place, xytext=(6, 4), textcoords="offset points", fontsize=6.5)
    axes.set_xlabel(more["axis"] + (" (lower is better)" if more["lower"] else ""))
    axes.set_ylabel(f"{more['title']} with {more['best']}")
    axes.grid(visible=True)
    key(axes, more["looks"]["family"], "family")
