"""Hilbert–Schmidt independence criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from consilience._evaluate import score
from consilience.metrics._kernel_settings import KernelSettings
from consilience.metrics._registry import Score, metric
from consilience.needs import Normalize


@dataclass(frozen=True)
class Hsic(KernelSettings):
    """Settings of `hsic`."""

    unbiased: bool = True

    @property
    def least_samples(self) -> int:  # type: ignore[override]
        return 4 if self.unbiased else 2

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        kernels = self.kernels(terms, a, b)
        return Score(kernels.u_xy if self.unbiased else kernels.xy / (kernels.n - 1.0) ** 2)


@metric(Hsic, invariant_to={"translation", "rotation", "sample_order"})
def hsic(
    X: Any,
    Y: Any,
    *,
    kernel: Literal["linear", "rbf"] = "linear",
    unbiased: bool = True,
    bandwidth: float | Literal["median"] = "median",
    bandwidth_factor: float = 1.0,
    normalize: Normalize = "none",
    backend: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Hilbert–Schmidt independence criterion: covariance of two kernels.

    Biased: :math:`\mathrm{tr}(KHLH)/(n-1)^2`, :math:`H = I - 11^\top/n`. Unbiased, with
    :math:`\tilde K` being K without its diagonal:

    .. math:: \frac{1}{n(n-3)} \left[ \mathrm{tr}(\tilde K \tilde L)
        + \frac{1^\top \tilde K 1\; 1^\top \tilde L 1}{(n-1)(n-2)}
        - \frac{2}{n-2} 1^\top \tilde K \tilde L 1 \right]

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
    kernel, bandwidth, bandwidth_factor, normalize, backend, n_threads
        As in `cka`.
    unbiased : bool

    Returns
    -------
    float
        In the units of the kernels. Unbiased: 0 on average for independent sets. Biased: at
        least 0, and above it for finite samples.

    Raises
    ------
    ValueError
        On fewer than 4 samples (2 if biased), or a constant embedding.

    References
    ----------
    [gretton2005]_, [song2012]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.arange(8.0).reshape(4, 2)
    >>> round(cs.hsic(X, X, unbiased=False), 6)
    177.777778
    """
    settings = Hsic(kernel, bandwidth, bandwidth_factor, normalize, unbiased)
    return float(score(settings, X, Y, backend=backend, n_threads=n_threads).value)
