"""Whether rows rounded to bytes tell near neighbours apart, and by what step to round them."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.terms import Floats

# The k nearest of a coarse order lie among its k + SPARE + k / 8 nearest (csrc/cpu/knn_approx.cpp).
SPARE = 4
# Distances to so many neighbours say how dense they lie.
FEWEST_JUDGED = 8
# Rows are turned so that entries are about normal; fewer than one in 100,000 is beyond.
DEVIATIONS = 4.5
LARGEST_BYTE = 127
MOST_FEATURES = 65_536


def coarse_step(rows: Any, distances: Floats, k: int, distance: str) -> float:
    """Return the step to round to, in the units of X, or 0 where bytes are too coarse.

    `rows` are a sample of X, `distances` those to their nearest, at least k. What rounding adds to
    a pair's order |x - y|²/2 or -x.y, over the usual gap between the neighbours about the k-th, is
    how many places it moves; bytes will do if it is within the spare places for most rows.
    """
    n_features = rows.shape[1]
    if n_features > MOST_FEATURES:
        return 0.0
    rows = rows.astype(np.float64)
    squared = ((rows - rows.mean(axis=0)) ** 2).sum(axis=1)
    # No entry is larger than its row is long.
    largest = min(DEVIATIONS / np.sqrt(n_features), 1.0) * np.sqrt(squared.max())
    step = float(largest / LARGEST_BYTE)
    last = max(k, FEWEST_JUDGED)
    half = last // 2
    if distance == "l2":
        keys = 0.5 * distances**2
        # Of x.r - y.r, the r even within half a step, and of the lengths of r.
        variances = step**2 * keys[:, last - 1] / 3 + n_features * step**4 / 100
    else:
        keys = distances
        variances = step**2 * (squared + squared.max()) / 12
    gaps = (keys[:, last - 1] - keys[:, half - 1]) / (last - half)
    spare = SPARE + k // 8
    fine = 2.0 * np.sqrt(variances) <= spare * gaps
    return step if step > 0.0 and np.isfinite(step) and fine.mean() >= 0.9 else 0.0
