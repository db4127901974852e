"""Intrinsic dimension from two neighbours of any order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from consilience._evaluate import score_one
from consilience._validate import check_integer, check_k
from consilience.metrics._dimension import (
    filled,
    for_each_split,
    gride_influence,
    gride_mle,
    ratios_of_two,
)
from consilience.metrics._graph import SearchSettings
from consilience.metrics._registry import Dependence, Score, metric
from consilience.needs import GraphNeed, Method, Normalize, View
from consilience.terms import Floats


@dataclass(frozen=True)
class Gride(SearchSettings):
    """Settings of `gride`."""

    splits_at_once: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "lists"

    n1: int = 1
    n2: int = 2
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        check_integer(self.n1, "n1", 1)
        check_integer(self.n2, "n2", self.n1 + 1)
        super().__post_init__()

    def check(self, terms: Any) -> None:
        """Raise unless there are neighbours of order n2."""
        check_k(self.n2, terms.n_samples, name="n2")
        super().check(terms)

    @cached_property
    def need(self) -> GraphNeed:
        """Return what the formula reads."""
        return self.search(View(self.normalize), "l2", self.n2)

    def score(self, terms: Any, a: int, b: int | None = None) -> Score:
        """Return the dimension of model a."""
        ratios, usable = ratios_of_two(*self._nearest(terms, a), terms.name(a))
        value = gride_mle(ratios, self.n1, self.n2)
        return Score(
            value, details={"rows_dropped": float((~usable).sum()), **self.found(terms, a)}
        )

    def influence(self, terms: Any, a: int, b: int | None = None) -> Floats:
        """Return what each sample adds, to first order: its score over the information."""

        def of_rows(first: Floats, second: Floats) -> Floats:
            ratios, usable = ratios_of_two(first, second, terms.name(a))
            return filled(gride_influence(ratios, self.n1, self.n2), usable)

        return for_each_split(of_rows, *self._nearest(terms, a))

    def _nearest(self, terms: Any, a: int) -> tuple[Floats, Floats]:
        first, second = terms.nearest(a, self.need, (self.n1, self.n2))
        return first, second


@metric(
    Gride,
    kind="single",
    bounds=(0.0, float("inf")),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
)
def gride(
    X: Any,
    *,
    n1: int = 1,
    n2: int = 2,
    normalize: Normalize = "none",
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Generalised ratios intrinsic dimension: from the neighbours of orders n1 and n2.

    The d of highest likelihood for :math:`\mu = r_{n_2} / r_{n_1}`, of density
    :math:`d (\mu^d - 1)^{n_2 - n_1 - 1} / (B(n_2 - n_1, n_1)\, \mu^{(n_2 - 1) d + 1})`.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    n1, n2 : int
        Orders of the two neighbours, 1 ≤ n1 < n2 < n_samples; larger ones look at a larger
        scale.
    normalize : "none", "l2", "max" or "zscore"
    neighbors, rows, seed : all neighbours, nearly all, or those of some samples; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        The number of dimensions the data fill at that scale.

    Raises
    ------
    ValueError
        If the orders are out of range, or fewer than 3 samples have such neighbours at
        different, positive distances.

    Notes
    -----
    Samples whose two distances are equal or 0 are dropped; `compare` reports how many.

    References
    ----------
    [denti2022]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((2000, 1)) @ np.ones((1, 9))
    >>> 0.9 < cs.gride(X, n1=8, n2=16) < 1.1
    True
    """
    settings = Gride(n1, n2, normalize, neighbors=neighbors, rows=rows, seed=seed)
    return float(score_one(settings, X, backend=backend, device=device, n_threads=n_threads).value)
