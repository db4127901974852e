"""Which metric of a study plays which part on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.study.score_matrix import Array, ScoreMatrix, Scores

HEADLINE_METRICS = ("cknna", "mutual_knn", "cka")


@dataclass(frozen=True)
class Cast:
    """The parts: labels by kind, the metric the findings speak of, and the baselines."""

    pair: tuple[str, ...]
    directed: tuple[str, ...]
    single: tuple[str, ...]
    headline: str | None
    baselines: frozenset[int]


def cast(matrix: ScoreMatrix, models: Iterable[Mapping[str, Any]] = ()) -> Cast:
    """Sort the labels of a study by what the page does with them.

    The headline is the first CKNNA, else mutual k-NN, else CKA, else the first "pair" metric.
    A model is a baseline if its mapping says ``"baseline": True``.
    """
    kinds: dict[str, list[str]] = {"pair": [], "directed": [], "single": []}
    for label, scores in matrix.scores.items():
        kinds[scores.kind].append(label)
    by_rank = sorted(kinds["pair"], key=lambda label: headline_rank(matrix.scores[label]))
    said = {model.get("name") for model in models if model.get("baseline") is True}
    return Cast(
        pair=tuple(kinds["pair"]),
        directed=tuple(kinds["directed"]),
        single=tuple(kinds["single"]),
        headline=by_rank[0] if by_rank else None,
        baselines=frozenset(i for i, name in enumerate(matrix.names) if name in said),
    )


def headline_rank(scores: Scores) -> int:
    """Return 0 for the metric that findings prefer to speak of, more for others."""
    order = {name: rank for rank, name in enumerate(HEADLINE_METRICS)}
    return order.get(scores.metric, len(order))


def off_diagonal(square: Array) -> Array:
    """Return the entries of two different models."""
    return square[~np.eye(len(square), dtype=bool)]


def lower_is_closer(scores: Scores) -> bool:
    """Return True if a smaller score means more alike.

    Nothing is closer to a model than itself, so the diagonal tells the direction.
    """
    if scores.kind == "single" or len(scores.values) < 2:
        return False
    own = float(np.median(np.diagonal(scores.values)))
    return own < float(np.median(off_diagonal(scores.values)))
