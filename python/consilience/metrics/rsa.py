"""Representational similarity analysis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from consilience._evaluate import score
from consilience._validate import check_choice
from consilience.inference.blocks import influence_of_products, pair_std_error
from consilience.inference.cubic import skewness
from consilience.inference.laws import Law
from consilience.inference.permutation import mantel_moments, of_pair_sums
from consilience.metrics._kernels import cubic_ahead
from consilience.metrics._registry import (
    Ahead,
    Null,
    Score,
    fitted,
    metric,
    models_in,
)
from consilience.metrics._row_kernels import RowProducts, of_rows
from consilience.metrics._rows import RowSettings
from consilience.needs import Normalize, PairFunction, PairNeed, SampleNeed, View
from consilience.terms import Floats


@dataclass(frozen=True)
class Rsa(RowSettings):
    """Settings of `rsa`."""

    relabels_rows: ClassVar[bool] = True

    correlation: Literal["pearson", "spearman"] = "pearson"
    distance: Literal["l2", "cosine"] = "l2"
    normalize: Normalize = "none"
    least_samples = 3

    def __post_init__(self) -> None:
        check_choice(self.distance, "distance", ["l2", "cosine"])
        check_choice(self.correlation, "correlation", ["pearson", "spearman"])
        super().__post_init__()

    @property
    def why_all_rows(self) -> str | None:  # type: ignore[override]
        """Return why `rows` cannot be given."""
        if self.correlation == "pearson":
            return None
        return "its ranks are of a sample of pairs already; leave `rows` out"

    @cached_property
    def need(self) -> PairNeed | SampleNeed:
        """Return what the formula reads."""
        cosine = self.distance == "cosine"
        view = View(self.normalize, unit_rows=cosine)
        if self.correlation == "spearman":
            return SampleNeed(view)  # ranks of |x - y| are those of 1 - cos on unit rows
        function: PairFunction = "squared" if cosine else "distance"
        return PairNeed(view, function, rows=self.rows, seed=self.seed)

    def needs(self) -> tuple[PairNeed | SampleNeed, ...]:
        """Return the terms the formula reads."""
        return (self.need,)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        need = self.need
        if isinstance(need, PairNeed):
            how = self._of_rows if self.sampled(terms) else self._pearson
            return how(terms, a, b, need)
        ranks = [terms.distance_ranks(m, need.view) for m in (a, b)]
        for m, r in zip((a, b), ranks, strict=True):
            _require_spread(terms, m, float(r.var()))
        return Score(float(np.corrcoef(*ranks)[0, 1]))

    def _pearson(self, terms: Any, a: int, b: int, need: PairNeed) -> Score:
        sums = terms.pair_sums(a, b, need).without_offsets()
        n = sums.n_samples
        pairs = n * (n - 1.0)
        total_a, total_b = float(sums.rows_a.sum()), float(sums.rows_b.sum())
        variance_a = sums.aa - total_a * total_a / pairs
        variance_b = sums.bb - total_b * total_b / pairs
        for m, variance, squares in ((a, variance_a, sums.aa), (b, variance_b, sums.bb)):
            _require_spread(terms, m, variance / squares - 1e-14)
        scale = math.sqrt(variance_a * variance_b)
        value = (sums.ab - total_a * total_b / pairs) / scale
        if not terms.nulls:
            return Score(value)
        _, variance = mantel_moments(*of_pair_sums(sums), n)
        return Score(value, Null(0.0, math.sqrt(variance) / scale))

    def _of_rows(self, terms: Any, a: int, b: int, need: PairNeed) -> Score:
        rows = self._products_of_rows(terms, a, b, need)
        rows.require_positive((terms.name(a), terms.name(b)))
        return Score(rows.ratio, Null(0.0), self.found(terms, a, b))

    def _products_of_rows(self, terms: Any, a: int, b: int, need: PairNeed) -> RowProducts:
        return of_rows(terms, a, b, need, "grand")

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each sampled row adds to the correlation, to first order."""
        need = self.need
        if not (isinstance(need, PairNeed) and self.sampled(terms)):
            return None
        return self._products_of_rows(terms, a, b, need).influence

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the law reads of each model."""
        need = self.need
        if law and isinstance(need, PairNeed) and not self.sampled(terms):
            yield from cubic_ahead(terms, models_in(cells), need, "plain_terms")

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return the gamma law with the moments of the null."""
        need = self.need
        if not isinstance(need, PairNeed) or self.sampled(terms):
            return None
        return fitted(score, skewness(*(terms.cubic(m, need, "plain_terms") for m in (a, b))))

    def pair_error(self, terms: Any, a: int, b: int, score: Score) -> float | None:
        """Return the standard error of a correlation over pairs."""
        need = self.need
        if not isinstance(need, PairNeed):
            return None
        x, y = (terms.block(m, need).standardized for m in (a, b))
        h = influence_of_products(x, y, score.value, 1.0, 1.0)
        return self.with_row_error(pair_std_error(h, terms.n_samples), terms, a, b)


def _require_spread(terms: Any, model: int, variance: float) -> None:
    if not variance > 0.0:
        raise ValueError(
            f"`{terms.name(model)}`: all its distances are equal, so no correlation with them "
            "is defined"
        )


@metric(
    Rsa,
    bounds=(-1.0, 1.0),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def rsa(
    X: Any,
    Y: Any,
    *,
    correlation: Literal["pearson", "spearman"] = "pearson",
    distance: Literal["l2", "cosine"] = "l2",
    normalize: Normalize = "none",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Representational similarity analysis: correlation of the two distance matrices.

    .. math:: \mathrm{corr}_{i < j}\bigl(\lVert x_i - x_j \rVert, \lVert y_i - y_j \rVert\bigr)

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    correlation : "pearson" or "spearman"
        Spearman ranks all pairs up to 2,048 samples, and 2¹⁹ seeded pairs above.
    distance : "l2" or "cosine"
        Euclidean, or 1 - cos.
    normalize : "none", "l2", "max" or "zscore"
    rows, seed : for "pearson", an estimate without bias of the three sums, from a seeded sample of
        so many rows, each held against all samples; all pairs if None.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        In [-1, 1]; 1 for the same geometry, 0 on average over relabelled samples.

    Raises
    ------
    ValueError
        On fewer than 3 samples, if all distances of a set are equal, or on `rows` of "spearman".

    Notes
    -----
    Pearson: O(n_samples² · n_features) time in tiles, O(rows · n_samples · n_features) with
    `rows`, from the sums that
    `distance_correlation` uses.

    References
    ----------
    [kriegeskorte2008]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> round(cs.rsa(X, 5 * X, correlation="spearman"), 6)
    1.0
    """
    settings = Rsa(correlation, distance, normalize, rows=rows, seed=seed)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
