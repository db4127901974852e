"""The numbers that the page's figures are drawn from, as one JSON object."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.report.glossary import title_of
from consilience.report.order import cluster
from consilience.report.parts import Cast, lower_is_closer, off_diagonal
from consilience.report.text import number, plain
from consilience.study.score_matrix import Array, ScoreMatrix, Scores


def payload(matrix: ScoreMatrix, parts: Cast) -> dict[str, Any]:
    """Return what `page.js` reads: models, metrics in order, and which one leads."""
    return {
        "names": list(matrix.names),
        "dims": list(matrix.dims),
        "n": matrix.n_samples,
        "baseline": [i in parts.baselines for i in range(len(matrix.names))],
        "headline": parts.headline,
        "metrics": [_metric(scores) for scores in matrix.scores.values()],
    }


def _metric(scores: Scores) -> dict[str, Any]:
    low, high = scores.interval() or (None, None)
    square = scores.kind != "single"
    clustering = cluster(scores) if square else None
    return {
        "label": scores.label,
        "title": title_of(scores),
        "kind": scores.kind,
        "symmetric": scores.symmetric,
        "lower": lower_is_closer(scores),
        "bounds": [_finite(bound) for bound in scores.bounds],
        "chanceLevel": _chance_level(scores),
        "values": _json(scores.values),
        "nullMean": _json(scores.null_mean),
        "nullStd": _json(scores.null_std),
        "low": _json(low),
        "high": _json(high),
        "z": _json(scores.z()),
        "p": _json(scores.details.get("p_value")),
        "order": clustering.order if clustering else [],
        "tree": [list(link) for link in clustering.tree] if clustering else [],
    }


def settings_text(scores: Scores) -> str:
    """Return the settings of a metric on one line."""
    return " · ".join(f"{name} = {plain(value)}" for name, value in scores.settings.items())


def chance_text(scores: Scores) -> str:
    """Return the range of the null over all cells, or nothing where there is no null."""
    means = _defined(scores, scores.null_mean)
    if not means.size:
        return ""
    low, high = number(float(means.min())), number(float(means.max()))
    text = low if low == high else f"{low} to {high}"
    stds = _defined(scores, scores.null_std)
    spread = f", standard deviation up to {number(float(stds.max()))}" if stds.size else ""
    return f"{text} over all pairs{spread}" if scores.kind != "single" else f"{text}{spread}"


def _chance_level(scores: Scores) -> float | None:
    means = _defined(scores, scores.null_mean)
    return _rounded(float(np.median(means))) if means.size else None


def _defined(scores: Scores, array: Array | None) -> Array:
    if array is None:
        return np.empty(0)
    inside = array if scores.kind == "single" else off_diagonal(array)
    return inside[np.isfinite(inside)]


def _json(array: Array | None) -> Any:
    """Return nested lists of six digits (the files keep them all), None where not finite.

    An array of which nothing is defined is None as a whole, as if it were not there.
    """
    if array is None or not np.isfinite(array).any():
        return None
    if array.ndim == 1:
        return [_rounded(value) for value in array.tolist()]
    return [[_rounded(value) for value in row] for row in array.tolist()]


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
