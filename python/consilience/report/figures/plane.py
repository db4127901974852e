"""Both directions of the information imbalance of every pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.palette import SCALE
from consilience.report.static import GREY
from consilience.report.subject import Subject
from consilience.report.tables import stem_of

LEDE = (
    "A directed metric tells two models that agree from one that holds more than the other. "
    "Each pair is one point, turned so that the better predictor A comes first: bottom left, "
    "each tells all of the other; top left, A holds what B lacks; top right, unrelated."
)


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure per directed metric."""
    found = subject.analysis("plane") or _from_matrix(subject)
    figures = tuple(_figure(subject, one) for one in found if one.get("points"))
    if not figures:
        return []
    return [Exhibit("direction", "Who contains whom", "Direction", LEDE, figures, switch="Metric")]


def _from_matrix(subject: Subject) -> list[dict[str, Any]]:
    """Return the planes of the directed metrics where the study made none itself."""
    names, scores = subject.names, subject.part.matrix.scores
    pairs = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    return [
        {
            "label": label,
            "points": [
                {
                    "a": names[a],
                    "b": names[b],
                    "x_to_y": float(scores[label].values[a, b]),
                    "y_to_x": float(scores[label].values[b, a]),
                    "color": {one: float(scores[one].values[a, b]) for one in subject.cast.pair},
                }
                for a, b in pairs
            ],
        }
        for label in subject.cast.directed
    ]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    title = subject.title(found["label"])
    table, shades = _points(subject, found["points"])
    head = subject.cast.headline
    first = head if head in shades else next(iter(shades), None)
    return Figure(
        key=stem_of(f"direction-{found['label']}"),
        kind="plane",
        name=title,
        caption=(
            f"{title}. On the dotted line both directions agree. Crosses: pairs with a baseline. "
            "Select a point to see the pair under every metric."
        ),
        table=table,
        more={"title": title, "shades": shades, "first": first},
        draw=partial(_draw, table=table, title=title, shade=first, shades=shades),
        size=(6.2, 4.8),
    )


def _points(subject: Subject, points: list[dict[str, Any]]) -> tuple[Table, dict[str, str]]:
    """Return the pairs, the better predictor first, and the titles of the colour columns."""
    shades = dict.fromkeys(key for one in points for key in (one.get("color") or {}))
    flags = [key for key in ("same_data", "same_architecture") if any(key in one for one in points)]
    head = ("model_a", "model_b", "a_to_b", "b_to_a", *shades, *flags, "baseline")
    table: Table = {name: [] for name in head}
    for one in points:
        forth = one["x_to_y"] <= one["y_to_x"]
        a, b = (one["a"], one["b"]) if forth else (one["b"], one["a"])
        low, high = sorted((one["x_to_y"], one["y_to_x"]))
        color = one.get("color") or {}
        values = (
            *(a, b, low, high),
            *(color.get(key) for key in shades),
            *(one.get(key) for key in flags),
            "baseline" in (subject.modality(a), subject.modality(b)),
        )
        for column, value in zip(table.values(), values, strict=True):
            column.append(value)
    words = {"same_data": "same training data", "same_architecture": "same architecture"}
    titles = {key: subject.title(key) for key in shades} | {key: words[key] for key in flags}
    return table, titles


def _draw(
    canvas: Any, *, table: Table, title: str, shade: str | None, shades: dict[str, str]
) -> None:
    axes = canvas.add_subplot()
    x, y = np.array(table["a_to_b"], dtype=float), np.array(table["b_to_a"], dtype=float)
    reach = max(1.0, float(y.max())) * 1.04
    axes.plot([0, reach], [0, reach], ":", color=GREY, linewidth=1)
    base = np.array(table["baseline"], dtype=bool)
    color = np.array(table[shade], dtype=float) if shade else np.zeros(len(x))
    limits = (float(np.nanmin(color)), float(np.nanmax(color)))
    for chosen, mark in ((base, "X"), (~base, "o")):
        dots = axes.scatter(
            *(x[chosen], y[chosen]),
            c=color[chosen],
            cmap=SCALE,
            vmin=limits[0],
            vmax=limits[1],
            marker=mark,
            s=22,
            linewidths=0.4,
            edgecolors="white",
        )
    if shade:
        canvas.colorbar(dots, ax=axes, label=shades[shade]).outline.set_visible(False)
    axes.set_xlabel(f"{title}, better direction, A → B")
    axes.set_ylabel("the other direction, B → A")
    axes.set_xlim(0, reach)
    axes.set_ylim(0, reach)
    axes.grid(visible=True)
