"""Formulas of intrinsic dimension, from distances to the nearest neighbours."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from consilience.terms import Floats

Usable = NDArray[np.bool_]


def ratios_of_two(r1: Floats, r2: Floats, name: str) -> tuple[Floats, Usable]:
    """Return log(r2 / r1) of the rows where 0 < r1 < r2, and which those are."""
    usable = (r1 > 0.0) & (r2 > r1)
    if usable.sum() < 3:
        raise ValueError(
            f"`{name}`: only {int(usable.sum())} samples have two neighbours at different, "
            "positive distances; remove duplicates"
        )
    return np.log(r2[usable]) - np.log(r1[usable]), usable


def twonn_fit(log_ratios: Floats, discard: float) -> float:
    """Return the slope through the origin of -log(1 - F) on log(r2 / r1).

    F = i / N over the sorted ratios; the largest `discard` share is left out.
    """
    x = np.sort(log_ratios)
    n = len(x)
    kept = max(2, min(n - 1, int(n * (1.0 - discard))))
    x, y = x[:kept], _heights(n, kept)
    return float(x @ y / (x @ x))


@functools.lru_cache(maxsize=4)
def _heights(n: int, kept: int) -> Floats:
    """Return -log(1 - F) of the first of n sorted samples."""
    y = -np.log1p(-np.arange(1, n + 1)[:kept] / n)
    y.flags.writeable = False
    return np.asarray(y)


def twonn_mle(log_ratios: Floats) -> float:
    """Return (N - 1) / Σ log(r2 / r1)."""
    return (len(log_ratios) - 1.0) / float(log_ratios.sum())


def gride_mle(log_ratios: Floats, n1: int, n2: int) -> float:
    r"""Return the d that maximises the likelihood of μ = r_{n2} / r_{n1}.

    The density is :math:`d (\mu^d - 1)^{n_2 - n_1 - 1} / (B \mu^{(n_2 - 1) d + 1})`; its score
    falls in d, and the root is bracketed and bisected by Brent's method.
    """
    from scipy.optimize import brentq

    n, gap = len(log_ratios), n2 - n1 - 1
    total = float(log_ratios.sum())
    if gap == 0:
        return n / ((n2 - 1.0) * total)

    def slope(d: float) -> float:
        # d/dd of gap log(μ^d - 1) is gap log(μ) / (1 - μ^-d)
        between = float((log_ratios / -np.expm1(-d * log_ratios)).sum())
        return n / d + gap * between - (n2 - 1.0) * total

    low, high = 1e-3, 1.0
    while slope(high) > 0.0:
        low, high = high, 2.0 * high
        if high > 1e9:
            raise ValueError("the ratios of distances are all but 1: no dimension fits")
    while slope(low) < 0.0:
        low /= 2.0
    return float(brentq(slope, low, high, xtol=1e-12, rtol=8.9e-16))


def gride_influence(log_ratios: Floats, n1: int, n2: int) -> Floats:
    """Return what each ratio adds to `gride_mle`, to first order, up to a constant."""
    d, gap = gride_mle(log_ratios, n1, n2), n2 - n1 - 1
    shrunk = np.exp(-d * log_ratios)
    slope = 1.0 / d - (n2 - 1.0) * log_ratios
    information = np.full(len(log_ratios), 1.0 / (d * d))
    if gap > 0:
        slope += gap * log_ratios / (1.0 - shrunk)
        information += gap * log_ratios**2 * shrunk / (1.0 - shrunk) ** 2
    return np.asarray(slope / information.mean())


def inverse_dimensions(
    first: Floats, last: Floats, logs: Floats, k: int, name: str
) -> tuple[Floats, Usable]:
    """Return the inverse of Levina and Bickel's estimates, and which rows have one.

    They are Σ_{j<k} log(r_k / r_j) / (k - 1), for the rows with r_1 > 0.

    first, last : r_1 and r_k;  logs : Σ log r_j over all k
    """
    usable = first > 0.0
    if not usable.any():
        raise ValueError(f"`{name}`: every sample has a duplicate; remove duplicates")
    of_last = np.log(last[usable])
    return of_last - (logs[usable] - of_last) / (k - 1.0), usable


def joint_information(i_x: float, i_y: float, i_xy: float) -> float:
    """Return (I_X + I_Y - I_XY) / max(I_X, I_Y)."""
    return (i_x + i_y - i_xy) / max(i_x, i_y)


def check_finite_dimension(value: float, name: str) -> float:
    """Return `value` if it is a number."""
    if not math.isfinite(value):
        raise ValueError(
            f"`{name}`: a sample has all its neighbours at one distance; use combine='harmonic'"
        )
    return value


def twonn_fit_influence(log_ratios: Floats, discard: float) -> Floats:
    r"""Return what each ratio adds to `twonn_fit`, to first order, up to a constant.

    With Q the quantile function of the logarithms x and :math:`y(u) = -\log(1 - u)`, the slope is
    :math:`\int Q y / \int Q^2`, up to the share kept. A sample at x₀ moves :math:`\int h(Q)` by
    :math:`\int h'(x) (F(x) - 1[x_0 \le x])\,dx`, here with y(F(x)) and 2x for h'.
    """
    order = np.argsort(log_ratios, kind="stable")
    x = log_ratios[order]
    n = len(x)
    kept = max(2, min(n - 1, int(n * (1.0 - discard))))
    share = np.arange(1, kept) / n  # F between neighbouring x
    steps = np.diff(x[:kept])
    y = _heights(n, kept)
    slope = float(x[:kept] @ y / (x[:kept] @ x[:kept]))
    # Weights of the steps that lie above a sample count for it.
    weights = (-np.log1p(-share) - 2.0 * slope * 0.5 * (x[: kept - 1] + x[1:kept])) * steps
    above = np.append(np.cumsum(weights[::-1])[::-1], np.zeros(n - kept + 1))
    influence = np.empty(n)
    influence[order] = -above
    return influence * n / float(x[:kept] @ x[:kept])


def for_each_split(influence: Callable[..., Floats], *rows: Floats) -> Floats:
    """Return the influence of rows, (n,), or of those of every split, (n_splits, n)."""
    if rows[0].ndim == 1:
        return influence(*rows)
    return np.stack([influence(*of_split) for of_split in zip(*rows, strict=True)])


def filled(values: Floats, usable: Usable) -> Floats:
    """Return one value per sample: what usable ones add, and none for the others."""
    rows = np.zeros(len(usable))
    # A mean over the usable rows is one over all rows of this.
    rows[usable] = (values - values.mean()) * len(usable) / len(values)
    return rows
