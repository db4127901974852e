"""pynndescent: approximate neighbours by descent, with the k that its recall is known for."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]


HERE = {"needs": "pynndescent", "at_target": True, "compiles": True}


@rival("exact neighbours", "pynndescent(26)", **HERE)
@rival("approximate neighbours", "pynndescent(26)", **HERE)
def neighbours(X: Array, *, n_threads: int) -> Array:
    import numba
    import pynndescent

    # More than the process may use is an error there.
    n_jobs = min(n_threads, numba.config.NUMBA_NUM_THREADS)
    index = pynndescent.NNDescent(X, n_neighbors=26, random_state=0, n_jobs=n_jobs)
    return others(index.neighbor_graph[0], 25)


def others(indices: Array, k: int) -> Array:
    """Leave a row itself out of its list by index, and keep k."""
    kept = indices != np.arange(len(indices))[:, None]
    kept &= np.cumsum(kept, axis=1) <= k
    return indices[kept].reshape(len(indices), k)
