"""Mutual nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from consilience._evaluate import score
from consilience.inference.laws import Law
from consilience.inference.permutation import mantel_moments
from consilience.metrics._graph import GraphDistance, GraphSettings
from consilience.metrics._mantel import mantel_ahead, mantel_law
from consilience.metrics._registry import Ahead, Null, Score, metric, models_in
from consilience.needs import Method, Normalize
from consilience.terms import Floats, Indices


@dataclass(frozen=True)
class MutualKnn(GraphSettings):
    """Settings of `mutual_knn`."""

    splits_at_once: ClassVar[bool] = True

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        return self.mean_over_rows(terms, a, b, self._null(terms, a, b) if terms.nulls else None)

    def _null(self, terms: Any, a: int, b: int) -> Null:
        graph, n = self.graph, terms.n_samples
        if self.sampled(terms):
            return Null(self.k / (n - 1.0))
        mean, variance = mantel_moments(terms.mantel(a, graph), terms.mantel(b, graph), n)
        edges = float(n * self.k)
        return Null(mean / edges, math.sqrt(variance) / edges)

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the null reads of each model."""
        if not self.sampled(terms):
            yield from mantel_ahead(terms, models_in(cells), self.graph, law=law)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return the score of each row."""
        return np.asarray(terms.shared(a, b, self.graph).overlap / self.k)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return a law with exact mean and variance, and the skewness of a block."""
        if self.sampled(terms):
            return None
        return mantel_law(terms, (a, self.graph), (b, self.graph), score)

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b."""
        shared = terms.mantel_draws(a, b, self.graph, orders)
        return np.asarray(shared / (terms.n_samples * self.k))


@metric(
    MutualKnn,
    bounds=(0.0, 1.0),
    invariant_to={"rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def mutual_knn(
    X: Any,
    Y: Any,
    *,
    k: int = 10,
    normalize: Normalize = "l2",
    distance: GraphDistance = "ip",
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Mutual nearest neighbours: the share of neighbours two models have in common.

    .. math:: \frac{1}{n} \sum_i \frac{|N_X(i) \cap N_Y(i)|}{k}

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    k : int
        Neighbours of each sample, itself excluded; below n_samples.
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
        1 if every sample has the same k neighbours in both, k / (n_samples - 1) on average
        over relabelled samples, 0 if none is shared.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), or a row is zero where a direction is needed.

    Notes
    -----
    O(n_samples² · n_features) time in tiles for the graphs, O(n_samples · k) for the score.

    References
    ----------
    [huh2024]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((30, 4))
    >>> cs.mutual_knn(X, X, k=5)
    1.0
    """
    settings = MutualKnn(k, normalize, distance, neighbors=neighbors, rows=rows, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
