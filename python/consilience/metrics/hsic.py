"""Hilbert–Schmidt independence criterion."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from consilience._evaluate import score
from consilience.inference.laws import Law
from consilience.metrics._kernel_settings import KernelSettings
from consilience.metrics._kernels import product_ahead, product_error, skewness_of_product
from consilience.metrics._registry import Ahead, Null, Score, fitted, metric, models_in
from consilience.needs import Normalize
from consilience.terms import Floats


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
        mean, std = kernels.null_of_product(unbiased=self.unbiased)
        if self.sampled(terms):
            rows = self.influence(terms, a, b)
            assert rows is not None
            value = float(rows.mean())
            null = Null(0.0 if self.unbiased else mean / (kernels.n - 1.0) ** 2)
            return Score(value, null, self.found(terms, a, b))
        if self.unbiased:
            return Score(kernels.u_xy, Null(mean, std))
        scale = (kernels.n - 1.0) ** 2
        return Score(kernels.xy / scale, Null(mean / scale, std / scale))

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the law reads of each model."""
        if law and not self.sampled(terms):
            yield from product_ahead(terms, models_in(cells), self.need, unbiased=self.unbiased)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return the gamma law with the moments of the null."""
        if self.sampled(terms):
            return None
        skew = skewness_of_product(terms, a, b, self.need, unbiased=self.unbiased)
        return fitted(score, skew)

    def best(self, terms: Any, a: int, b: int) -> float:
        """Return the most two such kernels can reach (Cauchy and Schwarz)."""
        kernels = self.kernels(terms, a, b)
        if self.unbiased:
            return math.sqrt(max(kernels.u_xx * kernels.u_yy, 0.0))
        return math.sqrt(kernels.xx * kernels.yy) / (kernels.n - 1.0) ** 2

    def pair_error(self, terms: Any, a: int, b: int, score: Score) -> float | None:
        """Return the standard error of a mean over pairs."""
        n = terms.n_samples
        error = product_error(*self.blocks(terms, a, b), n, unbiased=self.unbiased)
        error = error if self.unbiased else error * (n / (n - 1.0)) ** 2
        return self.with_row_error(error, terms, a, b)

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each sampled row says of the product."""
        if not self.sampled(terms):
            return None
        rows = self.products_of_rows(terms, a, b, unbiased=self.unbiased).ab
        return rows if self.unbiased else rows / (terms.n_samples - 1.0) ** 2


@metric(
    Hsic,
    invariant_to={"translation", "rotation", "sample_order"},
    null="closed form",
)
def hsic(
    X: Any,
    Y: Any,
    *,
    kernel: Literal["linear", "rbf"] = "linear",
    unbiased: bool = True,
    bandwidth: float | Literal["median"] = "median",
    bandwidth_factor: float = 1.0,
    normalize: Normalize = "none",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
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
    kernel, bandwidth, bandwidth_factor, normalize, rows, seed, backend, device, n_threads
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
        On fewer than 4 samples (2 if biased), a constant embedding, or `rows` of a linear kernel.

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
    settings = Hsic(
        kernel, bandwidth, bandwidth_factor, normalize, unbiased, rows=rows, seed=seed
    )
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
