r"""Standard errors of means over rows that depend on each other.

A row of a neighbour score depends on other rows: they decide who its neighbours are. The variance
of a mean over rows is that of the rows, divided by n, and what their dependence adds. The first is
measured on all rows. The second comes from disjoint random subsets of the samples, each with
neighbours of its own: their scores are independent, so their variance estimates the whole variance
at that size without bias, and the rows' share of it is known there too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from consilience._draws import FOR_SUBSETS, parts_of
from consilience.terms import Floats, Indices

# Degrees of freedom of the variance between subsets: a standard error then varies by a seventh.
FREEDOM = 24
# Subsets that are scored anew: as many samples, and at most so many subsets at a time.
SUBSET_SAMPLES = 128
SUBSETS_AT_A_TIME = 8


def disjoint(n_samples: int, size: int, parts: int, count: int) -> Iterator[list[Indices]]:
    """Yield `count` times as many disjoint, seeded, random subsets of `size` samples each."""
    for draw in range(count):
        yield parts_of(n_samples, size, parts, FOR_SUBSETS, draw)


def added_by_dependence(parts: Sequence[Floats]) -> float:
    """Return what dependence adds to the variance of the mean of as many rows as a part has.

    parts : scores of the rows of disjoint subsets, each scored by itself
    """
    whole = float(np.var([rows.mean() for rows in parts], ddof=1))
    return whole - float(np.mean([rows.var(ddof=1) / len(rows) for rows in parts]))


def dependent_std_error(rows: Floats, added: float) -> float:
    """Return the standard error of the mean of `rows`, at least that of independent ones.

    added : by dependence, to the variance of the mean of these rows
    """
    own = float(rows.var(ddof=1)) / len(rows)
    return math.sqrt(own + max(added, 0.0))
