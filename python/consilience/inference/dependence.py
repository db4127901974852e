r"""Standard errors of means over rows that depend on each other.

A row of a neighbour score depends on other rows: they decide who its neighbours are. The variance
of a mean over rows is that of the rows, divided by n, and what their dependence adds. The first is
measured on all rows. The second comes from random halves of the samples, each with neighbours of
its own: two such scores are independent, so half their squared difference estimates the whole
variance at that size without bias, and the rows' share of it is known there too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from consilience.terms import Floats, Indices

HALVINGS = 24
SUBSETS = 20
SUBSET_SAMPLES = 128


def halves(n_samples: int, size: int, count: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield pairs of disjoint, seeded, random subsets of `size` samples each."""
    for draw in range(count):
        words = np.random.Philox(key=2, counter=[0, 0, 0, draw]).random_raw(n_samples)
        order = np.argsort(words, kind="stable")
        yield np.sort(order[:size]), np.sort(order[size : 2 * size])


def added_by_dependence(first: Floats, second: Floats) -> float:
    """Return what dependence adds to the variance of the mean of as many rows as one half has.

    first, second : scores of the rows of two disjoint halves
    """
    difference = float(first.mean() - second.mean())
    of_rows = sum(float(rows.var(ddof=1)) / len(rows) for rows in (first, second))
    return (difference * difference - of_rows) / 2.0


def dependent_std_error(rows: Floats, added: float) -> float:
    """Return the standard error of the mean of `rows`, at least that of independent ones.

    added : by dependence, to the variance of the mean of these rows
    """
    own = float(rows.var(ddof=1)) / len(rows)
    return math.sqrt(own + max(added, 0.0))
