"""Two models layer by layer."""

from __future__ import annotations

from functools import partial
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.static import heat
from consilience.report.subject import Subject
from consilience.report.tables import stem_of
from consilience.report.text import number
from consilience.report.words import p_text

LEDE = (
    "All layers of one model against all layers of another. The best of many cells is high by "
    "chance alone; its calibrated value and p pay for the search."
)


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure per pair of models."""
    figures = tuple(_figure(subject, one) for one in subject.analysis("layers"))
    if not figures:
        return []
    return [Exhibit("layers", "Layer by layer", "Layers", LEDE, figures, switch="Models")]


def _figure(subject: Subject, found: dict[str, Any]) -> Figure:
    title = subject.title(found["label"])
    rows, across = list(found["layers_a"]), list(found["layers_b"])
    table: Table = {name: [] for name in ("layer_a", "layer_b", "score", "calibrated")}
    for i, a in enumerate(rows):
        for j, b in enumerate(across):
            calibrated = found.get("calibrated")
            values = (a, b, found["values"][i][j], calibrated[i][j] if calibrated else None)
            for column, value in zip(table.values(), values, strict=True):
                column.append(value)
    return Figure(
        key=stem_of(f"layers-{found['a']}-{found['b']}"),
        kind="layers",
        name=f"{found['a']} and {found['b']}",
        caption=_caption(found, title),
        table=table,
        more={"a": found["a"], "b": found["b"], "title": title, "rows": rows, "columns": across},
        draw=partial(_draw, found=found, title=title),
        size=(2.8 + 0.42 * len(across), 2.2 + 0.36 * len(rows)),
    )


def _caption(found: dict[str, Any], title: str) -> str:
    text = f"{title}: rows are layers of {found['a']}, columns of {found['b']}."
    best = found.get("best")
    if best:
        evidence = (
            [f"calibrated {number(best['calibrated'])}"]
            if best.get("calibrated") is not None
            else []
        )
        if best.get("p") is not None:
            evidence.append(p_text(best["p"]))
        told = f" ({'; '.join(evidence)})" if evidence else ""
        text += f" Best: {best['layer_a']} and {best['layer_b']}, {number(best['value'])}{told}."
    return text


def _draw(canvas: Any, *, found: dict[str, Any], title: str) -> None:
    axes = canvas.add_subplot()
    heat(
        axes,
        [[float("nan") if value is None else value for value in row] for row in found["values"]],
        rows=list(found["layers_a"]),
        columns=list(found["layers_b"]),
        label=title,
        numbers=len(found["layers_b"]) <= 16,
    )
    axes.set_ylabel(found["a"])
    axes.set_xlabel(found["b"])
