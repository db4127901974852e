"""Do better models look more like the best one?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consilience.study.analyses._facts import ByName, amounts, by_name
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import check_names, interval, pair_errors, pair_values
from consilience.study.analyses._rank import Correlation, spearman
from consilience.study.score_matrix import Scores


@dataclass(frozen=True)
class ConvergencePoint(Result):
    """A model: how well it does, and its alignment with the best model."""

    name: str
    performance: float
    alignment: float
    low: float | None
    high: float | None
    parameters: float | None
    family: str | None


@dataclass(frozen=True)
class Convergence(Result):
    """Alignment with the best model against performance.

    Attributes
    ----------
    label, performance_label : str
    lower_is_better : bool
        If so, convergence is a *negative* rho: the performance is correlated as it is.
    best : str
        The best model. It is no point, as it agrees with itself in any case.
    points : tuple of ConvergencePoint
        Best first.
    correlation : Correlation
        Of performance and alignment.
    within : dict of str to Correlation
        The same among the models of each family.
    trends : dict of str to Correlation
        Of alignment with "parameters" and "training_size", over the points where it is known.
        A rank correlation is the same for the logarithm of either.
    """

    label: str
    performance_label: str
    lower_is_better: bool
    best: str
    points: tuple[ConvergencePoint, ...]
    correlation: Correlation
    within: dict[str, Correlation]
    trends: dict[str, Correlation]


def convergence(
    scores: Scores,
    names: Sequence[str],
    performance: Mapping[str, float | None],
    *,
    performance_label: str,
    lower_is_better: bool = True,
    parameters: ByName = None,
    families: ByName = None,
    training_size: ByName = None,
    seed: int = 0,
) -> Convergence:
    """Alignment with the best performing model against performance.

    Parameters
    ----------
    scores : Scores
        Of pairs. Where directions differ, their mean is the alignment.
    names : sequence of str
        The models, in the order of the scores.
    performance : mapping from name to number
        Models without one are left out.
    performance_label : str
        What it is and its unit, for example "energy MAE (eV/atom)".
    lower_is_better : bool
    parameters, training_size : mapping from name or sequence, optional
        None where not known.
    families : mapping from name or sequence, optional
    seed : int
        Of the permutation tests.

    Returns
    -------
    Convergence
        A correlation of fewer than four points is None with its reason.

    Raises
    ------
    ValueError
        If fewer than two models have a performance, it is not finite, or a name is strange.

    References
    ----------
    [edamadaka2025]_, [bonett2000]_
    """
    check_names(scores, names)
    judged = _judged(scores, names, performance)
    values, errors = pair_values(scores), pair_errors(scores)
    sizes = amounts(by_name(parameters, names, "parameters"), names, "parameters")
    trained = amounts(by_name(training_size, names, "training_size"), names, "training_size")
    kinds = by_name(families, names, "families")
    sign = 1.0 if lower_is_better else -1.0
    best, *others = sorted(judged, key=lambda a: sign * judged[a])
    points = tuple(
        ConvergencePoint(
            names[a],
            judged[a],
            float(values[best, a]),
            *interval(scores, values, errors, best, a),
            sizes[a],
            None if kinds[a] is None else str(kinds[a]),
        )
        for a in others
    )
    found = dict.fromkeys(point.family for point in points if point.family is not None)
    return Convergence(
        label=scores.label,
        performance_label=performance_label,
        lower_is_better=lower_is_better,
        best=names[best],
        points=points,
        correlation=_correlation(points, seed),
        within={
            family: _correlation([p for p in points if p.family == family], seed)
            for family in found
        },
        trends={
            "parameters": _trend(points, [sizes[a] for a in others], seed),
            "training_size": _trend(points, [trained[a] for a in others], seed),
        },
    )


def _judged(
    scores: Scores, names: Sequence[str], performance: Mapping[str, float | None]
) -> dict[int, float]:
    found = {
        place: float(value)
        for place, value in enumerate(by_name(performance, names, "performance"))
        if value is not None
    }
    for place, value in found.items():
        if not math.isfinite(value):
            raise ValueError(f"`performance` of {names[place]!r} must be finite, got {value}")
    if len(found) < 2:
        raise ValueError(
            f"{scores.label}: convergence needs the performance of at least two models, "
            f"got {len(found)} of {len(names)}"
        )
    return found


def _correlation(points: Sequence[ConvergencePoint], seed: int) -> Correlation:
    return spearman([p.performance for p in points], [p.alignment for p in points], seed=seed)


def _trend(
    points: Sequence[ConvergencePoint], sizes: Sequence[float | None], seed: int
) -> Correlation:
    both = [(p.alignment, s) for p, s in zip(points, sizes, strict=True) if s is not None]
    return spearman([s for _, s in both], [alignment for alignment, _ in both], seed=seed)
