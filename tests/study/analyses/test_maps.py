from __future__ import annotations

import builtins
import importlib.util

import numpy as np
import pytest

from consilience import neighbors
from consilience.study.analyses import model_map, sample_map
from consilience.terms import Graph

with_umap = pytest.mark.skipif(
    importlib.util.find_spec("umap") is None, reason="needs the extra umap"
)


def places(found):
    return np.array([(point.x, point.y) for point in found.points])


@pytest.fixture
def clusters(rng):
    centers = np.repeat(np.eye(3, 8) * 50, 40, axis=0)
    return centers + rng.standard_normal((120, 8))


@pytest.fixture
def without_umap(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "umap":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


@with_umap
def test_umap_keeps_clusters_apart_and_is_the_same_twice(clusters):
    found = sample_map(clusters, colors=["a"] * 40 + ["b"] * 40 + ["c"] * 40, colored_by="cluster")
    assert found.method == "UMAP (exact neighbours, n_neighbors=15, min_dist=0.1, seed=0)"
    assert found.explained is None
    place = places(found)
    centers = place.reshape(3, 40, 2).mean(axis=1)
    nearest = np.linalg.norm(place[:, None] - centers, axis=2).argmin(axis=1)
    assert (nearest == np.repeat(np.arange(3), 40)).all()
    np.testing.assert_array_equal(places(sample_map(clusters)), place)


@with_umap
def test_umap_takes_the_neighbours_it_is_given(clusters):
    graph = Graph(*neighbors(clusters, k=20))
    np.testing.assert_array_equal(
        places(sample_map(clusters, graph=graph)), places(sample_map(clusters))
    )
    shuffled = Graph(*neighbors(clusters[::-1].copy(), k=20))
    assert not np.array_equal(
        places(sample_map(clusters, graph=shuffled)), places(sample_map(clusters))
    )
    with pytest.raises(ValueError, match="must hold 14 neighbours of 120 samples, got 5"):
        sample_map(clusters, graph=Graph(*neighbors(clusters, k=5)))


def test_without_umap_it_is_pca_and_says_so(clusters, without_umap):
    found = sample_map(clusters, ids=[f"s{i}" for i in range(120)], name="MACE").to_json()
    assert found["method"] == "PCA (umap-learn is not installed)"
    assert (found["kind"], found["name"]) == ("samples", "MACE")
    assert found["points"][5]["id"] == "s5"
    centered = clusters - clusters.mean(axis=0)
    variances = np.linalg.eigvalsh(centered.T @ centered)[::-1]
    assert found["explained"] == pytest.approx(variances[:2].sum() / variances.sum())
    place = np.array([(point["x"], point["y"]) for point in found["points"]])
    np.testing.assert_allclose(place.T @ place, np.diag(variances[:2]), atol=1e-6)


def test_few_samples_are_drawn_by_pca():
    found = sample_map(np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]]))
    assert found.method.startswith("PCA (UMAP needs 10")
    d = np.linalg.norm(places(found)[:, None] - places(found), axis=2)
    np.testing.assert_allclose(d, [[0, 3, 4], [3, 0, 5], [4, 5, 0]], atol=1e-12)
    assert found.explained == pytest.approx(1.0)


def test_one_feature_is_a_line():
    found = sample_map(np.arange(5.0)[:, None])
    assert places(found)[:, 1].tolist() == [0.0] * 5


def test_points_in_a_plane_are_found_from_their_distances(rng):
    plane = rng.standard_normal((9, 2))
    d = np.linalg.norm(plane[:, None] - plane, axis=2)
    found = model_map(d, [f"m{a}" for a in range(9)], colors=range(9), colored_by="modality")
    drawn = places(found)
    np.testing.assert_allclose(np.linalg.norm(drawn[:, None] - drawn, axis=2), d, atol=1e-9)
    assert found.explained == pytest.approx(1.0)
    body = found.to_json()
    assert (body["kind"], body["colored_by"]) == ("models", "modality")
    assert body["method"].startswith("classical scaling")
    assert body["points"][3]["name"] == "m3"
    assert body["points"][3]["color"] == 3


def test_equidistant_models_need_more_than_a_plane():
    found = model_map(1.0 - np.eye(6), list("abcdef"))
    assert found.explained == pytest.approx(2 / 5)


def test_bad_input_is_named(clusters):
    with pytest.raises(ValueError, match="at least 3 samples"):
        sample_map(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="all rows are equal"):
        sample_map(np.ones((30, 4)))
    with pytest.raises(ValueError, match="`ids` must have 120 entries, got 1"):
        sample_map(clusters, ids=["a"])
    with pytest.raises(ValueError, match="at least 3 models, got 2"):
        model_map(np.zeros((2, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="all distances are 0"):
        model_map(np.zeros((3, 3)), ["a", "b", "c"])
    with pytest.raises(ValueError, match="`names` must have 3"):
        model_map(1.0 - np.eye(3), ["a"])
