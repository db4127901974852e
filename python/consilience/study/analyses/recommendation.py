"""Which smaller or cheaper model stands in for another, and which good models stand alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.study.analyses._facts import amounts, by_name, known
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import (
    alignment_values,
    check_names,
    clipped,
    interval,
    pair_errors,
)
from consilience.study.score_matrix import Array, Scores

LEAST_GOOD = 4
ALPHA = 0.05


@dataclass(frozen=True)
class Candidate(Result):
    """A model that may stand in for the target, and its score with it."""

    name: str
    score: float
    low: float | None
    high: float | None
    parameters: float | None
    seconds_per_1k: float | None


@dataclass(frozen=True)
class Target(Result):
    """A model and what may stand in for it, the closest first."""

    target: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class LocalOptimum(Result):
    """A model that does well, yet in a way of its own."""

    name: str
    performance: float
    mean_alignment: float
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class Recommendation(Result):
    """Candidates for every model, and models in a local optimum.

    Attributes
    ----------
    label : str
    targets : tuple of Target
    local_optima : tuple of LocalOptimum
    local_optima_reason : str or None
        Why local optima could not be looked for.
    """

    label: str
    targets: tuple[Target, ...]
    local_optima: tuple[LocalOptimum, ...]
    local_optima_reason: str | None = None


def recommendation(
    scores: Scores,
    names: Sequence[str],
    facts: Sequence[Mapping[str, Any]],
    performance: Mapping[str, float | None] | None = None,
    *,
    lower_is_better: bool = True,
) -> Recommendation:
    r"""Smaller or cheaper models that align with each model, and good models that do not.

    A candidate has fewer parameters or takes less time than the target, agrees with it beyond
    chance where a null is known, and is on a Pareto front: no other model with as few
    parameters (or as little time) aligns better. Baselines are neither targets nor candidates.

    A local optimum is one of the g models in the better half by performance that is out of line
    with the other h = g - 1 there. If every model has a level of agreement of its own,
    :math:`s_{ab} = u_a + u_b`, then :math:`u_a - \bar u` is its mean alignment with the others
    less theirs among themselves, and their spread gives that of u. The model is reported if

    .. math:: \frac{u_a - \bar u}{s_u \sqrt{1 + 1/h}} < -t_{1 - 0.05/g,\; h - 1}

    Student's t for a new draw, over all g models at once, and if the interval of its mean
    alignment, over samples with errors that move together, ends below the others' too.

    Parameters
    ----------
    scores : Scores
        Of pairs, larger where models agree more.
    names : sequence of str
    facts : sequence of mappings, one per model
        "baseline", "parameters", and "seconds_per_1k" or both "seconds" and "n_samples"; what
        is not known may be missing.
    performance : mapping from name to number, optional
    lower_is_better : bool

    Returns
    -------
    Recommendation
        A target without any smaller or cheaper candidate has none. Without the performance of
        four models in the better half there are no local optima, and the reason is given.

    Raises
    ------
    ValueError
        If the score is not an alignment, or names, facts or performance do not fit.
    """
    check_names(scores, names)
    if len(facts) != len(names):
        raise ValueError(f"`facts` must have one entry per model, {len(names)}, got {len(facts)}")
    values, errors = alignment_values(scores), pair_errors(scores)
    costs = [
        amounts([_stated(fact, "parameters") for fact in facts], names, "parameters"),
        amounts([_seconds(fact) for fact in facts], names, "seconds_per_1k"),
    ]
    models = [a for a, fact in enumerate(facts) if not fact.get("baseline", False)]
    real = _beyond_chance(scores, values, errors)
    targets = []
    for target in models:
        others = [a for a in models if a != target and real[target, a]]
        found = sorted(
            {a for cost in costs for a in _front(values[target], cost, others, target)},
            key=lambda a: -values[target, a],
        )
        candidates = tuple(
            Candidate(
                names[a],
                float(values[target, a]),
                *interval(scores, values, errors, target, a),
                costs[0][a],
                costs[1][a],
            )
            for a in found
        )
        targets.append(Target(names[target], candidates))
    optima, reason = _local_optima(
        scores, names, models, values, errors, performance, lower_is_better
    )
    return Recommendation(scores.label, tuple(targets), optima, reason)


def _stated(fact: Mapping[str, Any], key: str) -> Any:
    value = fact.get(key)
    return value if known(value) else None


def _seconds(fact: Mapping[str, Any]) -> Any:
    stated, seconds, n = (_stated(fact, key) for key in ("seconds_per_1k", "seconds", "n_samples"))
    if stated is None and seconds and n:
        return 1000.0 * float(seconds) / float(n)
    return stated


def _front(
    alignment: Array, cost: Sequence[float | None], others: Sequence[int], target: int
) -> list[int]:
    """Return who costs less than the target and aligns better than all that cost no more."""
    limit = math.inf if cost[target] is None else cost[target]
    priced = [(c, -float(alignment[a]), a) for a in others if (c := cost[a]) is not None]
    front, best = [], -math.inf
    for price, negative, a in sorted(priced):
        if price < limit and -negative > best:  # type: ignore[operator]
            front.append(a)
            best = -negative
    return front


def _beyond_chance(scores: Scores, values: Array, errors: Array | None) -> NDArray[np.bool_]:
    p_value = getattr(scores, "p_value", None)
    if p_value is not None:
        # nan is a null that is not known, which rules nothing out.
        return np.asarray(~(np.fmax(p_value, p_value.T) > 0.05))
    if scores.null_mean is None or errors is None:
        return np.ones(values.shape, dtype=bool)
    null = 0.5 * (scores.null_mean + scores.null_mean.T)
    return np.asarray(~(values - 1.96 * errors <= null))


def _local_optima(
    scores: Scores,
    names: Sequence[str],
    models: Sequence[int],
    values: Array,
    errors: Array | None,
    performance: Mapping[str, float | None] | None,
    lower_is_better: bool,
) -> tuple[tuple[LocalOptimum, ...], str | None]:
    stated = by_name(performance, names, "performance")
    judged = {a: float(stated[a]) for a in models if stated[a] is not None}
    for a, value in judged.items():
        if not math.isfinite(value):
            raise ValueError(f"`performance` of {names[a]!r} must be finite, got {value}")
    sign = 1.0 if lower_is_better else -1.0
    good = sorted(judged, key=lambda a: sign * judged[a])[: (len(judged) + 1) // 2]
    if len(good) < LEAST_GOOD:
        return (), (
            f"needs the performance of {2 * LEAST_GOOD - 1} models, so that {LEAST_GOOD} are in "
            f"the better half; got {len(judged)}"
        )
    found = []
    for rank, a in enumerate(good, start=1):
        others = [b for b in good if b != a]
        mean = float(values[a, others].mean())
        error = math.nan if errors is None else float(errors[a, others].mean())
        low, high = clipped(mean, error, scores)
        among = [float(values[b, [c for c in others if c != b]].mean()) for b in others]
        typical = float(np.mean(among))
        if _out_of_line(mean, among, len(good)) and (mean if high is None else high) < typical:
            reason = (
                f"rank {rank} of {len(judged)} by performance, but its mean alignment with the "
                f"other {len(others)} good models is {mean:.3g}; theirs among themselves is "
                f"{typical:.3g}"
            )
            found.append(LocalOptimum(names[a], judged[a], mean, low, high, reason))
    return tuple(found), None


def _out_of_line(mean: float, among: Sequence[float], n_good: int) -> bool:
    """Return whether a model's mean alignment is too low beside the others' among themselves."""
    from scipy.stats import t

    h = len(among)
    # Means of h - 1 partners are drawn together; this is the spread of the models' own levels.
    spread = float(np.std(among, ddof=1)) * (h - 1) / (h - 2)
    limit = float(t.ppf(1.0 - ALPHA / n_good, h - 1)) * spread * math.sqrt(1.0 + 1.0 / h)
    return mean < float(np.mean(among)) - limit
