r"""What a score may be by chance: the law of its closeness over relabelled samples.

Closeness is the score, or minus the score where less is closer, so that large is close.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from consilience.terms import Floats

ALPHA = 0.05
# Draws that equal the observed one come out of other sums: this share apart, they are equal.
ROUNDING = 1e-12


class Law(Protocol):
    """The distribution of closeness under relabelling."""

    def upper(self, closeness: float) -> float:
        """Return the probability of at least this closeness, the one-sided p-value."""

    def threshold(self, closeness: float, alpha: float = ALPHA) -> float:
        """Return what a share `alpha` of relabellings exceeds at most."""


@dataclass(frozen=True)
class PearsonThree:
    """A gamma law, shifted and maybe mirrored, with given first three moments.

    It is fitted, not exact; with skewness 0 it is the normal law.
    """

    mean: float
    std: float
    skewness: float = 0.0

    def upper(self, closeness: float) -> float:
        """Return the probability of at least this closeness."""
        from scipy.special import gammainc, gammaincc, ndtr

        if self.std == 0.0:
            return 1.0 if closeness <= self.mean + ROUNDING * abs(self.mean) else 0.0
        z = (closeness - self.mean) / self.std
        if abs(self.skewness) < 1e-4:
            return float(ndtr(-z))
        shape = 4.0 / self.skewness**2
        if self.skewness > 0.0:
            return float(gammaincc(shape, max(shape + math.sqrt(shape) * z, 0.0)))
        return float(gammainc(shape, max(shape - math.sqrt(shape) * z, 0.0)))

    def threshold(self, closeness: float, alpha: float = ALPHA) -> float:
        """Return the (1 - alpha)-quantile."""
        from scipy.special import gammainccinv, gammaincinv, ndtri

        if abs(self.skewness) < 1e-4:
            return self.mean - float(ndtri(alpha)) * self.std
        shape = 4.0 / self.skewness**2
        if self.skewness > 0.0:
            z = (float(gammainccinv(shape, alpha)) - shape) / math.sqrt(shape)
        else:
            z = (shape - float(gammaincinv(shape, alpha))) / math.sqrt(shape)
        return self.mean + z * self.std


@dataclass(frozen=True)
class Root:
    """The law of the root of a statistic (0 below 0)."""

    square: Law

    def upper(self, closeness: float) -> float:
        """Return the probability of at least this closeness."""
        return self.square.upper(closeness * closeness)

    def threshold(self, closeness: float, alpha: float = ALPHA) -> float:
        """Return the (1 - alpha)-quantile."""
        return math.sqrt(max(self.square.threshold(closeness * closeness, alpha), 0.0))


@dataclass(frozen=True, eq=False)
class Drawn:
    r"""Relabellings drawn at random: :math:`p = (1 + \#\{null \ge s\}) / (P + 1)`.

    Valid for any statistic at any number of draws [phipson2010]_.
    """

    draws: Floats

    def upper(self, closeness: float) -> float:
        """Return the add-one p-value."""
        reached = self.draws >= closeness - ROUNDING * abs(closeness)
        return (1.0 + float(reached.sum())) / (len(self.draws) + 1.0)

    def threshold(self, closeness: float, alpha: float = ALPHA) -> float:
        """Return the ⌈(1 - alpha)(P + 1)⌉-th smallest of the draws and the observed one."""
        together = np.sort(np.append(self.draws, closeness))
        # A product that is whole must not be lifted by its rounding.
        place = math.ceil((1.0 - alpha) * len(together) * (1.0 - 1e-12))
        return float(together[place - 1])


def calibrated(law: Law, closeness: float, best: float, alpha: float = ALPHA) -> float:
    r"""Return how far a score gets from chance to the best: 0 is chance, 1 is identity.

    .. math:: \mathrm{clip}\Bigl(\frac{s - \tau}{s_{\max} - \tau}, 0, 1\Bigr)

    with τ the threshold of the law at `alpha`; 0 if chance alone reaches the best.

    References
    ----------
    [groger2026]_
    """
    threshold = law.threshold(closeness, alpha)
    if not threshold < best:
        return 0.0
    return min(max((closeness - threshold) / (best - threshold), 0.0), 1.0)
