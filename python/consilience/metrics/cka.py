"""Centred kernel alignment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from consilience._evaluate import score
from consilience.inference.laws import Law
from consilience.metrics._kernel_settings import KernelSettings
from consilience.metrics._kernels import product_ahead, ratio_error, skewness_of_product
from consilience.metrics._registry import Ahead, Null, Score, fitted, metric, models_in
from consilience.needs import Normalize
from consilience.terms import Floats


@dataclass(frozen=True)
class Cka(KernelSettings):
    """Settings of `cka`."""

    debiased: bool = False

    @property
    def least_samples(self) -> int:  # type: ignore[override]
        return 4 if self.debiased else 3

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        kernels = self.kernels(terms, a, b)
        names = terms.name(a), terms.name(b)
        mean, std = kernels.null_of_product(unbiased=self.debiased)
        if self.sampled(terms):
            rows = self.products_of_rows(terms, a, b, unbiased=self.debiased)
            rows.require_positive(names)
            null = Null(0.0 if self.debiased else mean / math.sqrt(kernels.xx * kernels.yy))
            return Score(rows.ratio, null, self.found(terms, a, b))
        if not self.debiased:
            scale = math.sqrt(kernels.xx * kernels.yy)
            return Score(kernels.xy / scale, Null(mean / scale, std / scale))
        kernels.require_spread(names)
        scale = math.sqrt(kernels.u_xx * kernels.u_yy)
        return Score(kernels.u_xy / scale, Null(mean, std / scale))

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the law reads of each model."""
        if law and not self.sampled(terms):
            yield from product_ahead(terms, models_in(cells), self.need, unbiased=self.debiased)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return the gamma law with the moments of the null."""
        if self.sampled(terms):
            return None
        skew = skewness_of_product(terms, a, b, self.need, unbiased=self.debiased)
        return fitted(score, skew)

    def pair_error(self, terms: Any, a: int, b: int, score: Score) -> float | None:
        """Return the standard error of a ratio of means over pairs."""
        kernels = self.kernels(terms, a, b)
        error = ratio_error(*self.blocks(terms, a, b), kernels, unbiased=self.debiased)
        return self.with_row_error(error, terms, a, b)

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each sampled row adds to the ratio, to first order."""
        if not self.sampled(terms):
            return None
        return self.products_of_rows(terms, a, b, unbiased=self.debiased).influence


@metric(
    Cka,
    bounds=(-1.0, 1.0),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def cka(
    X: Any,
    Y: Any,
    *,
    kernel: Literal["linear", "rbf"] = "linear",
    debiased: bool = False,
    bandwidth: float | Literal["median"] = "median",
    bandwidth_factor: float = 1.0,
    normalize: Normalize = "none",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Centred kernel alignment: the cosine between two centred kernel matrices.

    .. math:: \frac{\mathrm{HSIC}(K, L)}{\sqrt{\mathrm{HSIC}(K, K)\,\mathrm{HSIC}(L, L)}}

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    kernel : "linear" or "rbf"
        K = XXᵀ, or K_ij = exp(-‖x_i - x_j‖² / (2σ²)).
    debiased : bool
        Use Song et al.'s unbiased estimator of HSIC. The biased one approaches 1 for
        independent data when n_features exceeds n_samples.
    bandwidth : float or "median"
        σ in the units of X; "median" is each set's own median distance (exact up to 2,048
        samples, from 2¹⁹ seeded pairs above), times `bandwidth_factor`.
    normalize : "none", "l2", "max" or "zscore"
    rows, seed : for "rbf", an estimate without bias of both products, from a seeded sample of so
        many rows, each held against all samples; all pairs if None.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        1 for the same geometry up to rotation, shift and scale. Biased: in [0, 1]. Debiased:
        at most 1, 0 on average over relabelled samples, and slightly negative at times.

    Raises
    ------
    ValueError
        On fewer than 3 samples (4 if debiased), a constant embedding, or `rows` of a linear
        kernel.

    Notes
    -----
    Linear: O(n_samples · n_features²) time and O(n_features²) memory, no n × n matrix.
    RBF: O(n_samples² · n_features) time in tiles, O(rows · n_samples · n_features) with `rows`. Linear, biased CKA is the RV coefficient.

    References
    ----------
    [kornblith2019]_, [song2012]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> round(cs.cka(X, 2 * X[:, ::-1] + 5), 6)
    1.0
    """
    settings = Cka(
        kernel, bandwidth, bandwidth_factor, normalize, debiased, rows=rows, seed=seed
    )
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
