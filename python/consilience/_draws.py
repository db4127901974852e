"""Seeded simple random samples: those with the smallest words of a counter-based generator."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# A purpose each, so that what is drawn for one is independent of what is drawn for another.
FOR_BLOCKS, FOR_SUBSETS, FOR_ROWS, FOR_REFERENCES = 1, 2, 3, 4


def some_of(n: int, size: int, purpose: int, draw: int = 0) -> NDArray[np.int64]:
    """Return `size` different numbers below n, ascending; all of them if there are no more."""
    return np.arange(n) if size >= n else parts_of(n, size, 1, purpose, draw)[0]


def parts_of(n: int, size: int, parts: int, purpose: int, draw: int = 0) -> list[NDArray[np.int64]]:
    """Return so many disjoint samples of `size` numbers below n, each ascending."""
    words = np.random.Philox(key=purpose, counter=[0, 0, 0, draw]).random_raw(n)
    # An eighth of the time of sorting a million words (of 64 bits, so that none are alike).
    ends = size * np.arange(1, parts + 1) - 1
    edges = np.partition(words, ends)[ends]
    near = np.flatnonzero(words <= edges[-1])
    part = np.searchsorted(edges, words[near])
    grouped = near[np.argsort(part, kind="stable")]
    return [grouped[first:stop] for first, stop in pairwise(size * np.arange(parts + 1))]
