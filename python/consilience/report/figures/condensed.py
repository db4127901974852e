"""Mean agreement within and between groups of models."""

from __future__ import annotations

from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.static import heat
from consilience.report.subject import Subject
from consilience.report.tables import stem_of
from consilience.report.text import plain

LEDE = (
    "Each cell is the mean over the pairs of two groups; on the diagonal, over the pairs within "
    "one. A model is never compared with itself, and baselines form a group of their own."
)


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure for each way of grouping."""
    found = subject.analysis("condensed")
    figures = tuple(_figure(subject, one) for one in found if len(one.get("groups") or ()) > 1)
    if not figures:
        return []
    return [Exhibit("groups", "Groups of models", "Groups", LEDE, figures, switch="Group by")]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    by = plain(found["by"]).replace("_", " ")
    title = subject.title(found["label"])
    groups = [plain(group) for group in found["groups"]]
    side = 2.6 + 0.45 * len(groups)
    return Figure(
        key=stem_of(f"groups-{found['label']}-by-{by}"),
        kind="condensed",
        name=by,
        caption=f"Mean {title} by {by}. Point at a cell for its interval and number of pairs.",
        table=_cells(found, groups),
        more={"groups": groups, "title": title},
        draw=partial(_draw, groups=groups, means=found["means"], title=title),
        size=(max(4.5, side + 0.8), max(3.6, side)),
    )


def _cells(found: dict[str, Any], groups: list[str]) -> Table:
    table: Table = {name: [] for name in ("group_a", "group_b", "mean", "low", "high", "pairs")}
    for i, a in enumerate(groups):
        for j, b in enumerate(groups):
            if j < i:
                continue
            values = (a, b, *(_at(found, key, i, j) for key in ("means", "low", "high", "counts")))
            for column, value in zip(table.values(), values, strict=True):
                column.append(value)
    return table


def _at(found: dict[str, Any], key: str, i: int, j: int) -> Any:
    block = found.get(key)
    return None if block is None else block[i][j]


def _draw(canvas: Any, *, groups: list[str], means: list[list[Any]], title: str) -> None:
    values = [[float("nan") if cell is None else cell for cell in row] for row in means]
    heat(
        canvas.add_subplot(),
        values,
        rows=groups,
        columns=groups,
        label=f"mean {title}",
        numbers=True,
    )
