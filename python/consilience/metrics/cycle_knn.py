"""Cycle consistency of neighbourhoods."""

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
class CycleKnn(GraphSettings):
    """Settings of `cycle_knn`."""

    why_all_rows: ClassVar[str | None] = (
        "it goes on from a sample's neighbours to theirs; leave `rows` out, or take "
        'neighbors="approx"'
    )

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        return self.mean_over_rows(terms, a, b)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return the score of each row."""
        return np.asarray(terms.list_terms(a, b, self.graph, cycle=True).cycle)

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b."""
        x, y = (terms.graph(m, self.graph) for m in (a, b))
        return np.asarray(terms.ops.list_draws(x, y, orders, cycle=True).cycle / terms.n_samples)


@metric(
    CycleKnn,
    kind="directed",
    bounds=(0.0, 1.0),
    symmetric=False,
    invariant_to={"rotation", "isotropic_scaling", "sample_order"},
    null="draws",
)
def cycle_knn(
    X: Any,
    Y: Any,
    *,
    k: int = 10,
    normalize: Normalize = "l2",
    distance: GraphDistance = "ip",
    neighbors: Method = "exact",
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Cycle consistency: can a sample be reached back through both models' neighbours?

    .. math:: \frac{1}{n} \bigl|\{ i : i \in N_X(j) \text{ for some } j \in N_Y(i) \}\bigr|

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
    neighbors, seed : all neighbours, or nearly all; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        1 if every sample is an X-neighbour of one of its Y-neighbours, 0 if none is. Not
        symmetric in X and Y.

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
    >>> round(cs.cycle_knn(X, X, k=5), 4)  # one sample is in the list of none of its neighbours
    0.9667
    """
    settings = CycleKnn(k, normalize, distance, neighbors=neighbors, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
