"""The numbers that the page's figures are drawn from, as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.glossary import title_of
from consilience.report.order import cluster
from consilience.report.parts import lower_is_closer, off_diagonal
from consilience.report.subject import Subject
from consilience.report.text import number, plain
from consilience.study.score_matrix import Array, Scores

DIGITS = 4  # of a number on the page; the files keep them all


def payload(
    subjects: Sequence[Subject], exhibits: Sequence[Sequence[Exhibit]], across: Sequence[Exhibit]
) -> dict[str, Any]:
    """Return what the page's script reads: its parts, and the exhibits across them."""
    return {
        "parts": [_part(subject, found) for subject, found in zip(subjects, exhibits, strict=True)],
        "across": [_exhibit(one) for one in across],
    }


def _part(subject: Subject, exhibits: Sequence[Exhibit]) -> dict[str, Any]:
    matrix = subject.part.matrix
    return {
        "name": subject.part.name,
        "title": subject.part.title,
        "names": list(matrix.names),
        "dims": list(matrix.dims),
        "n": matrix.n_samples,
        "baseline": [i in subject.cast.baselines for i in range(len(matrix.names))],
        "modality": [subject.modality(name) for name in matrix.names],
        "looks": subject.modalities,
        "facts": [_facts(subject, name) for name in matrix.names],
        "headline": subject.cast.headline,
        "metrics": [_metric(one) for one in matrix.scores.values() if one.kind != "single"],
        "exhibits": [_exhibit(one) for one in exhibits],
    }


def _facts(subject: Subject, name: str) -> list[list[str]]:
    """Return what the pair's section says of a model, as label and text."""
    shown = ("modality", "family", "architecture", "training_data", "parameters", "summary")
    facts = subject.facts.get(name, {})
    known = [(key, facts[key]) for key in shown if facts.get(key) is not None]
    return [
        [key.replace("_", " "), f"{value:,}" if isinstance(value, int) else plain(value)]
        for key, value in known
    ]


def _exhibit(exhibit: Exhibit) -> dict[str, Any]:
    # the matrix is drawn from "metrics", which hold the same numbers in less room
    figures = [one for one in exhibit.figures if one.kind != "matrix"]
    return {"key": exhibit.key, "figures": [_figure(one) for one in figures]}


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "kind": figure.kind,
        "name": figure.name,
        "caption": figure.caption,
        "table": _thinned(figure),
        "more": _rounded(figure.more),
    }


def _thinned(figure: Figure) -> Table:
    """Return the table, rounded, with no more rows than a browser draws at ease."""
    n_rows = len(next(iter(figure.table.values()), []))
    most = figure.rows_on_page
    kept: Sequence[int] = range(n_rows)
    if most is not None and n_rows > most:
        kept = sorted({round(place) for place in np.linspace(0, n_rows - 1, most)})
    return {name: [_rounded(column[i]) for i in kept] for name, column in figure.table.items()}


def _metric(scores: Scores) -> dict[str, Any]:
    low, high = scores.interval() or (None, None)
    clustering = cluster(scores)
    arrays = {
        "values": scores.values,
        "nullMean": scores.null_mean,
        "nullStd": scores.null_std,
        "low": low,
        "high": high,
        "z": scores.z(),
        "p": scores.p_value,
        "q": scores.q_value(),
        "calibrated": scores.calibrated,
    }
    return {
        "label": scores.label,
        "title": title_of(scores),
        "symmetric": scores.symmetric,
        "lower": lower_is_closer(scores),
        "bounds": [_finite(bound) for bound in scores.bounds],
        "chanceLevel": _chance_level(scores),
        "order": clustering.order,
        "tree": _rounded([list(link) for link in clustering.tree]),
        **{name: _packed(array, symmetric=scores.symmetric) for name, array in arrays.items()},
    }


def _packed(array: Array | None, *, symmetric: bool) -> list[Any] | None:
    """Return the cells of two different models, row by row; the upper half where that is all.

    An array of which nothing is defined is None as a whole, as if it were not there.
    """
    if array is None:
        return None
    chosen = np.triu(np.ones(array.shape, dtype=bool), 1)
    if not symmetric:
        chosen |= chosen.T
    cells = array[chosen]
    return [_rounded(float(value)) for value in cells] if np.isfinite(cells).any() else None


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


def _rounded(value: Any) -> Any:
    """Return JSON-able numbers of a few digits, None where not finite."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return None
        short = float(f"{float(value):.{DIGITS}g}")
        return int(short) if short == int(short) else short
    return value


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
