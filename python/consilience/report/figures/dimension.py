"""How many dimensions the samples fill in each model."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.glossary import title_of
from consilience.report.palette import COLORS, SYMBOLS, looks, word
from consilience.report.static import RULE, key
from consilience.report.subject import Subject

LEDE = (
    "The number of directions in which the samples really vary, whatever the width of the "
    "embedding. A violin is drawn from five models on."
)


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit: by embedding type and estimator, and by model."""
    found = (subject.analysis("dimension") or _from_matrix(subject))[:1]
    if not found or not found[0]["methods"]:
        return []
    titles = _titles(found[0]["methods"])
    table = _table(subject, found[0], titles)
    types = [one for one in table["embedding"] if one != "unknown"]
    figures = [_by_model(table, titles)]
    if types:
        figures = [*(_by_type(table, title, i) for i, title in enumerate(titles)), *figures]
    return [Exhibit("dimensions", "How many dimensions", "Dimensions", LEDE, tuple(figures))]


def _from_matrix(subject: Subject) -> list[dict[str, Any]]:
    """Return the estimates of the matrix where the study made no analysis of its own."""
    scores = [subject.part.matrix.scores[label] for label in subject.cast.single]
    methods = [
        {"label": one.label, "title": title_of(one).removeprefix("Intrinsic dimension, ")}
        for one in scores
    ]
    models = [
        {
            "name": name,
            "embedding": subject.fact(name, "embedding"),
            "values": [float(one.values[i]) for one in scores],
        }
        for i, name in enumerate(subject.names)
    ]
    return [{"methods": methods, "models": models}]


def _titles(methods: list[dict[str, Any]]) -> list[str]:
    plain = [str(one.get("title") or one["label"]) for one in methods]
    return [
        f"{title}, k = {one['k']}" if plain.count(title) > 1 and one.get("k") else title
        for title, one in zip(plain, methods, strict=True)
    ]


def _table(subject: Subject, found: dict[str, Any], titles: list[str]) -> Table:
    models = sorted(found["models"], key=lambda one: _first(one["values"]))
    table: Table = {
        "model": [one["name"] for one in models],
        "embedding": [
            "baseline" if subject.modality(one["name"]) == "baseline" else word(one["embedding"])
            for one in models
        ],
        "width": [_width(subject, one["name"]) for one in models],
    }
    return table | {title: [one["values"][i] for one in models] for i, title in enumerate(titles)}


def _first(values: list[Any]) -> float:
    return next((float(value) for value in values if value is not None), float("inf"))


def _width(subject: Subject, name: str) -> int | None:
    matrix = subject.part.matrix
    return matrix.dims[matrix.names.index(name)] if name in matrix.names else None


def _by_type(table: Table, title: str, place: int) -> Figure:
    order = sorted(dict.fromkeys(table["embedding"]), key=lambda one: one == "baseline")
    more = {"title": title, "order": order, "looks": looks(order)}
    kept = {name: table[name] for name in ("model", "embedding", "width", title)}
    return Figure(
        key=f"dimension-by-type-{place + 1}",
        kind="violins",
        name=f"{title}, by embedding type",
        caption=f"Intrinsic dimension by {title}. Each dot is a model.",
        table=kept,
        more=more,
        draw=partial(_draw_types, table=kept, more=more),
        size=(6.0, 4.2),
    )


def _by_model(table: Table, titles: list[str]) -> Figure:
    return Figure(
        key="dimension-by-model",
        kind="dots",
        name="by model",
        caption=(
            "Each dot is one model under one estimator, models sorted by the first. "
            "The number after a name is the width of its embedding."
        ),
        table=table,
        more={"titles": titles},
        draw=partial(_draw_models, table=table, titles=titles),
        size=(6.6, 1.4 + 0.24 * len(table["model"])),
    )


def _draw_types(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    axes = canvas.add_subplot()
    rng = np.random.default_rng(0)
    for place, kind in enumerate(more["order"]):
        pairs = zip(table["embedding"], table[more["title"]], strict=True)
        values = [value for one, value in pairs if one == kind and value is not None]
        color = more["looks"][kind]["color"]
        if len(values) >= 5:
            for body in axes.violinplot([values], [place], showextrema=False)["bodies"]:
                body.set_color(color)
                body.set_alpha(0.25)
        across = place + rng.uniform(-0.08, 0.08, len(values))
        axes.plot(across, values, more["looks"][kind]["marker"], color=color, mec="white", ms=6)
    axes.set_xticks(range(len(more["order"])), more["order"])
    axes.set_ylabel(f"intrinsic dimension, {more['title']}")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="y")


def _draw_models(canvas: Any, *, table: Table, titles: list[str]) -> None:
    axes = canvas.add_subplot()
    places = list(range(len(table["model"])))
    shown = {}
    for i, title in enumerate(titles):
        color, (_, marker) = COLORS[i % len(COLORS)], SYMBOLS[i % len(SYMBOLS)]
        axes.plot(table[title], places, marker, color=color, ms=6, mec="white")
        shown[title] = {"color": color, "marker": marker}
    for place in places:
        axes.axhline(place, color=RULE, linewidth=0.4, zorder=0)
    axes.set_yticks(places, table["model"])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("intrinsic dimension")
    axes.set_xlim(left=0)
    key(axes, shown)
