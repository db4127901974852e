"""Maps: the samples as each model sees them, and the models themselves."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.palette import COLORS, SCALE, Look, looks, word
from consilience.report.static import GREY, key
from consilience.report.subject import Subject
from consilience.report.text import plain

SAMPLES = (
    "One panel per model: samples that the model holds to be alike lie together. Distances "
    "between far clusters, sizes of clusters and the axes mean nothing."
)
MODELS = "Models that agree lie close; only distances mean something, not the axes."
MOST_POINTS = 400  # of each model on the page; the CSV file holds all


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return the maps of samples and the map of models, as far as the study made them."""
    found = subject.analysis("maps")
    samples = [one for one in found if one.get("kind") != "models" and one.get("points")]
    models = [one for one in found if one.get("kind") == "models" and one.get("points")]
    made = []
    if samples:
        made.append(Exhibit("samples", "Maps of samples", "Samples", SAMPLES, (_panels(samples),)))
    if models:
        figures = tuple(_map_of_models(subject, one, i) for i, one in enumerate(models))
        made.append(Exhibit("map", "Map of models", "Map", MODELS, figures))
    return made


def _panels(found: list[dict[str, Any]]) -> Figure:
    table: Table = {name: [] for name in ("model", "id", "x", "y", "color")}
    for place, one in enumerate(found):
        name = one.get("name") or f"map {place + 1}"
        for point in one["points"]:
            values = (name, *(point.get(key) for key in ("id", "x", "y", "color")))
            for column, value in zip(table.values(), values, strict=True):
                column.append(value)
    by = found[0].get("colored_by")
    words = _said(by)
    numeric = all(isinstance(value, int | float) for value in table["color"] if value is not None)
    more: dict[str, Any] = {
        "models": list(dict.fromkeys(table["model"])),
        "by": words,
        "looks": looks(table["color"]) if by and not numeric else None,
    }
    panels = len(more["models"])
    across = min(5, panels)
    coloured = f" Coloured by {words}." if by else ""
    return Figure(
        key="samples",
        kind="samples",
        name="samples",
        caption=f"Made by {found[0].get('method', 'projection')}.{coloured}",
        table=table,
        more=more,
        draw=partial(_draw_panels, table=table, more=more, across=across),
        size=(1.7 * across + 0.8, 1.75 * math.ceil(panels / across) + 0.2),
        rows_on_page=MOST_POINTS * panels,
    )


def _said(by: Any) -> str:
    """Return the name of a label with its unit: energy_ev is "energy, eV"."""
    words = plain(by).replace("_", " ") if by else ""
    return f"{words.removesuffix(' ev')}, eV" if words.endswith(" ev") else words


def _draw_panels(canvas: Any, *, table: Table, more: dict[str, Any], across: int) -> None:
    down = math.ceil(len(more["models"]) / across)
    grid = canvas.subplots(down, across, squeeze=False)
    colors = _colors(table["color"], more["looks"]) if more["by"] else [COLORS[0]] * len(table["x"])
    for axes in grid.flat:
        axes.axis("off")
    for axes, model in zip(grid.flat, more["models"], strict=False):
        rows = [i for i, one in enumerate(table["model"]) if one == model]
        dots = axes.scatter(
            [table["x"][i] for i in rows],
            [table["y"][i] for i in rows],
            c=[colors[i] for i in rows],
            cmap=SCALE if more["by"] and not more["looks"] else None,
            s=3,
            linewidths=0,
            rasterized=True,
        )
        axes.set_title(model if len(model) < 25 else model[:23] + "…", fontsize=7)
    if not more["looks"] and more["by"]:
        canvas.colorbar(dots, ax=grid, shrink=0.5, label=more["by"]).outline.set_visible(False)


def _colors(values: list[Any], shown: dict[str, Look] | None) -> list[Any]:
    if shown is None:
        return [math.nan if value is None else value for value in values]
    return [shown[word(value)]["color"] for value in values]


def _map_of_models(subject: Subject, found: dict[str, Any], place: int) -> Figure:
    points = found["points"]
    table: Table = {
        "model": [one["name"] for one in points],
        "x": [one["x"] for one in points],
        "y": [one["y"] for one in points],
        "modality": [subject.modality(one["name"]) for one in points],
    }
    more = {"looks": subject.modalities}
    return Figure(
        key="map" if not place else f"map-{place + 1}",
        kind="map",
        name=str(found.get("method", "map")),
        caption=f"Made by {found.get('method', 'projection')}. Colour and mark: modality.",
        table=table,
        more=more,
        draw=partial(_draw_map, table=table, more=more),
        size=(7.0, 5.0),
    )


def _draw_map(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    axes = canvas.add_subplot()
    for name, x, y, modality in zip(*table.values(), strict=True):
        look = more["looks"][modality]
        axes.plot(x, y, look["marker"], color=look["color"], ms=8, mec="white")
        axes.annotate(name, (x, y), xytext=(6, 3), textcoords="offset points", fontsize=6.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GREY)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.12)
    key(axes, more["looks"])
