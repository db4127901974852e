"""Singular vector canonical correlation analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilience._evaluate import score
from consilience._validate import check_integer
from consilience.metrics._registry import Score, metric
from consilience.metrics._subspaces import Subspace, SubspaceSettings, correlations
from consilience.needs import Normalize
from consilience.terms import mean


@dataclass(frozen=True)
class Svcca(SubspaceSettings):
    """Settings of `svcca`."""

    variance: float = 0.99
    dims: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.variance <= 1.0:
            raise ValueError(f"`variance` must be in (0, 1], got {self.variance}")
        if self.dims is not None:
            check_integer(self.dims, "dims", 1)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        x, y = (self._main_axes(terms, m) for m in (a, b))
        details = {"rank_a": float(x.rank), "rank_b": float(y.rank)}
        if a == b:  # a set spans itself
            return Score(1.0, details=details)
        found = correlations(terms.moments(a, b, self.need).xy, x, y)
        return Score(mean(found), details=details)

    def _main_axes(self, terms: Any, m: int) -> Subspace:
        axes = self.axes(terms, m)
        if self.dims is None:
            return axes.first(axes.rank_of_variance(self.variance))
        if self.dims > axes.rank:
            raise ValueError(
                f"`dims` must not exceed the rank of `{terms.name(m)}`, {axes.rank}; "
                f"got {self.dims}"
            )
        return axes.first(self.dims)


@metric(
    Svcca,
    bounds=(0.0, 1.0),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
)
def svcca(
    X: Any,
    Y: Any,
    *,
    variance: float = 0.99,
    dims: int | None = None,
    rcond: float = 1e-6,
    normalize: Normalize = "none",
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Singular vector CCA: canonical correlation of the main principal subspaces.

    The mean canonical correlation of the principal components that hold `variance` of each set;
    exact and deterministic.

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    variance : float
        Keep as few principal axes as hold this share of each set's variance.
    dims : int, optional
        Keep this many instead.
    rcond : float
        Directions with a singular value below this share of the largest are left out.
    normalize : "none", "l2", "max" or "zscore"
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        In [0, 1]; 1 if the main subspaces are linear images of each other.

    Raises
    ------
    ValueError
        On fewer than 3 samples, dims above a rank, or a constant embedding.

    Notes
    -----
    O(n_samples · n_features² + n_features³) time and O(n_features²) memory, from the moments alone.

    References
    ----------
    [raghu2017]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> round(cs.svcca(X, X[:, ::-1]), 6)
    1.0
    """
    settings = Svcca(rcond, normalize, variance, dims)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
