"""Distance correlation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from consilience._evaluate import score
from consilience.inference.blocks import Block
from consilience.inference.laws import Law, PearsonThree, Root
from consilience.metrics._kernels import (
    CenteredKernels,
    of_pairs,
    product_ahead,
    ratio_error,
    skewness_of_product,
)
from consilience.metrics._registry import (
    Ahead,
    Null,
    Score,
    fitted,
    metric,
    models_in,
)
from consilience.metrics._row_kernels import RowProducts, estimated_kernels, of_rows
from consilience.metrics._rows import RowSettings
from consilience.needs import Normalize, PairNeed, View
from consilience.terms import Floats


@dataclass(frozen=True)
class DistanceCorrelation(RowSettings):
    """Settings of `distance_correlation`."""

    relabels_rows: ClassVar[bool] = True

    unbiased: bool = False
    normalize: Normalize = "none"

    @property
    def least_samples(self) -> int:  # type: ignore[override]
        return 4 if self.unbiased else 2

    @cached_property
    def need(self) -> PairNeed:
        """Return what the formula reads."""
        return PairNeed(View(self.normalize), rows=self.rows, seed=self.seed)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        products = self._products(terms, a, b)
        if self.sampled(terms):
            mean, _ = products.null_of_product(unbiased=self.unbiased)
            return self._of_rows(terms, a, b, mean)
        if self.unbiased:
            products.require_spread((terms.name(a), terms.name(b)))
            scale = math.sqrt(products.u_xx * products.u_yy)
            value = products.u_xy / scale
            if not terms.nulls:
                return Score(value)
            _, std = products.null_of_product(unbiased=True)
            return Score(value, Null(0.0, std / scale), details=_t_test(value, products.n))
        scale = math.sqrt(products.xx * products.yy)
        if not terms.nulls:
            return Score(math.sqrt(max(products.xy / scale, 0.0)))
        mean, std = products.null_of_product(unbiased=False)
        # The null is exact for the square; to the root it carries over to first order.
        root = math.sqrt(mean / scale)
        null = Null(root, std / scale / (2.0 * root))
        return Score(math.sqrt(max(products.xy / scale, 0.0)), null)

    def _of_rows(self, terms: Any, a: int, b: int, mean: float) -> Score:
        rows = self._products_of_rows(terms, a, b)
        rows.require_positive((terms.name(a), terms.name(b)))
        details = self.found(terms, a, b)
        if self.unbiased:
            return Score(rows.ratio, Null(0.0), details)
        _, xx, yy = rows.means
        null = Null(math.sqrt(mean / math.sqrt(xx * yy)))
        return Score(math.sqrt(max(rows.ratio, 0.0)), null, details)

    def _products(self, terms: Any, a: int, b: int) -> CenteredKernels:
        need = self.need
        return (estimated_kernels if self.sampled(terms) else of_pairs)(terms, a, b, need)

    def _products_of_rows(self, terms: Any, a: int, b: int) -> RowProducts:
        return of_rows(terms, a, b, self.need, "u" if self.unbiased else "double")

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each sampled row adds to the score, to first order; not to a root of 0."""
        if not self.sampled(terms):
            return None
        rows = self._products_of_rows(terms, a, b)
        if self.unbiased:
            return rows.influence
        return rows.influence / (2.0 * math.sqrt(rows.ratio)) if rows.ratio > 0.0 else None

    def _blocks(self, terms: Any, a: int, b: int) -> tuple[Block, Block]:
        need = self.need
        return terms.block(a, need), terms.block(b, need)

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the law reads of each model."""
        need = self.need
        if law and not self.sampled(terms):
            yield from product_ahead(terms, models_in(cells), need, unbiased=self.unbiased)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return the gamma law with the moments of the null, of the square if biased."""
        if self.sampled(terms):
            return None
        skew = skewness_of_product(terms, a, b, self.need, unbiased=self.unbiased)
        if self.unbiased:
            return fitted(score, skew)
        products = self._products(terms, a, b)
        scale = math.sqrt(products.xx * products.yy)
        mean, std = products.null_of_product(unbiased=False)
        return Root(PearsonThree(mean / scale, std / scale, skew))

    def pair_error(self, terms: Any, a: int, b: int, score: Score) -> float | None:
        """Return the standard error of a ratio of means over pairs, or of its root."""
        products = self._products(terms, a, b)
        error = ratio_error(*self._blocks(terms, a, b), products, unbiased=self.unbiased)
        if not self.unbiased:
            if not score.value > 0.0:
                return None
            error /= 2.0 * score.value
        return self.with_row_error(error, terms, a, b)


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
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
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
    rows, seed : an estimate without bias of the three sums, from a seeded sample of so many rows,
        each held against all samples; all pairs if None.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

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
    O(n_samples² · n_features) time in tiles, O(rows · n_samples · n_features) with `rows`; three
    sums per pair of models are kept. Float64 up to 2,048 samples, then float32 tiles under float64
    sums.

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
    settings = DistanceCorrelation(unbiased, normalize, rows=rows, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
