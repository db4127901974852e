"""Is it the training data, the architecture or the modality that makes models agree?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.study.analyses._facts import by_name, known, same
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import pair_values
from consilience.study.analyses._rank import PERMUTATIONS, orders_of, p_value
from consilience.study.score_matrix import Scores

Floats = NDArray[np.float64]
LEAST = 4


@dataclass(frozen=True)
class Factor(Result):
    """How much of the variance between pairs "both models have the same ..." explains.

    Attributes
    ----------
    name : str
    share_alone : float
        R² of this factor by itself.
    share_unique : float
        R² that is lost when it is taken out of the regression on all factors.
    p : float or None
        Permutation p-value of the unique share.
    p_alone : float or None
        Permutation p-value of the share alone.
    reason : str or None
        Why a p-value is missing.
    """

    name: str
    share_alone: float
    share_unique: float
    p: float | None
    p_alone: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Partition(Result):
    """A partition of the variance of a score over pairs of models.

    Attributes
    ----------
    label : str
    factors : tuple of Factor
    shared : float
        R² of all factors that is not unique to one. Negative if factors hide each other.
    residual : float
        1 - R² of all factors.
    n_pairs, n_models : int
        Pairs and models that entered.
    left_out : int
        Models left out because one of their factors is not known.
    """

    label: str
    factors: tuple[Factor, ...]
    shared: float
    residual: float
    n_pairs: int
    n_models: int
    left_out: int


def explain(
    scores: Scores,
    factors: Mapping[str, Sequence[Any]],
    *,
    n_permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Partition:
    r"""Regress the score of pairs on indicators "the same training data", "architecture", ...

    .. math:: s_{ab} = \beta_0 + \sum_f \beta_f\, 1[f_a = f_b] + \varepsilon_{ab}

    Pairs that share a model are not independent, so models and not pairs are permuted: a factor
    is first rid of what the other factors say (residuals of its indicator), the models of that
    residual are relabelled, and the absolute partial correlation, a monotone function of
    :math:`|t|`, is compared (double semi-partialling, [dekker2007]_). All m! relabellings up to
    m = 8, else seeded draws.

    Parameters
    ----------
    scores : Scores
        Of pairs; the mean of both directions where they differ.
    factors : mapping from name to the value of each model
        A model with an unknown value (None or "") in any factor is left out.
    n_permutations, seed : int

    Returns
    -------
    Partition
        A factor that is the same, or different, for all pairs explains 0 and has no p-value.

    Raises
    ------
    ValueError
        Without factors, if fewer than four models remain, or if all scores are equal.

    References
    ----------
    [dekker2007]_, [mantel1967]_
    """
    if not factors:
        raise ValueError("`factors` is empty: name what may explain the scores")
    values = pair_values(scores)
    everyone = [str(place) for place in range(len(values))]
    columns = {name: by_name(list(column), everyone, name) for name, column in factors.items()}
    kept = [a for a in range(len(values)) if all(known(column[a]) for column in columns.values())]
    m = len(kept)
    if m < LEAST:
        raise ValueError(
            f"{scores.label}: explaining needs {LEAST} models with every factor known, got {m} "
            f"of {len(values)}"
        )
    upper = np.triu_indices(m, 1)
    y = values[np.ix_(kept, kept)][upper]
    if np.ptp(y) == 0.0:
        raise ValueError(f"{scores.label}: all scores are equal, there is nothing to explain")
    x = {
        name: same([column[a] for a in kept])[0][upper].astype(np.float64)
        for name, column in columns.items()
    }
    whole = _r_squared(y, list(x.values()))
    found = tuple(
        _factor(name, y, x[name], [x[o] for o in x if o != name], whole, m, n_permutations, seed)
        for name in x
    )
    shared = whole - sum(factor.share_unique for factor in found)
    return Partition(scores.label, found, shared, 1.0 - whole, len(y), m, len(values) - m)


def _factor(
    name: str,
    y: Floats,
    x: Floats,
    others: list[Floats],
    whole: float,
    m: int,
    n_permutations: int,
    seed: int,
) -> Factor:
    if np.ptp(x) == 0.0:
        word = "the same" if x[0] else "different"
        return Factor(name, 0.0, 0.0, None, None, f"{name} is {word} for all pairs")
    alone = _r_squared(y, [x])
    p_alone = _relabelled(y, x, [], m, n_permutations, seed)
    p = _relabelled(y, x, others, m, n_permutations, seed)
    if p is None:
        return Factor(name, alone, 0.0, None, p_alone, "the other factors say the same")
    return Factor(name, alone, max(whole - _r_squared(y, others), 0.0), p, p_alone)


def _basis(columns: list[Floats], n: int) -> Floats:
    """Return an orthonormal basis of the columns and the constant, (n, rank)."""
    design = np.column_stack([np.ones(n), *columns])
    u, sizes, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(u[:, sizes > 1e-10 * sizes[0]])


def _rid_of(rows: Floats, basis: Floats) -> Floats:
    return rows - (rows @ basis) @ basis.T


def _r_squared(y: Floats, columns: list[Floats]) -> float:
    rest, centered = _rid_of(y, _basis(columns, len(y))), y - y.mean()
    return float(1.0 - (rest @ rest) / (centered @ centered))


def _relabelled(
    y: Floats, x: Floats, others: list[Floats], m: int, n_permutations: int, seed: int
) -> float | None:
    """Return the p-value of x beside the others, or None where they say the same."""
    basis = _basis(others, len(y))
    own, target = _rid_of(x, basis), _rid_of(y, basis)
    if own @ own <= 1e-10 * len(x):
        return None
    if target @ target <= 1e-20 * (y @ y):
        return 1.0  # the others explain all there is
    target = target / np.sqrt(target @ target)
    square = np.zeros((m, m))
    upper = np.triu_indices(m, 1)
    square[upper] = own
    square += square.T
    observed, count, total = abs(float(own @ target)) / float(np.sqrt(own @ own)), 0, 0
    for orders in orders_of(m, n_permutations, seed):
        moved = _rid_of(square[orders[:, upper[0]], orders[:, upper[1]]], basis)
        sizes = np.sqrt(np.einsum("ij,ij->i", moved, moved))
        # A relabelling that falls into the span of the others explains nothing beside them.
        strength = np.divide(
            np.abs(moved @ target), sizes, out=np.zeros(len(sizes)), where=sizes > 1e-9
        )
        count += int(np.sum(strength >= observed - 1e-12))
        total += len(orders)
    return p_value(count, total, m)
