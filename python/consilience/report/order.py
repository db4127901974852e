"""The order of models in a heat map: like beside like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consilience.report.parts import lower_is_closer, off_diagonal
from consilience.study.score_matrix import Array, Scores


@dataclass(frozen=True)
class Clustering:
    """Leaves from left to right, and the U-shaped links of the tree.

    `tree` holds one (x, height) polyline of four points per link; leaf number p stands at
    x = p, and a height is a distance.
    """

    order: list[int]
    tree: list[tuple[list[float], list[float]]]


def cluster(scores: Scores) -> Clustering:
    """Order the models by average linkage with optimal leaf ordering."""
    from scipy.cluster.hierarchy import dendrogram, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(scores.values) < 3:
        return Clustering(list(range(len(scores.values))), [])
    distances = squareform(dissimilarity(scores), checks=False)
    links = optimal_leaf_ordering(linkage(distances, "average"), distances)
    drawn = dendrogram(links, no_plot=True)
    # scipy puts leaf p at 10 p + 5
    tree = [
        ([(x - 5.0) / 10.0 for x in xs], [float(y) for y in ys])
        for xs, ys in zip(drawn["icoord"], drawn["dcoord"], strict=True)
    ]
    order = [int(leaf) for leaf in drawn["leaves"] or ()]
    return _closest_first(Clustering(order, tree), dissimilarity(scores).sum(axis=1))


def _closest_first(clustering: Clustering, remoteness: Array) -> Clustering:
    """Turn the tree around if its last leaf is closer to all others than its first."""
    order = clustering.order
    if remoteness[order[0]] <= remoteness[order[-1]]:
        return clustering
    last = len(order) - 1
    tree = [([last - x for x in xs], ys) for xs, ys in clustering.tree]
    return Clustering(order[::-1], tree)


def dissimilarity(scores: Scores) -> Array:
    """Return a symmetric distance with a zero diagonal: 1 - score where 1 means equal.

    An unbounded similarity counts from its largest entry; a score for which lower is closer
    is taken as it is, and the two directions are averaged.
    """
    values = (scores.values + scores.values.T) / 2.0
    if lower_is_closer(scores):
        distances = values - min(0.0, float(off_diagonal(values).min()))
    else:
        best = scores.bounds[1] if np.isfinite(scores.bounds[1]) else float(values.max())
        distances = np.maximum(best - values, 0.0)
    distances = distances.copy()
    np.fill_diagonal(distances, 0.0)
    return distances
