"""What may stand in for what: smaller or cheaper models that agree with a target."""

from __future__ import annotations

from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.static import bar
from consilience.report.subject import Subject
from consilience.report.text import number
from consilience.report.words import interval_text

LEDE = (
    "For each model, the others that come closest to it, with what they cost. A candidate stands "
    "in for the target as far as these samples go; it need not predict as well."
)
HEAD = ("target", "candidate", "score", "low", "high", "parameters", "seconds_per_1k")


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit: the candidates of each target."""
    found = [one for one in subject.analysis("recommendation") if one.get("targets")]
    if not found:
        return []
    figure = _figure(subject, found[0])
    return [Exhibit("stand-ins", "What may stand in for what", "Stand-ins", LEDE, (figure,))]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    title = subject.title(found["label"])
    table: Table = {name: [] for name in HEAD}
    for target in found["targets"]:
        for one in target["candidates"]:
            values = (target["target"], one["name"], *(one.get(key) for key in HEAD[2:]))
            for column, value in zip(table.values(), values, strict=True):
                column.append(value)
    targets = [one["target"] for one in found["targets"]]
    own = {
        name: {key: subject.fact(name, key) for key in ("parameters", "seconds_per_1k")}
        for name in targets
    }
    text = f"{title} with the target; bars are 95 % intervals."
    for one in found.get("local_optima") or ():
        text += _optimum(one, title)
    return Figure(
        key="stand-ins",
        kind="recommendation",
        name="stand-ins",
        caption=text,
        table=table,
        more={"title": title, "targets": targets, "own": own},
        draw=partial(_draw, table=table, title=title, targets=targets),
        size=(6.6, 1.4 + 0.2 * (len(table["target"]) + len(targets))),
    )


def _optimum(one: dict[str, Any], title: str) -> str:
    spread = ""
    if one.get("low") is not None:
        spread = f" ({interval_text(one['low'], one['high'])})"
    return (
        f" {one['name']} performs well and agrees little, as a model in a local optimum would: "
        f"mean {title} {number(one['mean_alignment'])}{spread}."
    )


def _draw(canvas: Any, *, table: Table, title: str, targets: list[str]) -> None:
    axes = canvas.add_subplot()
    labels, places, row = [], [], 0
    for target in targets:
        labels.append(f"{target}:")
        places.append(row)
        row += 1
        for i in (i for i, one in enumerate(table["target"]) if one == target):
            arms = bar([table["low"][i]], [table["score"][i]], [table["high"][i]])
            axes.errorbar(table["score"][i], row, xerr=arms, fmt="o", color="#0072B2", ms=4, lw=1)
            labels.append(table["candidate"][i])
            places.append(row)
            row += 1
    axes.set_yticks(places, labels, fontsize=7)
    for text, name in zip(axes.get_yticklabels(), labels, strict=True):
        text.set_fontweight("bold" if name.endswith(":") else "normal")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(row - 0.5, -0.5)
    axes.set_xlabel(title)
    axes.grid(visible=True, axis="x")
