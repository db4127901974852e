"""scikit-learn: brute force by its pairwise reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]


@rival("exact neighbours", "scikit-learn brute", needs="sklearn")
def neighbours(X: Array, *, n_threads: int) -> Array:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=25, algorithm="brute").fit(X)
    return index.kneighbors(return_distance=False)
