"""The law of a Mantel statistic of two matrices that need not be symmetric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from consilience.inference.cubic import skewness
from consilience.inference.laws import PearsonThree
from consilience.inference.permutation import mantel_moments, symmetric_part
from consilience.metrics._registry import Ahead, Score
from consilience.needs import EdgeNeed, GraphNeed
from consilience.terms import MantelTerms


def mantel_law(
    terms: Any,
    a: tuple[int, GraphNeed | EdgeNeed],
    b: tuple[int, GraphNeed | EdgeNeed],
    score: Score,
) -> PearsonThree | None:
    """Return a law with the score's moments, and a skewness from a block of both graphs."""
    of_a, of_b = terms.mantel(*a), terms.mantel(*b)
    blocks = [terms.cubic(*one, "symmetric_terms") for one in (a, b)]
    return with_skewness(score, (of_a, of_b), skewness(*blocks), terms.n_samples)


def mantel_ahead(
    terms: Any, models: Iterable[int], need: GraphNeed | EdgeNeed, *, law: bool
) -> Iterator[Ahead]:
    """Yield what moments, and laws if wanted, read of each model's graph."""
    for m in models:
        yield Ahead(partial(terms.mantel, m, need))
        if law:
            yield Ahead(partial(terms.cubic, m, need, "symmetric_terms"))


def with_skewness(
    score: Score, whole: tuple[MantelTerms, MantelTerms], skew: float, n: int
) -> PearsonThree | None:
    """Return the law of a statistic whose symmetric part has this skewness.

    The rest, of antisymmetric parts, adds to the variance; what it adds to the third moment is
    left out.
    """
    if score.null is None or score.null.std is None:
        return None
    _, variance = mantel_moments(*whole, n)
    _, symmetric = mantel_moments(symmetric_part(whole[0]), symmetric_part(whole[1]), n)
    share = min(symmetric / variance, 1.0) ** 1.5 if variance > 0.0 else 0.0
    return PearsonThree(score.null.mean, score.null.std, skew * share)
