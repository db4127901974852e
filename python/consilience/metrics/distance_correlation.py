"""Distance correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from consilience._evaluate import score
from consilience.inference.permutation import centered_moments, u_centered_std
from consilience.metrics._kernels import of_sums
from consilience.metrics._registry import MetricSettings, Null, Score, metric
from consilience.needs import Normalize, PairNeed, View


@dataclass(frozen=True)
class DistanceCorrelation(MetricSettings):
    """Settings of `distance_correlation`."""

    unbiased: bool = False
    normalize: Normalize = "none"

    @property
    def least_samples(self) -> int:  # type: ignore[override]
        return 4 if self.unbiased else 2

    def needs(self) -> tuple[PairNeed, ...]:
        """Return the terms the formula reads."""
        return (PairNeed(View(self.normalize)),)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        products = of_sums(terms.pair_sums(a, b, self.needs()[0]))
        n = products.n
        if self.unbiased:
            products.require_spread((terms.name(a), terms.name(b)))
            value = products.u_xy / math.sqrt(products.u_xx * products.u_yy)
            return Score(value, Null(0.0, u_centered_std(n)), details=_t_test(value, n))
        scale = math.sqrt(products.xx * products.yy)
        squared = products.xy / scale
        mean, variance = centered_moments(
            n, products.trace, products.diagonal_squares, (products.xx, products.yy)
        )
        # The null is exact for the square; to the root it carries over to first order.
        root = math.sqrt(mean / scale)
        null = Null(root, math.sqrt(variance) / scale / (2.0 * root))
        return Score(math.sqrt(max(squared, 0.0)), null)


def _t_test(r: float, n: int) -> dict[str, float]:
    """Return the p-value of Székely and Rizzo's t-test of independence (2013)."""
    from scipy.special import stdtr

    v = n * (n - 3.0) / 2.0
    if v <= 1.0 or r >= 1.0:
        return {"p_value": 0.0 if v > 1.0 else 1.0}
    t = math.sqrt(v - 1.0) * r / math.sqrt(1.0 - r * r)
    return {"p_value": float(stdtr(v - 1.0, -t))}


@metric(
    DistanceCorrelation,
    bounds=(-1.0, 1.0),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def distance_correlation(
    X: Any,
    Y: Any,
    *,
    unbiased: bool = False,
    normalize: Normalize = "none",
    backend: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Distance correlation: do pairs far apart in X lie far apart in Y?

    With :math:`a_{ij} = \lVert x_i - x_j \rVert`, A double-centred, B alike:

    .. math:: \mathrm{dCor} = \sqrt{\frac{\sum A_{ij} B_{ij}}
        {\sqrt{\sum A_{ij}^2 \, \sum B_{ij}^2}}}

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    unbiased : bool
        U-centre the distances and do not take the root: the bias-corrected dCor². The biased
        one grows with n_features on independent data (0.98 at n_samples=100, 500 features).
    normalize : "none", "l2", "max" or "zscore"
    backend, n_threads : how to run; no result depends on the number of threads.

    Returns
    -------
    float
        Biased: in [0, 1], 1 for the same geometry. Unbiased: at most 1, 0 on average over
        relabelled samples, may be negative.

    Raises
    ------
    ValueError
        On fewer than 2 samples (4 if unbiased), or a constant embedding.

    Notes
    -----
    O(n_samples² · n_features) time in tiles; three sums per pair of models are kept. Float64
    up to 2,048 samples, then float32 tiles under float64 sums.

    References
    ----------
    [szekely2007]_, [szekely2013]_, [szekely2014]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> round(cs.distance_correlation(X, -3 * X + 1), 6)
    1.0
    """
    settings = DistanceCorrelation(unbiased, normalize)
    return float(score(settings, X, Y, backend=backend, n_threads=n_threads).value)
