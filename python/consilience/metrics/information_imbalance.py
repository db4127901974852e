"""Information imbalance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np

from consilience._evaluate import score_both_ways
from consilience._relabelled import Relabelled
from consilience._validate import check_choice, check_integer
from consilience.inference.cubic import skewness
from consilience.inference.laws import Law, PearsonThree
from consilience.inference.permutation import mantel_moments
from consilience.metrics._graph import SearchSettings, proportional
from consilience.metrics._mantel import mantel_ahead, with_skewness
from consilience.metrics._registry import Ahead, Dependence, Null, Score, metric, models_in
from consilience.needs import Normalize, RankNeed, View
from consilience.terms import Floats, Indices, MantelTerms


@dataclass(frozen=True)
class InformationImbalance(SearchSettings):
    """Settings of `information_imbalance`."""

    why_exact: ClassVar[str | None] = (
        "exact ranks cost what exact neighbours do; leave `neighbors` out, or give `rows`"
    )
    relabels_rows: ClassVar[bool] = True
    lower_is_closer: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "subsets"

    k: int = 1
    normalize: Normalize = "none"
    distance: Literal["l2", "cosine"] = "l2"

    def __post_init__(self) -> None:
        check_integer(self.k, "k", 1)
        check_choice(self.distance, "distance", ["l2", "cosine"])
        super().__post_init__()

    @cached_property
    def need(self) -> RankNeed:
        """Return what the formula reads."""
        view = View(self.normalize, unit_rows=self.distance == "cosine")
        return RankNeed(self.search(view, "l2", self.k))

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the imbalance from model a to model b."""
        null = self._null(terms, a, b) if terms.nulls else None
        return self.mean_over_rows(terms, a, b, null)

    def _null(self, terms: Any, a: int, b: int) -> Null:
        if self.sampled(terms):
            return Null(1.0)
        n = terms.n_samples
        _, variance = mantel_moments(*self._mantel(terms, a, b), n)
        return Null(1.0, 2.0 / (float(n) * n * self.k) * math.sqrt(variance))

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the null reads of each model."""
        if self.sampled(terms):
            return
        need = self.need
        sources, targets = (models_in((cell[end],) for cell in cells) for end in (0, -1))
        yield from mantel_ahead(terms, sources, need.graph, law=law)
        # Ranks are made in models that others are held against, and no others.
        for m in targets:
            yield Ahead(partial(terms.rank_mantel, m, need), of_graphs=False)
            if law:
                yield Ahead(partial(terms.cubic, m, need, "symmetric_terms"), of_graphs=False)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return the score of each row."""
        ranks = terms.rank_sums(a, b, self.need)
        return np.asarray(2.0 / (terms.n_samples * self.k) * ranks)

    def _mantel(self, terms: Any, a: int, b: int) -> tuple[MantelTerms, MantelTerms]:
        need = self.need
        return terms.mantel(a, need.graph), terms.rank_mantel(b, need)

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return a law of minus the score, with the skewness of a block."""
        if self.sampled(terms):
            return None
        need = self.need
        n = terms.n_samples
        sides = (a, need.graph), (b, need)
        skew = skewness(*(terms.cubic(*side, "symmetric_terms") for side in sides))
        law = with_skewness(score, self._mantel(terms, a, b), skew, n)
        return None if law is None else PearsonThree(-law.mean, law.std, -law.skewness)

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b; a sweep over all pairs each."""
        return np.array(
            [self.influence(Relabelled(terms, b, order), a, b).mean() for order in orders]
        )

    def best(self, terms: Any, a: int, b: int) -> float:
        """Return the score of identical sets."""
        return float((self.k + 1.0) / terms.n_samples)

    def among(self, n_samples: int, n_all: int) -> InformationImbalance:
        """Return the settings that ask the same of fewer samples, of all their rows."""
        return replace(self, k=proportional(self.k, n_samples, n_all), rows=None)


@metric(
    InformationImbalance,
    kind="directed",
    bounds=(0.0, 2.0),
    symmetric=False,
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
    null="closed form",
)
def information_imbalance(
    X: Any,
    Y: Any,
    *,
    k: int = 1,
    normalize: Normalize = "none",
    distance: Literal["l2", "cosine"] = "l2",
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> tuple[float, float]:
    r"""Information imbalance: how well do neighbours in one set predict neighbours in the other?

    .. math:: \Delta(X \to Y) = \frac{2}{n} \cdot \frac{1}{nk}
        \sum_i \sum_{j \in N_X(i)} \mathrm{rank}_Y(i, j)

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    k : int
        Neighbours of each sample; below n_samples.
    normalize : "none", "l2", "max" or "zscore"
    distance : "l2" or "cosine"
    rows, seed : of all samples, or of some; see `neighbors`.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    x_to_y, y_to_x : float
        (k + 1) / n_samples if X and Y order neighbours alike, 1 on average over relabelled
        samples.

    Raises
    ------
    ValueError
        If k is not in [1, n_samples).

    Notes
    -----
    Ranks are full and exact: 1 + the number of samples nearer + half of those as near; they
    never stop at a largest neighbour. O(n_samples² · n_features) time in tiles.

    References
    ----------
    [glielmo2022]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> [round(v, 6) for v in cs.information_imbalance(X, X, k=4)]
    [0.1, 0.1]
    """
    settings = InformationImbalance(k, normalize, distance, rows=rows, seed=seed)
    return score_both_ways(settings, X, Y, backend=backend, device=device, n_threads=n_threads)
