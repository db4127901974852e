"""How much of the agreement between models do shared data, architecture or modality explain?"""

from __future__ import annotations

from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table, columns
from consilience.report.static import GREY
from consilience.report.subject import Subject
from consilience.report.tables import stem_of
from consilience.report.text import counted, number
from consilience.report.words import p_text

LEDE = (
    "The variance of the score over pairs, parted by whether the two models share a trait. "
    "“Alone” is what a trait explains by itself; “beyond the others” is what no other "
    "trait listed here explains too."
)
KEPT = ("name", "share_alone", "p_alone", "share_unique", "p")


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure per metric."""
    figures = tuple(_figure(subject, one) for one in subject.analysis("partition"))
    if not figures:
        return []
    return [Exhibit("explained", "What explains agreement", "Explained", LEDE, figures)]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    table = columns(list(found["factors"]), KEPT)
    title = subject.title(found["label"])
    return Figure(
        key=stem_of(f"explained-{found['label']}"),
        kind="partition",
        name=title,
        caption=_caption(found, title),
        table=table,
        more={"title": title},
        draw=partial(_draw, table=table, title=title),
        size=(6.4, 1.4 + 0.6 * len(table["name"])),
    )


def _caption(found: dict[str, Any], title: str) -> str:
    tests = [
        f"{one['name']} {p_text(one['p'])}" for one in found["factors"] if one.get("p") is not None
    ]
    left_out = found.get("left_out")
    text = f"Share of the variance of {title} over {found['n_pairs']:,} pairs."
    if tests:
        text += f" Beyond the others, tested by relabelling models: {'; '.join(tests)}."
    if found.get("residual") is not None:
        text += f" Explained by none of them: {number(found['residual'])}."
    if left_out:
        text += f" {counted(left_out, 'model')} of which a trait is not known left out."
    return text


def _draw(canvas: Any, *, table: Table, title: str) -> None:
    axes = canvas.add_subplot()
    places = list(range(len(table["name"])))
    axes.barh([i - 0.19 for i in places], _known(table["share_alone"]), 0.36, color="#0072B2")
    axes.barh([i + 0.19 for i in places], _known(table["share_unique"]), 0.36, color="#E69F00")
    axes.set_yticks(places, table["name"])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel(f"share of the variance of {title}")
    axes.legend(axes.containers, ["alone", "beyond the others"], loc="lower right")


def _known(values: list[Any]) -> list[float]:
    return [0.0 if value is None else float(value) for value in values]
