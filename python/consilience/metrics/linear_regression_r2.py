"""Variance explained by linear regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import score_both_ways
from consilience.metrics._registry import Null, Score, metric
from consilience.metrics._subspaces import SubspaceSettings
from consilience.needs import Normalize
from consilience.terms import Floats


@dataclass(frozen=True)
class LinearRegressionR2(SubspaceSettings):
    """Settings of `linear_regression_r2`."""

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the share of b's variance that a explains."""
        x = self.axes(terms, a)
        null = Null(x.rank / (terms.n_samples - 1.0))
        explained = (x.axes.T @ terms.moments(a, b, self.need).xy) / x.lengths[:, None]
        share = float(np.vdot(explained, explained)) / terms.moments(b, b, self.need).norms_x
        return Score(min(share, 1.0), null, {"dropped_a": float(x.dropped)})

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return what each row adds to the share explained, to first order."""
        x = self.axes(terms, a)
        weights = (x.axes.T @ terms.moments(a, b, self.need).xy) / x.lengths[:, None] ** 2
        weights = x.axes @ weights

        def explained(X: Floats, Y: Floats) -> Floats:
            fit = X @ weights
            return np.stack([(Y * Y).sum(axis=1), (fit * fit).sum(axis=1), (fit * Y).sum(axis=1)])

        own, fits, products = terms.by_rows((a, b), self.need.view, explained)
        share = float(fits.sum() / own.sum())
        change = 2.0 * products - fits - share * own
        return np.asarray(terms.n_samples * change / own.sum())


@metric(
    LinearRegressionR2,
    kind="directed",
    bounds=(0.0, 1.0),
    symmetric=False,
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
    null="mean only",
)
def linear_regression_r2(
    X: Any,
    Y: Any,
    *,
    rcond: float = 1e-6,
    normalize: Normalize = "none",
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> tuple[float, float]:
    r"""Variance of one set that linear regression on the other explains, both ways.

    .. math:: R^2(X \to Y) = \frac{\lVert Q_X^\top Y \rVert_F^2}{\lVert Y \rVert_F^2}

    for centred X and Y, Q_X an orthonormal basis of the columns of X.

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    rcond : float
        Directions with a singular value below this share of the largest are left out.
    normalize : "none", "l2", "max" or "zscore"
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    x_to_y, y_to_x : float
        In [0, 1], in-sample: with n_features near n_samples it is 1 for any data.

    Raises
    ------
    ValueError
        On fewer than 3 samples, a constant embedding.

    Notes
    -----
    O(n_samples · n_features² + n_features³) time and O(n_features²) memory, from the moments alone.

    References
    ----------
    [kornblith2019]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> round(cs.linear_regression_r2(X, X[:, :2])[0], 6)
    1.0
    """
    settings = LinearRegressionR2(rcond, normalize)
    return score_both_ways(settings, X, Y, backend=backend, device=device, n_threads=n_threads)
