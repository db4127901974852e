"""Intrinsic dimension of every model, by method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilience.study.analyses._facts import ByName, by_name
from consilience.study.analyses._json import Result
from consilience.study.score_matrix import ScoreMatrix, Scores

TITLES = {"twonn": "TwoNN", "dimension_mle": "Maximum likelihood", "gride": "Gride"}


@dataclass(frozen=True)
class DimensionMethod(Result):
    """An estimator with its settings. `k` is the farthest neighbour it reads."""

    label: str
    title: str
    k: int | None


@dataclass(frozen=True)
class DimensionModel(Result):
    """A model, its type of embedding, and its dimension by each method."""

    name: str
    embedding: str | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Dimensions(Result):
    """Intrinsic dimensions; methods by k, models in the order of the matrix."""

    methods: tuple[DimensionMethod, ...]
    models: tuple[DimensionModel, ...]


def dimension(
    matrix: ScoreMatrix, labels: Sequence[str], embedding_types: ByName = None
) -> Dimensions:
    """Intrinsic dimension of every model by every method asked for.

    Parameters
    ----------
    matrix : ScoreMatrix
    labels : sequence of str
        Scores of single models.
    embedding_types : mapping from name or sequence, optional
        For example "invariant", "equivariant" or "vanilla".

    Returns
    -------
    Dimensions

    Raises
    ------
    ValueError
        If there are no labels, or one is not a score of single models.
    KeyError
        If the matrix has no such label.
    """
    if not labels:
        raise ValueError("`labels` is empty: name at least one score of single models")
    columns = []
    for label in labels:
        matrix[label]
        columns.append(matrix.scores[label])
        if columns[-1].kind != "single":
            raise ValueError(f"{label!r} is a score of pairs, not a dimension of single models")
    methods = {scores.label: _method(scores) for scores in columns}
    columns.sort(key=lambda scores: methods[scores.label].k or 0)
    kinds = by_name(embedding_types, matrix.names, "embedding_types")
    return Dimensions(
        tuple(methods[scores.label] for scores in columns),
        tuple(
            DimensionModel(
                name,
                None if kinds[a] is None else str(kinds[a]),
                tuple(float(scores.values[a]) for scores in columns),
            )
            for a, name in enumerate(matrix.names)
        ),
    )


def _method(scores: Scores) -> DimensionMethod:
    settings = scores.settings
    title = TITLES.get(scores.metric, scores.metric)
    if scores.metric == "twonn":
        return DimensionMethod(scores.label, title, 2)
    if scores.metric == "gride" and "n1" in settings and "n2" in settings:
        n1, n2 = int(settings["n1"]), int(settings["n2"])
        return DimensionMethod(scores.label, f"{title}, {n1} and {n2}", n2)
    k = settings.get("k")
    if k is None:
        return DimensionMethod(scores.label, title, None)
    return DimensionMethod(scores.label, f"{title}, k = {int(k)}", int(k))
