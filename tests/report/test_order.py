import numpy as np
import pytest

from consilience.report.order import cluster, dissimilarity
from consilience.study.score_matrix import Scores


def pair(values, **changes):
    given = {"kind": "pair", "bounds": (-1.0, 1.0), "symmetric": True} | changes
    return Scores("m", "m", settings={}, values=values, **given)


def test_like_stands_beside_like():
    group = np.array([0, 1, 0, 1, 0, 1])
    values = np.where(group[:, None] == group[None, :], 0.9, 0.1)
    np.fill_diagonal(values, 1.0)
    order = cluster(pair(values)).order
    assert sorted(order) == list(range(6))
    assert group[order].tolist() in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


def test_the_stranger_stands_last():
    values = np.full((4, 4), 0.8)
    values[0, :] = values[:, 0] = 0.0
    np.fill_diagonal(values, 1.0)
    assert cluster(pair(values)).order[-1] == 0


def test_the_tree_stands_on_its_leaves_and_tops_at_the_last_merge():
    values = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.4], [0.2, 0.4, 1.0]])
    tree = cluster(pair(values)).tree
    feet = sorted(x for xs, ys in tree for x, y in zip(xs, ys, strict=True) if y == 0.0)
    assert feet == pytest.approx([0.0, 1.0, 2.0])
    heights = sorted(max(ys) for _, ys in tree)
    assert heights == pytest.approx([0.1, (0.8 + 0.6) / 2])


@pytest.mark.parametrize("n_models", [1, 2])
def test_a_few_models_keep_their_order(n_models):
    clustering = cluster(pair(np.eye(n_models)))
    assert clustering.order == list(range(n_models))
    assert clustering.tree == []


def test_distance_is_one_minus_the_score():
    values = np.array([[1.0, 0.75], [0.75, 1.0]])
    assert dissimilarity(pair(values)).tolist() == [[0.0, 0.25], [0.25, 0.0]]


def test_directions_are_averaged_and_low_is_close():
    values = np.array([[0.1, 0.2], [0.6, 0.1]])
    scores = pair(values, kind="directed", bounds=(0.0, 2.0), symmetric=False)
    assert dissimilarity(scores) == pytest.approx(np.array([[0.0, 0.4], [0.4, 0.0]]))


def test_an_unbounded_similarity_counts_from_its_largest_entry():
    values = np.array([[9.0, 4.0], [4.0, 9.0]])
    distances = dissimilarity(pair(values, bounds=(0.0, np.inf)))
    assert distances.tolist() == [[0.0, 5.0], [5.0, 0.0]]
