"""Exact nearest neighbours."""

from __future__ import annotations

from typing import Any, Literal

from consilience._evaluate import terms_of
from consilience._validate import check_choice, check_k
from consilience.needs import GraphNeed, View
from consilience.terms import Floats, Indices


def neighbors(
    X: Any,
    *,
    k: int = 25,
    distance: Literal["l2", "cosine", "ip"] = "l2",
    backend: str = "auto",
    n_threads: int | None = None,
    max_memory: int | None = None,
) -> tuple[Indices, Floats]:
    r"""Exact k nearest neighbours of every sample, itself excluded.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    k : int
        Below n_samples.
    distance : "l2", "cosine" or "ip"
        :math:`\lVert x - y \rVert`, :math:`1 - \cos(x, y)`, or :math:`-\langle x, y \rangle`.
    backend, n_threads : how to run; no result depends on the number of threads.
    max_memory : int, optional
        Bytes to use beyond X and the result.

    Returns
    -------
    indices : (n_samples, k) int64
    distances : (n_samples, k) float64
        Nearest first, ties by index: the order of float64 differences (products under "ip") of
        the values given, whatever their offset. Float32 tiles only rule out candidates.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), or a row is zero under "cosine".

    Notes
    -----
    O(n_samples² · n_features) time in tiles, O(n_samples · (n_features + k)) memory.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> indices, distances = cs.neighbors(np.array([[0.0], [1.0], [3.0]]), k=1)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 2.0])
    """
    check_choice(distance, "distance", ["l2", "cosine", "ip"])
    cosine = distance == "cosine"
    need = GraphNeed(View(unit_rows=cosine), "ip" if distance == "ip" else "l2", k)
    terms = terms_of(
        (("X", X),),
        (need,),
        [(0, 0)],
        backend=backend,
        n_threads=n_threads,
        max_memory=max_memory,
    )
    check_k(k, terms.n_samples)
    graph = terms.graph(0, need)
    if cosine:
        # On rows of length 1, |x - y|^2 = 2 - 2 cos: no cancellation for near rows.
        return graph.indices, graph.distances**2 / 2.0
    return graph.indices, graph.distances
