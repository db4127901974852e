"""Figures of a study for a notebook, as Plotly objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.glossary import title_of
from consilience.report.palette import SCALE, looks
from consilience.report.parts import cast

if TYPE_CHECKING:
    from consilience.study.result import Part


def plot_matrix(part: Part, metric: str | None = None) -> Any:
    """Return the scores of every pair under a metric as a heat map.

    Parameters
    ----------
    part : Part
    metric : str, optional
        A label of the part's matrix; the headline by default.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    KeyError
        If there is no such metric.
    ValueError
        If it scores single models.
    """
    go = _graph_objects()
    matrix = part.matrix
    label = metric or cast(matrix, part.models).headline
    if label is None:
        raise ValueError(f"{part.name} has no metric of pairs")
    values = matrix[label]
    scores = matrix.scores[label]
    if scores.kind == "single":
        raise ValueError(f"{label!r} scores single models, it has no matrix")
    shown = np.array(values)
    np.fill_diagonal(shown, np.nan)  # a model with itself would take the whole colour scale
    heat = go.Heatmap(
        z=shown, x=list(matrix.names), y=list(matrix.names), colorscale=SCALE, hoverongaps=False
    )
    figure = go.Figure(heat)
    figure.update_layout(
        title=title_of(scores), yaxis={"autorange": "reversed", "scaleanchor": "x"}
    )
    return figure


def plot_tree(part: Part) -> Any:
    """Return the unrooted tree of models, coloured by modality.

    Raises
    ------
    ValueError
        If the part has no tree.
    """
    if "tree" not in part.analyses:
        raise ValueError(f"{part.name} has no tree; it needs at least three models")
    go = _graph_objects()
    tree = part.analyses["tree"]
    places = {node["id"]: (node["x"], node["y"]) for node in tree["nodes"]}
    lines: tuple[list[float | None], list[float | None]] = ([], [])
    for edge in tree["edges"]:
        for axis in (0, 1):
            lines[axis].extend((places[edge["from"]][axis], places[edge["to"]][axis], None))
    modality = {model["name"]: model.get("modality") or "unknown" for model in part.models}
    leaves = [node for node in tree["nodes"] if node["name"] is not None]
    drawn = [go.Scatter(x=lines[0], y=lines[1], mode="lines", line={"color": "#888"}, name="")]
    for kind, look in looks(modality[leaf["name"]] for leaf in leaves).items():
        here = [leaf for leaf in leaves if modality[leaf["name"]] == kind]
        drawn.append(
            go.Scatter(
                x=[leaf["x"] for leaf in here],
                y=[leaf["y"] for leaf in here],
                text=[leaf["name"] for leaf in here],
                mode="markers+text",
                textposition="top center",
                marker={"size": 10, "color": look["color"], "symbol": look["symbol"]},
                name=kind,
            )
        )
    figure = go.Figure(drawn)
    figure.update_layout(
        xaxis={"visible": False}, yaxis={"visible": False, "scaleanchor": "x"}, title=tree["label"]
    )
    return figure


def _graph_objects() -> Any:
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ImportError("a plot needs plotly: pip install 'consilience[report]'") from error
    return go
