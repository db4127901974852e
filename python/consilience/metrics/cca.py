"""Canonical correlation analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import score
from consilience.metrics._registry import Score, metric
from consilience.metrics._subspaces import SubspaceSettings, correlations
from consilience.needs import Normalize
from consilience.terms import Floats, mean


@dataclass(frozen=True)
class Cca(SubspaceSettings):
    """Settings of `cca`."""

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        x, y = (self.axes(terms, m) for m in (a, b))
        details = {"dropped_a": float(x.dropped), "dropped_b": float(y.dropped)}
        if a == b:  # a set spans itself
            return Score(1.0, details=details)
        found = correlations(terms.moments(a, b, self.need).xy, x, y)
        return Score(mean(found), details=details)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return what each row adds to the mean correlation, to first order."""
        x, y = (self.axes(terms, m) for m in (a, b))
        found = self.canonical(terms, a, b)
        to_u, to_v = (
            (space.axes / space.lengths) @ turn
            for space, turn in ((x, found.left), (y, found.right))
        )

        def change(X: Floats, Y: Floats) -> Floats:
            u, v = X @ to_u, Y @ to_v
            rows = u * v - 0.5 * found.correlations * (u * u + v * v)
            return np.asarray(rows.mean(axis=1))[None, :]

        (rows,) = terms.by_rows((a, b), self.need.view, change)
        return np.asarray(terms.n_samples * rows)


@metric(
    Cca,
    bounds=(0.0, 1.0),
    invariant_to={
        "translation",
        "rotation",
        "isotropic_scaling",
        "feature_scaling",
        "sample_order",
    },
)
def cca(
    X: Any,
    Y: Any,
    *,
    rcond: float = 1e-6,
    normalize: Normalize = "none",
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Canonical correlation analysis: the mean canonical correlation.

    .. math:: \frac{1}{r} \sum_{l \le r} \rho_l, \qquad r = \min(\mathrm{rank} X, \mathrm{rank} Y)

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
    float
        In [0, 1]; 1 if either set is a linear image of the other. With n_features near
        n_samples it is 1 for any data: use `svcca` or more samples.

    Raises
    ------
    ValueError
        On fewer than 3 samples, a constant embedding.

    Notes
    -----
    O(n_samples · n_features² + n_features³) time and O(n_features²) memory, from the moments alone.

    References
    ----------
    [hotelling1936]_, [raghu2017]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> round(cs.cca(X, X @ np.diag([1, 2, 3, 4])), 6)
    1.0
    """
    settings = Cca(rcond, normalize)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
