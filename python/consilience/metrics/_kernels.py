"""Inner products of two n × n matrices, centred in the two usual ways, from their sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from consilience.inference.blocks import Block, influence_of_products, pair_std_error
from consilience.inference.cubic import skewness
from consilience.inference.permutation import centered_moments, u_centered_std
from consilience.terms import CenteredMoments, Floats, PairSums


def u_centered_product(ab: float, rows_a: Floats, rows_b: Floats) -> float:
    """Return Σ_{i≠j} Ã_ij B̃_ij / (n (n-3)), Ã U-centred (Székely and Rizzo 2014).

    With rows of kernels this is Song et al. 2012's unbiased HSIC (equation 5), with rows of
    distances the unbiased squared distance covariance.

    ab : Σ_{i≠j} a_ij b_ij;  rows_a : Σ_{j≠i} a_ij
    """
    n = len(rows_a)
    total_a, total_b = float(rows_a.sum()), float(rows_b.sum())
    centered = ab + total_a * total_b / ((n - 1.0) * (n - 2.0))
    centered -= 2.0 * float(rows_a @ rows_b) / (n - 2.0)
    return centered / (n * (n - 3.0))


def double_centered_product(ab: float, rows_a: Floats, rows_b: Floats) -> float:
    """Return Σ_ij (HAH)_ij (HBH)_ij, H = I - 11ᵀ/n; sums and rows include the diagonal."""
    n = len(rows_a)
    total_a, total_b = float(rows_a.sum()), float(rows_b.sum())
    return ab - 2.0 * float(rows_a @ rows_b) / n + total_a * total_b / (float(n) * n)


@dataclass(frozen=True)
class CenteredKernels:
    """What HSIC-like statistics read of two kernels (or distance matrices) A and B.

    xy, xx, yy : Σ_ij (HAH)_ij (HBH)_ij and so on
    u_xy, u_xx, u_yy : their U-centred counterparts
    trace, diagonal_squares : Σ (HAH)_ii and Σ (HAH)_ii² of A and of B
    """

    n: int
    xy: float
    xx: float
    yy: float
    u_xy: float
    u_xx: float
    u_yy: float
    trace: tuple[float, float]
    diagonal_squares: tuple[float, float]

    def null_of_product(self, *, unbiased: bool) -> tuple[float, float]:
        """Return mean and standard deviation of `xy`, or `u_xy`, over all relabellings."""
        if unbiased:
            return 0.0, u_centered_std(self.n) * math.sqrt(max(self.u_xx * self.u_yy, 0.0))
        mean, variance = centered_moments(
            self.n, self.trace, self.diagonal_squares, (self.xx, self.yy)
        )
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


def of_sums(sums: PairSums) -> CenteredKernels:
    """Return the centred products of two functions of pairs of samples."""
    n = sums.n_samples
    on_a, on_b = sums.diagonals
    a, b = sums.rows_a + on_a, sums.rows_b + on_b
    ab, aa, bb = (
        off + float(x @ y)
        for off, x, y in ((sums.ab, on_a, on_b), (sums.aa, on_a, on_a), (sums.bb, on_b, on_b))
    )
    centered = [
        diagonal - 2.0 * rows / n + rows.sum() / (float(n) * n)
        for diagonal, rows in ((on_a, a), (on_b, b))
    ]
    u_xy = u_xx = u_yy = math.nan
    if n > 3:
        u_xy = u_centered_product(sums.ab, sums.rows_a, sums.rows_b)
        u_xx = u_centered_product(sums.aa, sums.rows_a, sums.rows_a)
        u_yy = u_centered_product(sums.bb, sums.rows_b, sums.rows_b)
    return CenteredKernels(
        n,
        double_centered_product(ab, a, b),
        double_centered_product(aa, a, a),
        double_centered_product(bb, b, b),
        u_xy,
        u_xx,
        u_yy,
        (float(centered[0].sum()), float(centered[1].sum())),
        (float(centered[0] @ centered[0]), float(centered[1] @ centered[1])),
    )


def of_moments(xy: CenteredMoments, xx: CenteredMoments, yy: CenteredMoments) -> CenteredKernels:
    """Return the centred products of linear kernels, without an n × n matrix.

    With centred rows, K = XXᵀ is double-centred as it is and K_ii = ‖x_i‖², so its row sums
    without the diagonal are -‖x_i‖².
    """
    n = xy.n_samples

    def frobenius(m: CenteredMoments) -> float:
        return float(np.vdot(m.xy, m.xy))

    def unbiased(m: CenteredMoments) -> float:
        if n < 4:
            return math.nan
        centered = frobenius(m) - m.norms_xy
        centered += m.norms_x * m.norms_y / ((n - 1.0) * (n - 2.0))
        centered -= 2.0 * m.norms_xy / (n - 2.0)
        return centered / (n * (n - 3.0))

    return CenteredKernels(
        n,
        frobenius(xy),
        frobenius(xx),
        frobenius(yy),
        unbiased(xy),
        unbiased(xx),
        unbiased(yy),
        (xx.norms_x, yy.norms_x),
        (xx.norms_xy, yy.norms_xy),
    )


def skewness_of_product(a: Block, b: Block, n: int, *, unbiased: bool) -> float:
    """Return the skewness of the product of two kernels over relabellings."""
    if unbiased:
        return skewness(a.u_terms.at(n), b.u_terms.at(n))
    return skewness(a.whole_terms.at(n), b.whole_terms.at(n))


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
