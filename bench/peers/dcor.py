"""dcor on its own SciPy path, which a dispatch test of version 0.7 never takes."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]


@rival("distance correlation", "dcor, SciPy path", needs="dcor", compiles=True)
def distance_correlation(X: Array, Y: Array, *, n_threads: int) -> float:
    import dcor

    with mock.patch("dcor.distances._can_be_numpy_double", return_value=True):
        wide = X.astype(np.float64), Y.astype(np.float64)
        return float(dcor.distance_correlation(*wide, method="naive"))
