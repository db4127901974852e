"""A package that uses ours: tests/test_public.py has mypy check it strictly, and runs it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import consilience as cs
from consilience.accumulate import Estimate
from consilience.compat import dcor
from consilience.compat.dadapy import MetricComparisons
from consilience.compat.platonic import AlignmentMetrics


def epoch(batches: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> dict[str, float]:
    """Return scores of all batches together."""
    acc = cs.Moments((4, 3))
    streaming = cs.StreamingHSIC("rbf", bandwidth=2.0)
    for x, y in batches:
        acc.update(x, y)
        streaming.update(x, y)
    estimate: Estimate = streaming.compute("cka")
    error: float = estimate.std_error or 0.0
    both: tuple[float, float] = cs.information_imbalance(*batches[0], k=2)
    matrix: NDArray[np.float64] = acc.matrix("cka", debiased=True)
    return {
        "cka": acc.compute("cka", debiased=True),
        "in the matrix": float(matrix[0, 1]),
        "rbf": estimate.value,
        "error": error,
        "imbalance": both[0],
        "mutual": cs.mutual_knn(*batches[0], k=3),
        "dcor": float(dcor.distance_correlation(*batches[0])),
        "cycle": AlignmentMetrics.cycle_knn(*batches[0], topk=3),
        "columns": MetricComparisons(batches[0][0]).return_inf_imb_two_selected_coords([0], [1])[0],
    }


def board(sets: dict[str, NDArray[np.float32]]) -> cs.ScoreMatrix:
    """Return the comparison of all models."""
    return cs.compare(sets, [("cka", {})], progress=False)
