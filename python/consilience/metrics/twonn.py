"""Intrinsic dimension from two neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from consilience._evaluate import score_one
from consilience._validate import check_choice
from consilience.metrics._dimension import (
    filled,
    for_each_split,
    ratios_of_two,
    twonn_fit,
    twonn_fit_influence,
    twonn_mle,
)
from consilience.metrics._graph import SearchSettings
from consilience.metrics._registry import Dependence, Score, metric
from consilience.needs import GraphNeed, Method, Normalize, View
from consilience.terms import Floats


@dataclass(frozen=True)
class Twonn(SearchSettings):
    """Settings of `twonn`."""

    splits_at_once: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "lists"

    method: Literal["fit", "mle"] = "fit"
    discard: float = 0.1
    normalize: Normalize = "none"
    least_samples = 3

    def __post_init__(self) -> None:
        check_choice(self.method, "method", ["fit", "mle"])
        if not 0.0 <= self.discard < 1.0:
            raise ValueError(f"`discard` must be in [0, 1), got {self.discard}")
        super().__post_init__()

    @cached_property
    def need(self) -> GraphNeed:
        """Return what the formula reads."""
        return self.search(View(self.normalize), "l2", 2)

    def score(self, terms: Any, a: int, b: int | None = None) -> Score:
        """Return the dimension of model a."""
        ratios, usable = ratios_of_two(*self._nearest(terms, a), terms.name(a))
        value = twonn_fit(ratios, self.discard) if self.method == "fit" else twonn_mle(ratios)
        return Score(
            value, details={"rows_dropped": float((~usable).sum()), **self.found(terms, a)}
        )

    def influence(self, terms: Any, a: int, b: int | None = None) -> Floats:
        """Return what each sample adds, to first order."""

        def of_rows(r1: Floats, r2: Floats) -> Floats:
            ratios, usable = ratios_of_two(r1, r2, terms.name(a))
            if self.method == "fit":
                return filled(twonn_fit_influence(ratios, self.discard), usable)
            return filled(-(twonn_mle(ratios) ** 2) * ratios, usable)

        return for_each_split(of_rows, *self._nearest(terms, a))

    def _nearest(self, terms: Any, a: int) -> tuple[Floats, Floats]:
        r1, r2 = terms.nearest(a, self.need, (1, 2))
        return r1, r2


@metric(
    Twonn,
    kind="single",
    bounds=(0.0, float("inf")),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
)
def twonn(
    X: Any,
    *,
    method: Literal["fit", "mle"] = "fit",
    discard: float = 0.1,
    normalize: Normalize = "none",
    neighbors: Method = "exact",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Intrinsic dimension from the distances to the two nearest neighbours.

    With μ = r₂/r₁ sorted and F = i/N: the slope through the origin of
    :math:`-\log(1 - F)` on :math:`\log \mu`, or :math:`(N - 1) / \sum \log \mu`.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    method : "fit" or "mle"
    discard : float
        For "fit": share of the largest ratios left out.
    normalize : "none", "l2", "max" or "zscore"
    neighbors, rows, seed : all neighbours, nearly all, or those of some samples; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        The number of dimensions the data fill locally.

    Raises
    ------
    ValueError
        If fewer than 3 samples have two neighbours at different, positive distances.

    Notes
    -----
    Samples with a duplicate (r₁ = 0) or r₁ = r₂ are dropped; `compare` reports how many. The
    distance is Euclidean: on squared or cosine distances the dimension would be halved.

    References
    ----------
    [facco2017]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((2000, 2)) @ np.ones((2, 9))
    >>> 0.9 < cs.twonn(X) < 1.1
    True
    """
    settings = Twonn(method, discard, normalize, neighbors=neighbors, rows=rows, seed=seed)
    return float(score_one(settings, X, backend=backend, device=device, n_threads=n_threads).value)
