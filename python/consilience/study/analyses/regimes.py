"""Do models agree as much on inputs unlike those they were trained on?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import check_names, pair_values
from consilience.study.score_matrix import Scores

Floats = NDArray[np.float64]

# 2^14 sign patterns are enumerated in a few milliseconds.
EXACT_UP_TO = 14
DRAWS = 9_999
LEAST = 3


@dataclass(frozen=True)
class RegimePair(Result):
    """A pair of models and its score on both data sets."""

    a: str
    b: str
    inside: float
    outside: float


@dataclass(frozen=True)
class Regimes(Result):
    """The same pairs of models on two data sets.

    Attributes
    ----------
    label, inside_name, outside_name : str
    pairs : tuple of RegimePair
        Pairs of the models that both have.
    mean_inside, mean_outside, difference : float
        Means over the pairs; difference = outside - inside.
    low, high, p : float or None
        95 % interval of the difference, and two-sided p-value of none.
    n_models : int
    reason : str or None
        Why a number is missing.
    """

    label: str
    inside_name: str
    outside_name: str
    pairs: tuple[RegimePair, ...]
    mean_inside: float
    mean_outside: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    n_models: int
    reason: str | None = None


def compare_regimes(
    inside: Scores,
    outside: Scores,
    names_in: Sequence[str],
    names_out: Sequence[str],
    *,
    inside_name: str = "in distribution",
    outside_name: str = "out of distribution",
    seed: int = 0,
) -> Regimes:
    r"""Mean difference of a score between two data sets, over the pairs of common models.

    Pairs that share a model are not independent, so the models are the units. With D the mean
    difference over pairs and :math:`D_{-a}` that without model a, each of the m models has the
    jackknife pseudo-value :math:`w_a = mD - (m-1)D_{-a}`; their mean is D [arvesen1969]_. The
    interval is Student's t of the pseudo-values with m - 1 degrees of freedom. The p-value
    flips their signs, all :math:`2^m` ways up to m = 14, else by seeded draws. Where differences
    come from the models, :math:`\mu + u_a + u_b`, pseudo-values are independent and the test of
    symmetric u is exact; differences of single pairs only make both wider.

    Both say what further models would show on these two data sets; that the data sets are
    samples themselves is not part of it.

    Parameters
    ----------
    inside, outside : Scores
        The same metric, with the same settings, on two data sets.
    names_in, names_out : sequence of str
    inside_name, outside_name : str
        The data sets, for the report.
    seed : int

    Returns
    -------
    Regimes
        No interval and p-value for two common models.

    Raises
    ------
    ValueError
        If the scores are of different metrics or settings, or fewer than two models are common.

    References
    ----------
    [edamadaka2025]_, [arvesen1969]_
    """
    check_names(inside, names_in)
    check_names(outside, names_out)
    if (inside.metric, inside.settings) != (outside.metric, outside.settings):
        raise ValueError(
            f"two regimes need one metric with one choice of settings, got {inside.label!r} "
            f"{inside.settings} and {outside.label!r} {outside.settings}"
        )
    common = [name for name in names_in if name in set(names_out)]
    m = len(common)
    if m < 2:
        raise ValueError(f"{inside.label}: both regimes must share two models, they share {m}")
    x = _of(inside, names_in, common)
    y = _of(outside, names_out, common)
    upper = np.triu_indices(m, 1)
    pairs = tuple(
        RegimePair(common[a], common[b], float(x[a, b]), float(y[a, b]))
        for a, b in zip(*upper, strict=True)
    )
    difference = y - x
    mean = float(difference[upper].mean())
    low, high, p, reason = _test(difference, mean, seed)
    means = float(x[upper].mean()), float(y[upper].mean())
    return Regimes(
        inside.label, inside_name, outside_name, pairs, *means, mean, low, high, p, m, reason
    )


def _of(scores: Scores, names: Sequence[str], common: Sequence[str]) -> Floats:
    places = [list(names).index(name) for name in common]
    return pair_values(scores)[np.ix_(places, places)]


def pseudo_values(difference: Floats) -> Floats:
    """Return the jackknife pseudo-values of the mean over pairs, one per model, (m,)."""
    m = len(difference)
    off = difference - np.diag(np.diag(difference))
    total = off.sum() / 2.0
    mean = total / (m * (m - 1) / 2.0)
    without = (total - off.sum(axis=1)) / ((m - 1) * (m - 2) / 2.0)
    return np.asarray(m * mean - (m - 1) * without)


def _test(
    difference: Floats, mean: float, seed: int
) -> tuple[float | None, float | None, float | None, str | None]:
    m = len(difference)
    if m < LEAST:
        return None, None, None, f"an interval needs {LEAST} common models, got {m}"
    from scipy.stats import t

    w = pseudo_values(difference)
    reach = float(t.ppf(0.975, m - 1)) * float(w.std(ddof=1)) / math.sqrt(m)
    return mean - reach, mean + reach, sign_flip(w, seed), None


def sign_flip(w: Floats, seed: int) -> float:
    """Return the two-sided p-value of the sum of w if every sign may be flipped."""
    m = len(w)
    # Sums that differ by rounding alone are equal.
    observed = abs(float(w.sum())) - 1e-12 * float(np.abs(w).sum())
    if m <= EXACT_UP_TO:
        patterns = np.arange(2**m)[:, None] >> np.arange(m)
        sums = (1.0 - 2.0 * (patterns & 1)) @ w
        return float(np.mean(np.abs(sums) >= observed))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(DRAWS, m))
    return (1 + int(np.sum(np.abs(signs @ w) >= observed))) / (1 + DRAWS)
