"""hyppo: its statistics without the tests around them."""

from __future__ import annotations

from typing import Any

import definitions
import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]


@rival("distance correlation", "hyppo Dcorr", needs="hyppo", compiles=True)
def distance_correlation(X: Array, Y: Array, *, n_threads: int) -> float:
    from hyppo.independence import Dcorr

    return float(Dcorr(bias=True).statistic(X.astype(np.float64), Y.astype(np.float64)))


def with_the_bandwidth_of_the_first(X: Array, Y: Array) -> float:
    """What it computes: Y gets the median distance of X."""
    from scipy.spatial.distance import pdist

    bandwidth = float(np.median(pdist(X.astype(np.float64))))
    return definitions.rbf_cka(X, Y, (bandwidth, bandwidth))


@rival(
    "RBF CKA", "hyppo Hsic", needs="hyppo", compiles=True, expected=with_the_bandwidth_of_the_first
)
def rbf_cka(X: Array, Y: Array, *, n_threads: int) -> float:
    from hyppo.independence import Hsic

    return float(Hsic(bias=False).statistic(X.astype(np.float64), Y.astype(np.float64)))
