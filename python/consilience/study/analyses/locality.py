"""Does the agreement of models depend on how many neighbours are looked at?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import pair_values
from consilience.study.analyses._rank import Correlation, spearman_of_pairs
from consilience.study.score_matrix import Array, ScoreMatrix

REFERENCE_K = 25


@dataclass(frozen=True)
class LocalityPair(Result):
    """A pair of models and its score at each k."""

    a: str
    b: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Locality(Result):
    """A score over the number of neighbours.

    Attributes
    ----------
    ks : tuple of int
        Ascending.
    pairs : tuple of LocalityPair
    rank_correlation : tuple of float or None
        Spearman's rho of the scores of all pairs at each k with those at `reference_k`.
    against : dict of str to Correlation
        Of the scores at `reference_k` with another metric's, over the pairs.
    reference_k : int
        25, or what is nearest to it in ratio.
    """

    ks: tuple[int, ...]
    pairs: tuple[LocalityPair, ...]
    rank_correlation: tuple[float | None, ...]
    against: dict[str, Correlation]
    reference_k: int


def locality(
    matrix: ScoreMatrix,
    labels_by_k: Mapping[int, str],
    *,
    against: Sequence[str] | None = None,
    seed: int = 0,
) -> Locality:
    """Scores of all pairs over k, and how stable their ranking is.

    Parameters
    ----------
    matrix : ScoreMatrix
    labels_by_k : mapping from k to label
        For example ``{10: "cknna[k=10]", 25: "cknna"}``.
    against : sequence of str, optional
        Labels of global scores to correlate with; all distance correlations if not given.
    seed : int
        Of the permutation tests, which relabel models.

    Returns
    -------
    Locality
        With fewer than four models a correlation is None with its reason.

    Raises
    ------
    ValueError
        If there are fewer than two values of k or two models, or a score is not of pairs.
    KeyError
        If the matrix has no such label.
    """
    if len(labels_by_k) < 2:
        raise ValueError(f"`labels_by_k` must hold at least two k, got {list(labels_by_k)}")
    names = matrix.names
    if len(names) < 2:
        raise ValueError(f"locality needs pairs of models, got {len(names)} model")
    ks = sorted(int(k) for k in labels_by_k)
    tables = {k: _table(matrix, labels_by_k[k]) for k in ks}
    reference = min(ks, key=lambda k: abs(math.log(k / REFERENCE_K)))
    if against is None:
        against = [s.label for s in matrix.scores.values() if s.metric == "distance_correlation"]
    cells = list(itertools.combinations(range(len(names)), 2))
    return Locality(
        ks=tuple(ks),
        pairs=tuple(
            LocalityPair(names[a], names[b], tuple(float(tables[k][a, b]) for k in ks))
            for a, b in cells
        ),
        # Of rho alone there is no need to relabel.
        rank_correlation=tuple(
            spearman_of_pairs(tables[k], tables[reference], n_permutations=1).rho for k in ks
        ),
        against={
            label: spearman_of_pairs(tables[reference], _table(matrix, label), seed=seed)
            for label in against
        },
        reference_k=reference,
    )


def _table(matrix: ScoreMatrix, label: str) -> Array:
    matrix[label]
    return np.asarray(pair_values(matrix.scores[label]))
