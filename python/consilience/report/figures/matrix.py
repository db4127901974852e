"""Every pair of models under every metric, like beside like."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.glossary import entry_for, title_of
from consilience.report.order import cluster
from consilience.report.parts import lower_is_closer, off_diagonal
from consilience.report.static import heat
from consilience.report.subject import Subject
from consilience.report.tables import file_stems
from consilience.study.score_matrix import Scores

MOST_NUMBERS = 14  # models up to which the static figure writes the scores into the cells


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with a figure per metric of pairs."""
    matrix = subject.part.matrix
    labels = (*subject.cast.pair, *subject.cast.directed)
    if len(matrix.names) < 2 or not labels:
        return []
    stems = file_stems(matrix.metrics)
    order = cluster(subject.headline or matrix.scores[labels[0]]).order
    figures = tuple(
        _figure(subject, matrix.scores[label], f"matrix-{stems[label]}", order)
        for label in leading_labels(subject)
    )
    return [Exhibit("matrix", "Who agrees with whom", "Matrix", "", figures)]


def leading_labels(subject: Subject) -> list[str]:
    """Return one label per metric: the headline, or the first of those that differ in settings.

    A study asks one metric at many k; a switch with all of them could not be read.
    """
    scores = subject.part.matrix.scores
    found: dict[str, str] = {}
    for label in (*subject.cast.pair, *subject.cast.directed):
        title = entry_for(scores[label]).title
        if title not in found or label == subject.cast.headline:
            found[title] = label
    return list(found.values())


def _figure(subject: Subject, scores: Scores, key: str, order: list[int]) -> Figure:
    side = 2.6 + 0.24 * len(order)
    return Figure(
        key=key,
        kind="matrix",
        name=title_of(scores),
        caption=f"{title_of(scores)} of every pair of models.",
        table=_cells(subject, scores),
        draw=partial(_draw, subject=subject, scores=scores, order=order),
        size=(max(4.5, side + 0.8), max(3.8, side)),
    )


def _cells(subject: Subject, scores: Scores) -> Table:
    low, high = scores.interval() or (None, None)
    arrays = {
        "score": scores.values,
        "low": low,
        "high": high,
        "null_mean": scores.null_mean,
        "null_std": scores.null_std,
        "z": scores.z(),
        "p": scores.p_value,
        "q": scores.q_value(),
        "calibrated": scores.calibrated,
    }
    cells = scores.cells()
    table: Table = {
        "model_a": [subject.names[a] for a, _ in cells],
        "model_b": [subject.names[b] for _, b in cells],
    }
    for name, array in arrays.items():
        if array is not None:
            table[name] = [float(array[cell]) for cell in cells]
    return table


def _draw(canvas: Any, *, subject: Subject, scores: Scores, order: list[int]) -> None:
    values = scores.values[np.ix_(order, order)].copy()
    np.fill_diagonal(values, np.nan)
    names = [subject.names[i] for i in order]
    axes = canvas.add_subplot()
    others = off_diagonal(scores.values)
    heat(
        axes,
        values,
        rows=names,
        columns=names,
        label=title_of(scores),
        reverse=lower_is_closer(scores),
        numbers=len(order) <= MOST_NUMBERS,
        limits=(float(others.min()), float(others.max())),
    )
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for text, name in zip(labels, names, strict=True):
            text.set_color(subject.modalities[subject.modality(name)]["color"])
