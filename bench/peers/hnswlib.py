"""hnswlib: a navigable graph, built and then searched with every row."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival
from peers.pynndescent import others

Array = np.ndarray[Any, Any]


@rival("exact neighbours", "hnswlib ef=64", needs="hnswlib")
def neighbours(X: Array, *, n_threads: int) -> Array:
    import hnswlib

    index = hnswlib.Index(space="l2", dim=X.shape[1])
    index.init_index(max_elements=len(X), ef_construction=100, M=16, random_seed=0)
    index.add_items(X, num_threads=n_threads)
    index.set_ef(64)
    return others(index.knn_query(X, k=26, num_threads=n_threads)[0].astype(np.int64), 25)
