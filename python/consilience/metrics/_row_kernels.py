"""Products of two centred n × n matrices, estimated from some of their rows.

docs/theory.md, "Sampled rows of pair statistics". Whatever is centred below, the estimate is the
mean of what the rows say, exactly; and without bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from consilience.metrics._kernels import CenteredKernels
from consilience.needs import PairNeed
from consilience.terms import Floats, RowSums

# How pairs are centred: doubly, U-centred (Székely and Rizzo 2014), or about the mean of all.
Centering = Literal["double", "u", "grand"]


@dataclass(frozen=True)
class _Side:
    """One of the functions: its row sums without the diagonal, its offsets, and its diagonal."""

    rows: Floats
    offsets: Floats
    diagonal: Floats


def _spread(x: Floats, y: Floats) -> Floats:
    """Return what each row adds to the unbiased covariance of x and y over all rows."""
    m = len(x)
    return np.asarray((x - x.mean()) * (y - y.mean()) * (m / (m - 1.0)))


def _u_rows(n: int, products: Floats, a: _Side, b: _Side) -> Floats:
    """Return rows whose mean estimates Σ_{i≠j} Ã_ij B̃_ij / (n (n-3)), Ã U-centred."""
    within = products - a.rows * b.rows / (n - 1.0)
    return np.asarray((within - _spread(a.rows, b.rows) / (n - 2.0)) / (n - 3.0))


def _double_rows(n: int, products: Floats, a: _Side, b: _Side) -> Floats:
    """Return rows whose mean estimates Σ_ij (HAH)_ij (HBH)_ij."""
    x, y = a.rows + a.diagonal, b.rows + b.diagonal
    within = products + a.diagonal * b.diagonal - x * y / n
    return np.asarray(n * within - (n - 1.0) / n * _spread(x, y))


def _grand_rows(n: int, products: Floats, a: _Side, b: _Side) -> Floats:
    """Return rows whose mean estimates Σ_{i≠j} of both functions about their means over pairs."""
    # Row sums of the functions themselves, up to what is the same for all rows.
    x, y = (side.rows + (n - 2.0) * side.offsets for side in (a, b))
    rest = 2.0 * (n - 1.0) / (n - 2.0) * _spread(x, y)
    if n == 3:  # where U-centred matrices are 0, and their sum is 0 over 0
        return rest
    return n * (n - 3.0) * _u_rows(n, products, a, b) + rest


_ROWS: dict[Centering, Callable[[int, Floats, _Side, _Side], Floats]] = {
    "double": _double_rows,
    "u": _u_rows,
    "grand": _grand_rows,
}


@dataclass(frozen=True, eq=False)
class RowProducts:
    """What each row says of ⟨A, B⟩, ⟨A, A⟩ and ⟨B, B⟩ over all pairs; (n_rows,) each.

    least : of the own products, below which they are rounding
    """

    ab: Floats
    aa: Floats
    bb: Floats
    least: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, sums: RowSums, centering: Centering) -> RowProducts:
        """Return the products of matrices that are centred like this."""
        a = _Side(sums.rows_a, sums.offsets_a, sums.at_zero - 2.0 * sums.offsets_a)
        b = _Side(sums.rows_b, sums.offsets_b, sums.at_zero - 2.0 * sums.offsets_b)
        rows, n = _ROWS[centering], sums.n_samples
        least = (0.0, 0.0)
        if centering != "double":  # which leaves the diagonal where all pairs are alike
            of_whole = 1e-12 / (n * (n - 3.0) if centering == "u" else 1.0)
            whole_a, whole_b = (_double_rows(n, x, s, s) for x, s in ((sums.aa, a), (sums.bb, b)))
            least = of_whole * float(whole_a.mean()), of_whole * float(whole_b.mean())
        return cls(rows(n, sums.ab, a, b), rows(n, sums.aa, a, a), rows(n, sums.bb, b, b), least)

    @property
    def means(self) -> tuple[float, float, float]:
        """Return the estimates."""
        return float(self.ab.mean()), float(self.aa.mean()), float(self.bb.mean())

    def require_positive(self, names: tuple[str, str]) -> None:
        """Raise unless both own products are more than rounding."""
        for name, own, least in zip(names, self.means[1:], self.least, strict=True):
            if not own > max(least, 0.0):
                raise ValueError(
                    f"`{name}`: {len(self.ab)} rows see nothing of its pairs of samples after "
                    "centring, so no score is defined; take more `rows`, or all"
                )

    @property
    def ratio(self) -> float:
        """Return ⟨A, B⟩ / √(⟨A, A⟩ ⟨B, B⟩)."""
        ab, aa, bb = self.means
        return ab / math.sqrt(aa * bb)

    @property
    def influence(self) -> Floats:
        """Return what each row adds to the ratio, to first order."""
        _, aa, bb = self.means
        change = self.ab / math.sqrt(aa * bb)
        return np.asarray(change - 0.5 * self.ratio * (self.aa / aa + self.bb / bb))


def of_rows(terms: Any, a: int, b: int, need: PairNeed, centering: Centering) -> RowProducts:
    """Return what the sampled rows say of models a and b, made once for all that read it."""
    return terms.derived(  # type: ignore[no-any-return]
        (a, b),
        ("row products", need, centering),
        lambda: RowProducts.of(terms.row_sums(a, b, need), centering),
    )


def estimated_kernels(terms: Any, a: int, b: int, need: PairNeed) -> CenteredKernels:
    """Return the centred products of models a and b as their sampled rows estimate them.

    Without what the variance of a biased product over relabellings reads.
    """

    def make() -> CenteredKernels:
        n = terms.n_samples
        xy, xx, yy = of_rows(terms, a, b, need, "double").means
        u = of_rows(terms, a, b, need, "u").means if n > 3 else (math.nan,) * 3
        sums: RowSums = terms.row_sums(a, b, need)

        def trace(rows: Floats, offsets: Floats) -> float:
            diagonal = sums.at_zero - 2.0 * offsets
            return float(n * diagonal.mean() - (rows + diagonal).mean())

        traces = trace(sums.rows_a, sums.offsets_a), trace(sums.rows_b, sums.offsets_b)
        unknown = math.nan, math.nan
        return CenteredKernels(n, xy, xx, yy, *u, lambda: (traces, unknown))

    return terms.derived((a, b), ("estimated kernels", need), make)  # type: ignore[no-any-return]
