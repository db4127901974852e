"""Inner products of two n × n matrices, centred in the two usual ways, from their sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from consilience.inference.blocks import Block, influence_of_products, pair_std_error
from consilience.inference.cubic import skewness
from consilience.inference.permutation import centered_moments, u_centered_std
from consilience.metrics._registry import Ahead
from consilience.needs import MomentNeed, PairNeed
from consilience.terms import CenteredMoments, Floats, PairSums


def u_centered_product(ab: float, rows_a: Floats, rows_b: Floats) -> float:
    """Return Σ_{i≠j} Ã_ij B̃_ij / (n (n-3)), Ã U-centred (Székely and Rizzo 2014).

    With rows of kernels this is Song et al. 2012's unbiased HSIC (equation 5), with rows of
    distances the unbiased squared distance covariance.

    ab : Σ_{i≠j} a_ij b_ij;  rows_a : Σ_{j≠i} a_ij
    """
    totals = float(rows_a.sum()), float(rows_b.sum())
    return _u_centered(ab, float(rows_a @ rows_b), totals, len(rows_a))


def _u_centered(ab: float, rows: float, totals: tuple[float, float], n: int) -> float:
    centered = ab + totals[0] * totals[1] / ((n - 1.0) * (n - 2.0))
    centered -= 2.0 * rows / (n - 2.0)
    return centered / (n * (n - 3.0))


def _double_centered(ab: float, rows: float, totals: tuple[float, float], n: int) -> float:
    """Return Σ_ij (HAH)_ij (HBH)_ij, H = I - 11ᵀ/n; sums and rows include the diagonal."""
    return ab - 2.0 * rows / n + totals[0] * totals[1] / (float(n) * n)


@dataclass(frozen=True)
class CenteredKernels:
    """What HSIC-like statistics read of two kernels (or distance matrices) A and B.

    xy, xx, yy : Σ_ij (HAH)_ij (HBH)_ij and so on
    u_xy, u_xx, u_yy : their U-centred counterparts
    diagonals : says Σ (HAH)_ii of A and of B, and Σ (HAH)_ii², which a biased null alone reads
    """

    n: int
    xy: float
    xx: float
    yy: float
    u_xy: float
    u_xx: float
    u_yy: float
    diagonals: Callable[[], tuple[tuple[float, float], tuple[float, float]]]

    def null_of_product(self, *, unbiased: bool) -> tuple[float, float]:
        """Return mean and standard deviation of `xy`, or `u_xy`, over all relabellings."""
        if unbiased:
            return 0.0, u_centered_std(self.n) * math.sqrt(max(self.u_xx * self.u_yy, 0.0))
        mean, variance = centered_moments(self.n, *self.diagonals(), (self.xx, self.yy))
        return mean, math.sqrt(variance)

    def require_spread(self, names: tuple[str, str]) -> None:
        """Raise unless both U-centred matrices are more than rounding."""
        for name, u, whole in zip(names, (self.u_xx, self.u_yy), (self.xx, self.yy), strict=True):
            if not u * self.n * (self.n - 3.0) > 1e-12 * whole:
                raise ValueError(
                    f"`{name}`: nothing is left of its distances after U-centring (all pairs of "
                    "samples are alike), so the unbiased score is undefined; use the biased one "
                    "or more samples"
                )


@dataclass(frozen=True, eq=False)
class Side:
    """What `of_sums` reads of one of the two functions; it serves all pairs that it is in.

    rows : Σ_{j≠i} a_ij;  diagonal : a_ii;  whole : the two together
    squares : Σ_{i≠j} a_ij²
    """

    rows: Floats
    diagonal: Floats
    whole: Floats
    total: float
    whole_total: float
    centered: float
    u_centered: float

    @classmethod
    def of(cls, squares: float, rows: Floats, diagonal: Floats) -> Side:
        """Return it."""
        n = len(rows)
        whole = rows + diagonal
        total, whole_total = float(np.add.reduce(rows)), float(np.add.reduce(whole))
        with_diagonal = squares + float(diagonal @ diagonal)
        return cls(
            rows,
            diagonal,
            whole,
            total,
            whole_total,
            _double_centered(with_diagonal, float(whole @ whole), (whole_total, whole_total), n),
            _u_centered(squares, float(rows @ rows), (total, total), n) if n > 3 else math.nan,
        )

    @cached_property
    def diagonal_sums(self) -> tuple[float, float]:
        """Return Σ (HAH)_ii and Σ (HAH)_ii²."""
        n = len(self.rows)
        centered = self.diagonal - 2.0 * self.whole / n + self.whole_total / (float(n) * n)
        return float(centered.sum()), float(centered @ centered)


def of_sums(sums: PairSums) -> CenteredKernels:
    """Return the centred products of two functions of pairs of samples."""
    return _of_sides(sums.ab, _side_a(sums), _side_b(sums))


def _side_a(sums: PairSums) -> Side:
    return Side.of(sums.aa, sums.rows_a, sums.at_zero - 2.0 * sums.offsets_a)


def _side_b(sums: PairSums) -> Side:
    return Side.of(sums.bb, sums.rows_b, sums.at_zero - 2.0 * sums.offsets_b)


def _of_sides(ab: float, a: Side, b: Side) -> CenteredKernels:
    n = len(a.rows)
    u_xy = math.nan
    if n > 3:
        u_xy = _u_centered(ab, float(a.rows @ b.rows), (a.total, b.total), n)
    whole = ab + float(a.diagonal @ b.diagonal)
    totals = a.whole_total, b.whole_total
    return CenteredKernels(
        n,
        _double_centered(whole, float(a.whole @ b.whole), totals, n),
        a.centered,
        b.centered,
        u_xy,
        a.u_centered,
        b.u_centered,
        partial(_diagonals, a, b),
    )


def _diagonals(a: Side, b: Side) -> tuple[tuple[float, float], tuple[float, float]]:
    (trace_a, squares_a), (trace_b, squares_b) = a.diagonal_sums, b.diagonal_sums
    return (trace_a, trace_b), (squares_a, squares_b)


def of_pairs(terms: Any, a: int, b: int, need: PairNeed) -> CenteredKernels:
    """Return the centred products of models a and b, made once for all metrics that read them."""

    def make() -> CenteredKernels:
        sums = terms.pair_sums(a, b, need)
        sides = (
            terms.of_rows(m, ("side", need), partial(side, sums))
            for m, side in ((a, _side_a), (b, _side_b))
        )
        return _of_sides(sums.ab, *sides)

    return terms.derived((a, b), ("kernels", need), make)  # type: ignore[no-any-return]


def of_moments(xy: CenteredMoments, xx: CenteredMoments, yy: CenteredMoments) -> CenteredKernels:
    """Return the centred products of linear kernels, without an n × n matrix.

    With centred rows, K = XXᵀ is double-centred as it is and K_ii = ‖x_i‖², so its row sums
    without the diagonal are -‖x_i‖².
    """
    n = xy.n_samples

    def frobenius(m: CenteredMoments) -> float:
        return float(np.vdot(m.xy, m.xy))

    f_xy, f_xx, f_yy = frobenius(xy), frobenius(xx), frobenius(yy)

    def unbiased(m: CenteredMoments, squared: float) -> float:
        if n < 4:
            return math.nan
        centered = squared - m.norms_xy
        centered += m.norms_x * m.norms_y / ((n - 1.0) * (n - 2.0))
        centered -= 2.0 * m.norms_xy / (n - 2.0)
        return centered / (n * (n - 3.0))

    return CenteredKernels(
        n,
        f_xy,
        f_xx,
        f_yy,
        unbiased(xy, f_xy),
        unbiased(xx, f_xx),
        unbiased(yy, f_yy),
        lambda: ((xx.norms_x, yy.norms_x), (xx.norms_xy, yy.norms_xy)),
    )


def skewness_of_product(
    terms: Any, a: int, b: int, need: MomentNeed | PairNeed, *, unbiased: bool
) -> float:
    """Return the skewness of the product of two kernels over relabellings."""
    return skewness(*(terms.cubic(m, need, _kind(unbiased=unbiased)) for m in (a, b)))


def product_ahead(
    terms: Any, models: Sequence[int], need: MomentNeed | PairNeed, *, unbiased: bool
) -> Iterator[Ahead]:
    """Yield what the laws of products read of each model."""
    yield from cubic_ahead(terms, models, need, _kind(unbiased=unbiased))


def cubic_ahead(
    terms: Any, models: Sequence[int], need: MomentNeed | PairNeed, kind: str
) -> Iterator[Ahead]:
    """Yield sums of a block of each model; its rows, that may be on a GPU, are read here."""
    # A bandwidth may come from pairs of samples.
    early = not (isinstance(need, PairNeed) and need.function == "rbf")
    for m in models:
        terms.block_rows(m, need.view)
        yield Ahead(partial(terms.cubic, m, need, kind), of_graphs=early)


def _kind(*, unbiased: bool) -> str:
    return "u_terms" if unbiased else "whole_terms"


def product_error(a: Block, b: Block, n: int, *, unbiased: bool) -> float:
    """Return the standard error of the mean product of two kernels over pairs."""
    if unbiased:
        return pair_std_error(a.u_centered * b.u_centered, n)
    h = a.double_centered * b.double_centered
    return pair_std_error(h, n, h.diagonal() / n)


def ratio_error(a: Block, b: Block, kernels: CenteredKernels, *, unbiased: bool) -> float:
    """Return the standard error of the product over the root of the products with themselves."""
    n = kernels.n
    if unbiased:
        value = kernels.u_xy / math.sqrt(kernels.u_xx * kernels.u_yy)
        centered = (a.u_centered, b.u_centered)
        return pair_std_error(
            influence_of_products(*centered, value, kernels.u_xx, kernels.u_yy), n
        )
    value = kernels.xy / math.sqrt(kernels.xx * kernels.yy)
    pairs = float(n) * n
    centered = (a.double_centered, b.double_centered)
    h = influence_of_products(*centered, value, kernels.xx / pairs, kernels.yy / pairs)
    return pair_std_error(h, n, h.diagonal() / n)
