"""Scores of pairs of models, as the analyses read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consilience.study.score_matrix import Array, Scores

# The only metrics that are smaller where models agree more.
LOWER_IS_CLOSER = frozenset({"information_imbalance"})
NORMAL_95 = 1.959963984540054


def check_names(scores: Scores, names: Sequence[str]) -> None:
    """Raise unless there is one name per row of the scores."""
    if len(names) != len(scores.values):
        raise ValueError(
            f"{scores.label}: there are {len(scores.values)} models, but {len(names)} names"
        )


def pair_values(scores: Scores) -> Array:
    """Return the (n, n) scores of unordered pairs: the mean of both directions if they differ."""
    if scores.kind == "single":
        raise ValueError(
            f"{scores.label!r} is a score of single models; this analysis needs one of pairs"
        )
    return 0.5 * (scores.values + scores.values.T)


def alignment_values(scores: Scores) -> Array:
    """Return `pair_values`, sure that a larger one means that models agree more."""
    if scores.metric in LOWER_IS_CLOSER:
        raise ValueError(
            f"{scores.label!r} is smaller where models agree more; this analysis needs an "
            "alignment, for example cknna or distance_correlation"
        )
    return pair_values(scores)


def pair_errors(scores: Scores) -> Array | None:
    """Return standard errors of `pair_values`, or None without any.

    Both directions come from the same samples, so their errors are taken to move together.
    """
    if scores.std_error is None:
        return None
    return 0.5 * (scores.std_error + scores.std_error.T)


def clipped(value: float, error: float, scores: Scores) -> tuple[float | None, float | None]:
    """Return the normal 95 % interval within the bounds of the metric; None without an error."""
    if not np.isfinite(error):
        return None, None
    low, high = scores.bounds
    reach = NORMAL_95 * error
    return max(value - reach, low), min(value + reach, high)


def interval(
    scores: Scores, values: Array, errors: Array | None, a: int, b: int
) -> tuple[float | None, float | None]:
    """Return the 95 % interval of one pair's score."""
    if errors is None:
        return None, None
    return clipped(float(values[a, b]), float(errors[a, b]), scores)
