"""The evolutionary tree of models: who is related to whom, by what they agree with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience.study.analyses._json import Result
from consilience.study.analyses._layout import unrooted_layout
from consilience.study.analyses._neighbor_joining import Edge, neighbor_joining, newick
from consilience.study.analyses._pairs import check_names
from consilience.study.score_matrix import Scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TreeNode(Result):
    """A node and where to draw it; inner nodes have no name."""

    id: int
    name: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Tree(Result):
    """An unrooted tree of models.

    Attributes
    ----------
    label : str
    newick : str
    names : tuple of str
    nodes : tuple of TreeNode
        The models first, in order, then the inner nodes.
    edges : tuple of Edge
    distances : (n_models, n_models) tuples of float
        Jensen-Shannon distances of the models' profiles, in [0, 1].
    n_negative : int
        Scores below 0, which count as no agreement in a profile.
    """

    label: str
    newick: str
    names: tuple[str, ...]
    nodes: tuple[TreeNode, ...]
    edges: tuple[Edge, ...]
    distances: tuple[tuple[float, ...], ...]
    n_negative: int = 0


def tree(scores: Scores, names: Sequence[str]) -> Tree:
    """Neighbour joining of the models' profiles of agreement.

    Two models are close if they agree with the same models to the same degree: see
    `profile_distances`. The tree is that of `neighbor_joining`, laid out by equal daylight.

    Parameters
    ----------
    scores : Scores
        Of pairs.
    names : sequence of str

    Returns
    -------
    Tree

    Raises
    ------
    ValueError
        If the score is of single models, there are fewer than three, a model agrees with
        none, not even itself, or all profiles are the same.

    References
    ----------
    [edamadaka2025]_, [saitou1987]_, [lin1991]_, [endres2003]_
    """
    if scores.kind == "single":
        raise ValueError(f"{scores.label!r} is a score of single models; a tree needs pairs")
    check_names(scores, names)
    if len(names) < 3:
        raise ValueError(f"{scores.label}: a tree needs at least 3 models, got {len(names)}")
    names = tuple(names)
    empty = np.flatnonzero((scores.values <= 0).all(axis=1) | (scores.values <= 0).all(axis=0))
    if len(empty):
        raise ValueError(
            f"{scores.label}: {names[empty[0]]!r} has no score above 0, so it has no profile"
        )
    distances = profile_distances(np.maximum(scores.values, 0.0))
    if not distances.any():
        raise ValueError(f"{scores.label}: all models have one profile, there is no tree")
    edges = neighbor_joining(distances)
    place = unrooted_layout(edges, len(names))
    inner = [None] * (len(place) - len(names))
    nodes = tuple(
        TreeNode(number, name, float(x), float(y))
        for number, (name, (x, y)) in enumerate(zip([*names, *inner], place, strict=True))
    )
    return Tree(
        label=scores.label,
        newick=newick(edges, names),
        names=names,
        nodes=nodes,
        edges=edges,
        distances=tuple(tuple(row) for row in distances.tolist()),
        n_negative=int(np.sum(scores.values < 0)),
    )


def profile_distances(values: ArrayLike) -> Floats:
    r"""Jensen-Shannon distances between the rows and between the columns, averaged.

    With :math:`P_a = s_{a\cdot} / \sum_c s_{ac}` the profile of a model, itself included,

    .. math:: d(P, Q) = \sqrt{\tfrac12 D(P \Vert M) + \tfrac12 D(Q \Vert M)},\quad
       M = \tfrac12 (P + Q)

    with D the Kullback-Leibler divergence in bits, so that d is a metric in [0, 1] ([lin1991]_,
    [endres2003]_); likewise for columns, and the result is the mean of the two. For a symmetric
    score they are the same. Models that agree equally with everyone are at distance 0.

    Parameters
    ----------
    values : array of shape (n, n)
        Not negative; each row and column has a sum above 0.

    Returns
    -------
    (n, n), symmetric, zero diagonal

    Raises
    ------
    ValueError
        If a value is negative or a row or column sums to 0.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ValueError(f"`values` must be square, got shape {values.shape}")
    if not np.isfinite(values).all() or bool(np.any(values < 0)):
        raise ValueError("`values` must be finite and not negative to be read as a profile")
    if bool(np.any(values.sum(axis=0) == 0)) or bool(np.any(values.sum(axis=1) == 0)):
        raise ValueError("a row or column of `values` is all 0, so it is no profile")
    return 0.5 * (_jensen_shannon(values) + _jensen_shannon(values.T))


def _jensen_shannon(rows: Floats) -> Floats:
    p = rows / rows.sum(axis=1, keepdims=True)
    entropy = _bits(p).sum(axis=1)
    middle = _bits(0.5 * (p[:, None, :] + p[None, :, :])).sum(axis=2)
    divergence = np.maximum(middle - 0.5 * (entropy[:, None] + entropy[None, :]), 0.0)
    # Rounding of entropies of a few bits: the root would make 1e-8 of it.
    divergence[divergence < 1e-14] = 0.0
    np.fill_diagonal(divergence, 0.0)
    return np.asarray(np.sqrt(divergence))


def _bits(p: Floats) -> Floats:
    return -p * np.log2(p, out=np.zeros_like(p), where=p > 0)
