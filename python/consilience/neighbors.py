"""Nearest neighbours: exact, approximate, or of some rows."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from consilience._evaluate import terms_of
from consilience._memory import as_bytes, bounded
from consilience._validate import check_choice, check_k
from consilience.metrics._graph import SearchSettings
from consilience.needs import Method, View
from consilience.terms import Floats, Indices, Recall


class _Lists(NamedTuple):
    indices: Indices
    distances: Floats


class Neighbors(_Lists):
    """Neighbour lists, a pair (indices, distances), and how much of the truth they are.

    recall : share of the true neighbours that are listed, with its interval; None if the search
        was exact, which "approx" is of few samples
    rows : the samples that have lists, ascending; None if all have
    """

    recall: Recall | None
    rows: Indices | None

    def __new__(
        cls,
        indices: Indices,
        distances: Floats,
        recall: Recall | None = None,
        rows: Indices | None = None,
    ) -> Neighbors:
        """Return the pair with its two attributes."""
        self = super().__new__(cls, indices, distances)
        self.recall, self.rows = recall, rows
        return self


def neighbors(
    X: Any,
    *,
    k: int = 25,
    distance: Literal["l2", "cosine", "ip"] = "l2",
    method: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> Neighbors:
    r"""K nearest neighbours of every sample, itself excluded.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    k : int
        Below n_samples.
    distance : "l2", "cosine" or "ip"
        :math:`\lVert x - y \rVert`, :math:`1 - \cos(x, y)`, or :math:`-\langle x, y \rangle`.
    method : "exact" or "approx"
        "approx" finds nearly all of them in less time on many samples; how nearly is measured,
        on exact lists of some rows, and comes back as `recall`.
    rows : int, optional
        Exact neighbours, among all samples, of a random sample of so many of them alone.
    seed : int
        Of that sample, or of the approximate search.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".
    max_memory : int or str, optional
        Bytes to use beyond X and the result, or like "4GiB"; if X is mapped from a file, with what
        of it is in memory.

    Returns
    -------
    indices : (n_samples, k) int64, or (rows, k)
    distances : float64, of the same shape
        Nearest first, ties by index: the order of float64 differences (products under "ip") of
        the values given, whatever their offset. Float32 tiles only rule out candidates.

    The pair has attributes `recall` (None if exact; else `estimate`, `low` and `high`, the ends
    of its interval) and `rows` (the samples that have lists, or None if all have).

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), `rows` is above n_samples or given with "approx", or a row
        is zero under "cosine".

    Notes
    -----
    O(n_samples² · n_features) time in tiles, O(rows · n_samples · n_features) for some rows,
    O(n_samples · (n_features + k)) memory.

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> indices, distances = cs.neighbors(np.array([[0.0], [1.0], [3.0]]), k=1)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 2.0])
    """
    check_choice(distance, "distance", ["l2", "cosine", "ip"])
    settings = SearchSettings(neighbors=method, rows=rows, seed=seed)
    cosine = distance == "cosine"
    need = settings.search(View(unit_rows=cosine), "ip" if distance == "ip" else "l2", k)
    with bounded((X,), as_bytes(max_memory)):
        terms = terms_of(
            (("X", X),),
            (need,),
            [(0, 0)],
            backend=backend,
            device=device,
            n_threads=n_threads,
            max_memory=max_memory,
        )
        check_k(k, terms.n_samples)
        settings.check_rows(terms.n_samples)
        graph = terms.graph(0, need)
    # On rows of length 1, |x - y|^2 = 2 - 2 cos: no cancellation for near rows.
    distances = graph.distances**2 / 2.0 if cosine else graph.distances
    return Neighbors(graph.indices, distances, graph.recall, graph.rows)
