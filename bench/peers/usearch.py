"""usearch: its exact search, which compares pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival
from peers.pynndescent import others

Array = np.ndarray[Any, Any]


@rival("exact neighbours", "usearch exact", needs="usearch")
def neighbours(X: Array, *, n_threads: int) -> Array:
    from usearch.index import MetricKind, search

    found = search(X, X, 26, MetricKind.L2sq, exact=True, threads=n_threads)
    return others(np.asarray(found.keys, np.int64), 25)
