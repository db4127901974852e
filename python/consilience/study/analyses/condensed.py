"""The matrix of all models, condensed to one mean per pair of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.study.analyses._facts import known
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import check_names, clipped
from consilience.study.score_matrix import Scores

BASELINE = "baseline"
UNKNOWN = "unknown"
Number = float | None


@dataclass(frozen=True)
class Condensed(Result):
    """Means of a score within and between groups of models.

    Attributes
    ----------
    label, by : str
        The score, and what the models are grouped by.
    groups : tuple of str
        In order of appearance; "unknown" and then "baseline" are last.
    means, low, high : (n_groups, n_groups) tuples of float or None
        Mean over the block and its 95 % interval. The diagonal holds the pairs within a group,
        no model with itself. None where there is no such pair or no standard error.
    counts : (n_groups, n_groups) tuples of int
        Pairs in the block; ordered ones for a score that differs by direction.
    """

    label: str
    by: str
    groups: tuple[str, ...]
    means: tuple[tuple[Number, ...], ...]
    counts: tuple[tuple[int, ...], ...]
    low: tuple[tuple[Number, ...], ...]
    high: tuple[tuple[Number, ...], ...]


def condensed(
    scores: Scores, groups: Sequence[Any], *, baselines: Sequence[bool] | None = None, by: str
) -> Condensed:
    """Mean score within and between groups of models.

    The interval is over samples, for these models: all cells share their samples, so their
    errors are taken to move together, and the error of a block's mean is the mean of the errors
    in it. This is the largest it can be.

    Parameters
    ----------
    scores : Scores
        Of pairs.
    groups : sequence
        The group of each model. Models of an unknown group (None or "") stand together, but
        pairs among them are left out: they are not known to belong together.
    baselines : sequence of bool, optional
        Which models are baselines: a group of their own, whatever `groups` says.
    by : str
        What the groups are, for example "family".

    Returns
    -------
    Condensed

    Raises
    ------
    ValueError
        If there are not as many groups or baselines as models, or the score is not of pairs.

    Examples
    --------
    >>> from consilience import Scores
    >>> s = Scores("s", "s", "pair", {}, (0, 1), True, [[1, .5, .1], [.5, 1, .3], [.1, .3, 1]])
    >>> found = condensed(s, ["A", "A", "B"], by="family")
    >>> found.means
    ((0.5, 0.2), (0.2, None))
    """
    if scores.kind == "single":
        raise ValueError(f"{scores.label!r} is a score of single models, it has no blocks of pairs")
    check_names(scores, groups)
    baselines = [False] * len(groups) if baselines is None else list(baselines)
    if len(baselines) != len(groups):
        raise ValueError(f"`baselines` must have {len(groups)} entries, got {len(baselines)}")
    named = [
        _group(group, is_baseline) for group, is_baseline in zip(groups, baselines, strict=True)
    ]
    last = {UNKNOWN: 1, BASELINE: 2}
    order = sorted(dict.fromkeys(named), key=lambda group: last.get(group, 0))
    members = [np.array([group == name for group in named]) for name in order]
    blocks = [
        [
            _block(scores, a, b, name == other == UNKNOWN)
            for other, b in zip(order, members, strict=True)
        ]
        for name, a in zip(order, members, strict=True)
    ]

    def table(place: int) -> tuple[tuple[Any, ...], ...]:
        return tuple(tuple(block[place] for block in row) for row in blocks)

    return Condensed(scores.label, by, tuple(order), *(table(place) for place in range(4)))


def _group(group: Any, is_baseline: bool) -> str:
    if is_baseline:
        return BASELINE
    return str(group) if known(group) else UNKNOWN


def _block(
    scores: Scores, a: NDArray[np.bool_], b: NDArray[np.bool_], empty: bool
) -> tuple[Number, int, Number, Number]:
    cells = np.outer(a, b)
    np.fill_diagonal(cells, False)
    if scores.symmetric and np.array_equal(a, b):
        cells = np.triu(cells)
    count = 0 if empty else int(cells.sum())
    if count == 0:
        return None, 0, None, None
    mean = float(scores.values[cells].mean())
    if scores.std_error is None:
        return mean, count, None, None
    return mean, count, *clipped(mean, float(scores.std_error[cells].mean()), scores)
