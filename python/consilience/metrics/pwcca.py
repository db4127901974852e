"""Projection-weighted canonical correlation analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import score
from consilience.metrics._registry import Score, metric
from consilience.metrics._subspaces import SubspaceSettings, settled
from consilience.needs import Normalize


@dataclass(frozen=True)
class Pwcca(SubspaceSettings):
    """Settings of `pwcca`."""

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        x = self.axes(terms, a)
        if a == b:  # every correlation is 1, whatever its weight
            return Score(1.0)
        found = settled(self.canonical(terms, a, b), x)
        # <h_l, x_j> = (X^T X w_l)_j with w_l the weights of variate l: axes, lengths and `left`.
        products = x.axes @ (x.lengths[:, None] * found.left)
        weights = np.abs(products).sum(axis=0)
        return Score(float(weights @ found.correlations / weights.sum()))


@metric(
    Pwcca,
    kind="directed",
    bounds=(0.0, 1.0),
    symmetric=False,
    invariant_to={"translation", "isotropic_scaling", "sample_order"},
)
def pwcca(
    X: Any,
    Y: Any,
    *,
    rcond: float = 1e-6,
    normalize: Normalize = "none",
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Projection-weighted CCA: canonical correlations weighted by what they say about X.

    .. math:: \frac{\sum_l \alpha_l \rho_l}{\sum_l \alpha_l}, \qquad
        \alpha_l = \sum_j |\langle h_l, x_j \rangle|

    with h_l the l-th canonical variate of X and x_j the columns of X.

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
        In [0, 1]; weights come from X, so it is not symmetric.

    Raises
    ------
    ValueError
        On fewer than 3 samples, a constant embedding.

    Notes
    -----
    O(n_samples · n_features² + n_features³) time and O(n_features²) memory, from the
    moments alone. Where correlations are equal, as when the ranks exceed n_samples together,
    their variates are the principal axes of X among them.

    References
    ----------
    [morcos2018]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> round(cs.pwcca(X, X @ np.diag([1, 2, 3, 4])), 6)
    1.0
    """
    settings = Pwcca(rcond, normalize)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
