"""scikit-dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]


@rival("TwoNN", "scikit-dimension", needs="skdim")
def twonn(X: Array, *, n_threads: int) -> float:
    import skdim

    return float(skdim.id.TwoNN().fit(X).dimension_)


@rival("dimension MLE", "scikit-dimension", needs="skdim")
def dimension_mle(X: Array, *, n_threads: int) -> float:
    import skdim

    # Its K is not used where neighbourhoods are; `n_neighbors` is.
    return float(skdim.id.MLE().fit(X, n_neighbors=20, n_jobs=n_threads).dimension_)
