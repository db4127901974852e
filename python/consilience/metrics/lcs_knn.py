"""Longest common subsequence of neighbour lists."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import score
from consilience.metrics._graph import GraphDistance, GraphSettings
from consilience.metrics._registry import Score, metric
from consilience.needs import Method, Normalize
from consilience.terms import Floats, Indices


@dataclass(frozen=True)
class LcsKnn(GraphSettings):
    """Settings of `lcs_knn`."""

    relative: bool = False

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        return self.mean_over_rows(terms, a, b)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return the score of each row."""
        lengths = terms.list_terms(a, b, self.graph, lcs=True).lcs
        return np.asarray(lengths / self.k if self.relative else lengths)

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b."""
        x, y = (terms.graph(m, self.graph) for m in (a, b))
        lengths = terms.ops.list_draws(x, y, orders, lcs=True).lcs / terms.n_samples
        return np.asarray(lengths / self.k if self.relative else lengths)

    @property
    def unit(self) -> float:
        """Return the length that a list has."""
        return 1.0 if self.relative else float(self.k)

    def best(self, terms: Any, a: int, b: int) -> float:
        """Return the score of identical sets."""
        return self.unit


@metric(
    LcsKnn,
    bounds=(0.0, math.inf),
    invariant_to={"rotation", "isotropic_scaling", "sample_order"},
    null="draws",
)
def lcs_knn(
    X: Any,
    Y: Any,
    *,
    k: int = 10,
    relative: bool = False,
    normalize: Normalize = "l2",
    distance: GraphDistance = "ip",
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Longest common subsequence of the two ordered neighbour lists, on average.

    .. math:: \frac{1}{n} \sum_i \mathrm{LCS}\bigl(N_X(i), N_Y(i)\bigr)

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    k : int
        Neighbours of each sample, itself excluded; below n_samples.
    relative : bool
        Divide by k.
    normalize : "none", "l2", "max" or "zscore"
    distance : "l2", "cosine" or "ip"
        What "near" means: Euclidean, cosine, or largest inner product. On rows of length 1
        the three agree.
    neighbors, rows, seed : all neighbours, nearly all, or those of some samples; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        In [0, k], or in [0, 1] if relative; the largest value for lists equal in order too.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), or a row is zero where a direction is needed.

    Notes
    -----
    O(n_samples² · n_features) time for the graphs, O(n_samples · k log k) for the score.

    References
    ----------
    [huh2024]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((30, 4))
    >>> cs.lcs_knn(X, X, k=5)
    5.0
    """
    settings = LcsKnn(k, normalize, distance, relative, neighbors=neighbors, rows=rows, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
