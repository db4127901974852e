"""Jaccard similarity of neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from consilience._evaluate import score
from consilience.metrics._graph import GraphDistance, GraphSettings
from consilience.metrics._registry import Score, metric
from consilience.needs import Method, Normalize
from consilience.terms import Floats, Indices


@dataclass(frozen=True)
class JaccardKnn(GraphSettings):
    """Settings of `jaccard_knn`."""

    splits_at_once: ClassVar[bool] = True

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        return self.mean_over_rows(terms, a, b)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return the score of each row."""
        shared = terms.shared(a, b, self.graph).overlap
        return np.asarray(shared / (2.0 * self.k - shared))

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b."""
        x, y = (terms.graph(m, self.graph) for m in (a, b))
        return np.asarray(
            terms.ops.list_draws(x, y, orders, jaccard=True).jaccard / terms.n_samples
        )


@metric(
    JaccardKnn,
    bounds=(0.0, 1.0),
    invariant_to={"rotation", "isotropic_scaling", "sample_order"},
    null="draws",
)
def jaccard_knn(
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
    r"""Jaccard similarity of neighbourhoods: shared neighbours over all neighbours.

    .. math:: \frac{1}{n} \sum_i \frac{|N_X(i) \cap N_Y(i)|}{|N_X(i) \cup N_Y(i)|}

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
        1 if every sample has the same k neighbours in both, 0 if none is shared.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples), or a row is zero where a direction is needed.

    Notes
    -----
    O(n_samples² · n_features) time in tiles for the graphs, O(n_samples · k) for the score.

    References
    ----------
    [jaccard1912]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((30, 4))
    >>> cs.jaccard_knn(X, X, k=5)
    1.0
    """
    settings = JaccardKnn(k, normalize, distance, neighbors=neighbors, rows=rows, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
