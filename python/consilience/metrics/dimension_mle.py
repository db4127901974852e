"""Intrinsic dimension by maximum likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np

from consilience._evaluate import score_one
from consilience._validate import check_choice, check_integer
from consilience.metrics._dimension import (
    check_finite_dimension,
    filled,
    for_each_split,
    inverse_dimensions,
)
from consilience.metrics._graph import SearchSettings, proportional
from consilience.metrics._registry import Ahead, Dependence, Score, metric
from consilience.needs import GraphNeed, Method, Normalize, View
from consilience.terms import Floats


@dataclass(frozen=True)
class DimensionMle(SearchSettings):
    """Settings of `dimension_mle`."""

    splits_at_once: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "lists"

    k: int = 20
    combine: Literal["harmonic", "mean"] = "harmonic"
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        check_integer(self.k, "k", 2)
        check_choice(self.combine, "combine", ["harmonic", "mean"])
        super().__post_init__()

    @cached_property
    def need(self) -> GraphNeed:
        """Return what the formula reads."""
        return self.search(View(self.normalize), "l2", self.k)

    def score(self, terms: Any, a: int, b: int | None = None) -> Score:
        """Return the dimension of model a."""
        inverse, usable = inverse_dimensions(*self._distances(terms, a), self.k, terms.name(a))
        with np.errstate(divide="ignore"):
            value = 1.0 / inverse.mean() if self.combine == "harmonic" else (1 / inverse).mean()
        value = check_finite_dimension(float(value), terms.name(a))
        return Score(
            value, details={"rows_dropped": float((~usable).sum()), **self.found(terms, a)}
        )

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what takes a logarithm of every distance."""
        need = self.need
        for (m,) in cells:
            yield Ahead(partial(terms.log_distances, m, need))

    def influence(self, terms: Any, a: int, b: int | None = None) -> Floats:
        """Return what each sample adds, to first order."""

        def of_rows(first: Floats, last: Floats, logs: Floats) -> Floats:
            inverse, usable = inverse_dimensions(first, last, logs, self.k, terms.name(a))
            if self.combine == "mean":
                return filled(1.0 / inverse, usable)
            return filled(-inverse / inverse.mean() ** 2, usable)

        return for_each_split(of_rows, *self._distances(terms, a))

    def _distances(self, terms: Any, a: int) -> tuple[Floats, Floats, Floats]:
        need = self.need
        first, last = terms.nearest(a, need, (1, self.k))
        return first, last, terms.log_distances(a, need)

    def among(self, n_samples: int, n_all: int) -> DimensionMle:
        """Return the settings that ask the same of fewer samples."""
        return replace(self, k=max(2, proportional(self.k, n_samples, n_all)))


@metric(
    DimensionMle,
    kind="single",
    bounds=(0.0, float("inf")),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
)
def dimension_mle(
    X: Any,
    *,
    k: int = 20,
    combine: Literal["harmonic", "mean"] = "harmonic",
    normalize: Normalize = "none",
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Intrinsic dimension by maximum likelihood over k neighbours (Levina and Bickel).

    .. math:: d_i = \Bigl[\frac{1}{k-1} \sum_{j<k} \log \frac{r_k(i)}{r_j(i)}\Bigr]^{-1}

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    k : int
        Neighbours of each sample; at least 2, below n_samples.
    combine : "harmonic" or "mean"
        1 / mean(1 / d_i) (MacKay and Ghahramani), or mean(d_i).
    normalize : "none", "l2", "max" or "zscore"
    neighbors, rows, seed : all neighbours, nearly all, or those of some samples; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        The number of dimensions the data fill at the scale of k neighbours.

    Raises
    ------
    ValueError
        If k is not in [2, n_samples), every sample has a duplicate, or, with combine="mean", a
        sample has all its neighbours at one distance.

    Notes
    -----
    Samples with a duplicate (r₁ = 0) are dropped; `compare` reports how many.

    References
    ----------
    [levina2004]_, [mackay2005]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((2000, 1)) @ np.ones((1, 9))
    >>> 0.9 < cs.dimension_mle(X, k=20) < 1.1
    True
    """
    settings = DimensionMle(k, combine, normalize, neighbors=neighbors, rows=rows, seed=seed)
    return float(score_one(settings, X, backend=backend, device=device, n_threads=n_threads).value)
