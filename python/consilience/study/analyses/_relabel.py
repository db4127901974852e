"""Scores of two groups of layers when the samples of one are relabelled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._evaluate import Cell, Terms
from consilience.terms import Indices

Floats = NDArray[np.float64]

# Terms of one set of rows that no relabelling of it changes.
INVARIANT = ("mantel",)


def relabelled(terms: Terms, moved: frozenset[int], order: Indices) -> Terms:
    """Return terms in which the `moved` sets have the rows X[order].

    Graphs and what hangs on them are relabelled and not made again.
    """
    sets = [
        replace(s, values=s.values[order]) if m in moved else s for m, s in enumerate(terms.sets)
    ]
    fresh = Terms(sets, terms.ops, terms.needs, terms.pairs, nulls=False)
    for key, cell in list(terms._cache.items()):
        if not cell.made:
            continue
        kind, *owners = key if isinstance(key, tuple) else (key,)
        models = {owner for owner in owners if isinstance(owner, int)}
        if models and (kind in INVARIANT or not models & moved):
            fresh._cache[key] = cell
        elif kind in ("graph", "widest graph"):
            fresh._cache[key] = Cell(cell.value.relabelled(order))
        elif kind in ("edges", "loops"):
            fresh._cache[key] = Cell(cell.value[order])
    return fresh


def null_scores(
    metric: Any, terms: Terms, moved: frozenset[int], n_permutations: int, seed: int
) -> Iterator[Floats]:
    """Yield the scores of all pairs under one relabelling after the other."""
    rng = np.random.default_rng(seed)
    for _ in range(n_permutations):
        drawn = relabelled(terms, moved, rng.permutation(terms.n_samples))
        yield np.array([metric.score(drawn, *pair).value for pair in terms.pairs])


def beyond(value: float, null: Floats, most: float, alpha: float) -> tuple[float | None, float]:
    r"""Return the calibrated score and the p-value of one score.

    :math:`\tau` is the :math:`\lceil (1-\alpha)(P+1) \rceil`-th smallest of the score and its P
    draws; calibrated is :math:`(s - \tau) / (s_{\max} - \tau)` within [0, 1], None where the
    metric has no finite maximum; p = (1 + #{draws ≥ s}) / (P + 1).
    """
    p = (1 + int(np.sum(null >= value))) / (len(null) + 1)
    if not math.isfinite(most):
        return None, p
    pool = np.sort(np.append(null, value))
    tau = float(pool[math.ceil((1.0 - alpha) * len(pool)) - 1])
    # At tau = most, even the highest score is what relabelling gives.
    return (0.0 if tau >= most else min(max((value - tau) / (most - tau), 0.0), 1.0)), p
