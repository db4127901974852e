"""Spearman's rank correlation with its interval and its permutation test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import NORMAL_95

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST = 4
# 8! = 40,320 orders are enumerated in some ten milliseconds.
EXACT_UP_TO = 8
PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Correlation(Result):
    """Spearman's rank correlation of `n` points.

    Attributes
    ----------
    rho : float or None
        Pearson correlation of the ranks, ties sharing their mean rank.
    low, high : float or None
        95 % interval.
    p : float or None
        Two-sided permutation p-value.
    n : int
    reason : str or None
        Why a number is missing.
    """

    rho: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    reason: str | None = None


def spearman(
    x: ArrayLike, y: ArrayLike, *, n_permutations: int = PERMUTATIONS, seed: int = 0
) -> Correlation:
    r"""Rank correlation of independent points.

    The interval is :math:`\tanh(\operatorname{artanh}\rho \pm 1.96\,
    \sqrt{(1 + \rho^2/2)/(n-3)})`, the Fisher transform with the variance of Bonett and Wright
    [bonett2000]_. At :math:`|\rho| = 1` the transform is infinite and is taken half of the
    smallest step inside. The p-value counts the orders of y with :math:`|\rho|` at least the
    one seen: all n! up to n = 8, else seeded draws, (1 + count) / (draws + 1).

    Parameters
    ----------
    x, y : array of shape (n,)
    n_permutations, seed : int
        Draws where not all orders are tried.

    Returns
    -------
    Correlation
        All None, with the reason, for fewer than four points or a constant x or y.

    Raises
    ------
    ValueError
        If x and y differ in length or a value is not finite.

    Examples
    --------
    >>> found = spearman([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    >>> found.rho, found.n, round(found.p * 120)
    (0.9, 5, 10)
    """
    x, y = _points(x, y)
    n = len(x)
    missing = _missing(x, y, n)
    if missing is not None:
        return missing
    a, b = _centered_ranks(x), _centered_ranks(y)
    rho = _correlation(a, b)
    z = _transform(rho, n)
    reach = NORMAL_95 * math.sqrt((1.0 + rho * rho / 2.0) / (n - 3.0))
    low, high = _back(z, reach, rho)
    observed, count, total = abs(int(a @ b)), 0, 0
    for orders in orders_of(n, n_permutations, seed):
        count += int(np.sum(np.abs(b[orders] @ a) >= observed))
        total += len(orders)
    return Correlation(rho, low, high, p_value(count, total, n), n)


def spearman_of_pairs(
    A: ArrayLike, B: ArrayLike, *, n_permutations: int = PERMUTATIONS, seed: int = 0
) -> Correlation:
    r"""Rank correlation of two scores over all pairs of m models.

    Pairs that share a model are not independent. The p-value therefore relabels the models of
    B [mantel1967]_, all m! ways up to m = 8, and the interval is the jackknife over models:
    Fisher's transform without each model in turn, Student's t with m - 1 degrees of freedom.

    Parameters
    ----------
    A, B : symmetric array of shape (m, m)
        Only entries above the diagonal are read.

    Returns
    -------
    Correlation
        `n` is the number of pairs. All None, with the reason, for fewer than four models or
        constant scores; no interval for four models.

    Raises
    ------
    ValueError
        If A and B are not square and of one shape.
    """
    A, B = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    if A.shape != B.shape or A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"A and B must be square and of one shape, got {A.shape} and {B.shape}")
    m = len(A)
    upper = np.triu_indices(m, 1)
    x, y = _points(A[upper], B[upper])
    if m < LEAST:
        return Correlation(None, None, None, None, len(x), f"needs 4 models, got {m}")
    missing = _missing(x, y, len(x))
    if missing is not None:
        return missing
    a, b = _as_matrix(_centered_ranks(x), m), _as_matrix(_centered_ranks(y), m)
    rho = _correlation(a[upper], b[upper])
    observed, count, total = abs(int(np.sum(a * b))), 0, 0
    for orders in orders_of(m, n_permutations, seed):
        moved = b[orders[:, :, None], orders[:, None, :]].reshape(len(orders), -1)
        count += int(np.sum(np.abs(moved @ a.ravel()) >= observed))
        total += len(orders)
    low, high, reason = _jackknife(A, B, rho)
    return Correlation(rho, low, high, p_value(count, total, m), len(x), reason)


def _points(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"x and y must be of one length, got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a value to be correlated is not finite; leave that model out")
    return x, y


def _missing(x: Floats, y: Floats, n: int) -> Correlation | None:
    if n < LEAST:
        return Correlation(None, None, None, None, n, f"needs {LEAST} points, got {n}")
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return Correlation(None, None, None, None, n, "all values are equal, there is no order")
    return None


def _centered_ranks(x: Floats) -> Integers:
    """Return twice the mid-ranks less their mean: integers, so that ties compare exactly."""
    from scipy.stats import rankdata

    return np.asarray(np.rint(2.0 * rankdata(x) - (len(x) + 1)), dtype=np.int64)


def _correlation(a: Integers, b: Integers) -> float:
    return float(int(a @ b) / math.sqrt(int(a @ a) * int(b @ b)))


def _transform(rho: float, n: int) -> float:
    # The smallest step of rho below 1 is 12 / (n (n² - 1)): two neighbours swapped.
    most = 1.0 - 6.0 / (n * (n * n - 1.0))
    return math.atanh(min(max(rho, -most), most))


def _back(z: float, reach: float, rho: float) -> tuple[float, float]:
    return min(math.tanh(z - reach), rho), max(math.tanh(z + reach), rho)


def _as_matrix(x: Integers, m: int) -> Integers:
    matrix = np.zeros((m, m), dtype=np.int64)
    matrix[np.triu_indices(m, 1)] = x
    return np.asarray(matrix + matrix.T)


def _jackknife(A: Floats, B: Floats, rho: float) -> tuple[float | None, float | None, str | None]:
    from scipy.stats import t

    m = len(A)
    if m <= LEAST:
        return None, None, "an interval needs 5 models"
    upper = np.triu_indices(m - 1, 1)
    z = np.empty(m)
    for left_out in range(m):
        kept = np.delete(np.arange(m), left_out)
        x, y = A[np.ix_(kept, kept)][upper], B[np.ix_(kept, kept)][upper]
        if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
            return None, None, "without one model all values are equal, so there is no interval"
        without = _correlation(_centered_ranks(x), _centered_ranks(y))
        z[left_out] = _transform(without, len(x))
    spread = math.sqrt((m - 1) / m * float(np.sum((z - z.mean()) ** 2)))
    reach = float(t.ppf(0.975, m - 1)) * spread
    low, high = _back(_transform(rho, m * (m - 1) // 2), reach, rho)
    return low, high, None


@cache
def all_orders(n: int) -> Integers:
    """Return all n! permutations, the identity first."""
    orders = np.array(list(itertools.permutations(range(n))), dtype=np.int64)
    orders.setflags(write=False)
    return orders


def orders_of(n: int, n_permutations: int, seed: int) -> Iterator[Integers]:
    """Yield permutations in blocks: all of them up to n = 8, else seeded draws."""
    if n <= EXACT_UP_TO:
        yield from np.array_split(all_orders(n), max(1, math.factorial(n) // 2048))
        return
    rng = np.random.default_rng(seed)
    for start in range(0, n_permutations, 512):
        rows = min(512, n_permutations - start)
        yield rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)


def p_value(count: int, total: int, n: int) -> float:
    """Return the share of permutations at least as extreme; draws count the data as one."""
    return count / total if n <= EXACT_UP_TO else (1 + count) / (1 + total)
