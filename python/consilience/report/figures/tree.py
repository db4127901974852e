"""The tree of models: who is whose neighbour, without a root."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.static import GREY, key
from consilience.report.subject import Subject
from consilience.report.tables import stem_of

LEDE = (
    "Models whose profiles of agreement with all others are alike sit on neighbouring branches. "
    "Lengths along the branches are distances; the tree has no root, and directions on the "
    "page mean nothing."
)


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with the unrooted tree."""
    found = [one for one in subject.analysis("tree") if len(one.get("nodes") or ()) > 2]
    figures = tuple(_figure(subject, one, place) for place, one in enumerate(found))
    return [Exhibit("tree", "The tree of models", "Tree", LEDE, figures)] if figures else []


def _figure(subject: Subject, found: dict[str, Any], place: int) -> Figure:
    title = subject.title(found["label"])
    leaves = leaf_places(found)
    table = _table(found)
    more = {
        "leaves": [one | {"modality": subject.modality(one["name"])} for one in leaves],
        "looks": subject.modalities,
        "newick": found.get("newick", ""),
    }
    return Figure(
        key="tree" if not place else stem_of(f"tree-{found['label']}"),
        kind="tree",
        name=title,
        caption=(
            f"Neighbour joining on Jensen-Shannon distances between the models' profiles of "
            f"{title}. Colour and mark: modality."
        ),
        table=table,
        more=more,
        draw=partial(_draw, table=table, more=more),
        size=(7.6, 6.6),
    )


def leaf_places(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return name, place and outward angle (degrees) of every leaf."""
    nodes = {one["id"]: one for one in found["nodes"]}
    neighbour: dict[Any, Any] = {}
    for edge in found["edges"]:
        neighbour[edge["to"]] = nodes[edge["from"]]
        neighbour.setdefault(edge["from"], nodes[edge["to"]])
    leaves = []
    for one in nodes.values():
        if one.get("name") is None:
            continue
        inner = neighbour.get(one["id"], {"x": 0.0, "y": 0.0})
        angle = math.degrees(math.atan2(one["y"] - inner["y"], one["x"] - inner["x"]))
        leaves.append({"name": one["name"], "x": one["x"], "y": one["y"], "angle": round(angle, 2)})
    return leaves


def _table(found: dict[str, Any]) -> Table:
    nodes = {one["id"]: one for one in found["nodes"]}
    table: Table = {name: [] for name in ("from", "to", "model", "length", "x0", "y0", "x1", "y1")}
    for edge in found["edges"]:
        a, b = nodes[edge["from"]], nodes[edge["to"]]
        name = b.get("name") or a.get("name")
        values = (a["id"], b["id"], name, edge.get("length"), a["x"], a["y"], b["x"], b["y"])
        for column, value in zip(table.values(), values, strict=True):
            column.append(value)
    return table


def _draw(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    axes = canvas.add_subplot()
    for x0, y0, x1, y1 in zip(*(table[one] for one in ("x0", "y0", "x1", "y1")), strict=True):
        axes.plot([x0, x1], [y0, y1], color=GREY, linewidth=1.1, zorder=1)
    for leaf in more["leaves"]:
        look = more["looks"][leaf["modality"]]
        axes.plot(leaf["x"], leaf["y"], look["marker"], color=look["color"], ms=6, mec="white")
        flipped = abs(leaf["angle"]) > 90
        axes.annotate(
            leaf["name"],
            (leaf["x"], leaf["y"]),
            xytext=_beyond(leaf["angle"], 7),
            textcoords="offset points",
            rotation=leaf["angle"] + (180 if flipped else 0),
            rotation_mode="anchor",
            ha="right" if flipped else "left",
            va="center",
            fontsize=7,
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.25)
    axes.axis("off")
    key(axes, more["looks"])


def _beyond(angle: float, points: float) -> tuple[float, float]:
    return points * math.cos(math.radians(angle)), points * math.sin(math.radians(angle))
