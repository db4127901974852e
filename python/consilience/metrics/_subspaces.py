"""Principal subspaces from cross-moments: what CCA and its kin are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from consilience.metrics._registry import MetricSettings
from consilience.needs import MomentNeed, Normalize, View
from consilience.terms import CenteredMoments, Floats

EQUAL = 1e-7  # canonical correlations closer than this are taken for one


@dataclass(frozen=True)
class Subspace:
    """Principal axes of a set, largest first, without those below the cut-off.

    axes : (d, rank), orthonormal;  lengths : (rank,), singular values of the centred set
    dropped : directions left out as numerically empty
    """

    axes: Floats
    lengths: Floats
    dropped: int

    @property
    def rank(self) -> int:
        return len(self.lengths)

    def first(self, rank: int) -> Subspace:
        """Return the subspace of the first `rank` axes."""
        return Subspace(self.axes[:, :rank], self.lengths[:rank], self.dropped)

    def rank_of_variance(self, share: float) -> int:
        """Return how few axes hold at least this share of the variance."""
        held = (self.lengths**2).cumsum()
        return int(held.searchsorted(share * held[-1] * (1.0 - 1e-12)) + 1)


def subspace(moments: CenteredMoments, rcond: float) -> Subspace:
    """Return the principal axes with singular values above `rcond` times the largest."""
    values, vectors = np.linalg.eigh((moments.xy + moments.xy.T) / 2.0)
    values, vectors = values[::-1], vectors[:, ::-1]
    most = min(len(values), moments.n_samples - 1)
    kept = values[:most] > values[0] * rcond * rcond
    rank = int(np.count_nonzero(kept))
    return Subspace(vectors[:, :rank], np.sqrt(values[:rank]), len(values) - rank)


@dataclass(frozen=True)
class Canonical:
    """Canonical correlations, largest first, and both sides of them in the principal axes.

    correlations : (r,);  left, right : (rank, r), unit vectors over the whitened axes
    """

    correlations: Floats
    left: Floats
    right: Floats

    def swapped(self) -> Canonical:
        """Return the same with the sets the other way round."""
        return Canonical(self.correlations, self.right, self.left)


def settled(found: Canonical, x: Subspace) -> Canonical:
    """Return the same correlations with X's side, where equal ones leave it open, chosen by X.

    Within a block of equal correlations any rotation of the variates serves; the principal
    axes of X inside the block do not depend on the order of the samples.
    """
    close = np.diff(found.correlations) >= -EQUAL
    left = found.left.copy()
    if not close.any():
        return Canonical(found.correlations, left, found.right)
    edges = np.flatnonzero(~close) + 1
    for block in np.split(np.arange(len(found.correlations)), edges):
        if len(block) > 1:
            part = found.left[:, block]
            _, _, turn = np.linalg.svd(x.lengths[:, None] * part, full_matrices=False)
            left[:, block] = part @ turn.T
    return Canonical(found.correlations, left, found.right)


def canonical(xy: Floats, x: Subspace, y: Subspace) -> Canonical:
    """Return the canonical correlations of two principal subspaces, with their vectors."""
    left, correlations, right = np.linalg.svd(whitened(xy, x, y), full_matrices=False)
    return Canonical(np.minimum(correlations, 1.0), left, right.T)


def correlations(xy: Floats, x: Subspace, y: Subspace) -> Floats:
    """Return the canonical correlations alone, largest first, at a third of the cost."""
    found = np.linalg.svd(whitened(xy, x, y), compute_uv=False)
    return np.asarray(np.minimum(found, 1.0))


def whitened(xy: Floats, x: Subspace, y: Subspace) -> Floats:
    """Return the cross-moment over the principal axes scaled to length 1."""
    return np.asarray((x.axes.T @ xy @ y.axes) / (x.lengths[:, None] * y.lengths))


@dataclass(frozen=True)
class SubspaceSettings(MetricSettings):
    """What the metrics of principal subspaces share."""

    rcond: float = 1e-6
    normalize: Normalize = "none"
    least_samples = 3

    def __post_init__(self) -> None:
        if not 0.0 < self.rcond < 1.0:
            raise ValueError(f"`rcond` must be in (0, 1), got {self.rcond}")

    @cached_property
    def need(self) -> MomentNeed:
        """Return the moments asked for."""
        return MomentNeed(View(self.normalize))

    def axes(self, terms: Any, m: int) -> Subspace:
        """Return the principal axes of model m."""
        return terms.derived(  # type: ignore[no-any-return]
            (m,),
            ("axes", self.need, self.rcond),
            lambda: subspace(terms.moments(m, m, self.need), self.rcond),
        )

    def canonical(self, terms: Any, a: int, b: int) -> Canonical:
        """Return the canonical correlations of a and b with both sides; one serves both ways."""
        if a > b:
            return self.canonical(terms, b, a).swapped()
        xy = terms.moments(a, b, self.need).xy
        return terms.derived(  # type: ignore[no-any-return]
            (a, b),
            ("canonical", self.need, self.rcond),
            lambda: canonical(xy, self.axes(terms, a), self.axes(terms, b)),
        )
