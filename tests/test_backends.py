"""The choice of a backend, and the array backend on libraries other than NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience.backends import Channel, UnsupportedArraysError, select
from consilience.backends.array import ArrayBackend
from consilience.views import preprocess


class Elsewhere:
    """Stands for an array on an accelerator."""

    shape = (5, 2)


@pytest.fixture(params=["torch", "array_api_strict"])
def foreign(request):
    """Return a function that makes an array of another library."""
    library = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return lambda X: library.asarray(np.asarray(X))


def test_auto_takes_the_kernels_for_arrays_on_the_host():
    assert select("auto", [np.ones((3, 2))]).name == "native"


def test_auto_stays_where_the_data_are():
    assert select("auto", [Elsewhere(), Elsewhere()]).name == "array"


def test_a_backend_asked_for_by_name_does_not_fall_back():
    with pytest.raises(UnsupportedArraysError, match=r"host memory.*Elsewhere"):
        select("native", [Elsewhere()])


def test_a_backend_of_ones_own_is_taken_as_it_is():
    mine = ArrayBackend(entries=7)
    assert select(mine, [np.ones((3, 2))]) is mine


def test_every_op_runs_on_other_libraries(foreign, rng):
    X, Y = rng.standard_normal((41, 6)), rng.standard_normal((41, 3)).astype(np.float32)
    ours, (fx, fy) = ArrayBackend(), (foreign(X), foreign(Y))
    for distance in ("l2", "ip"):
        expected = ours.knn_exact(X, k=4, distance=distance)
        found = ours.knn_exact(fx, k=4, distance=distance)
        assert_array_equal(found.indices, expected.indices)
        assert_allclose(found.distances, expected.distances, rtol=1e-12)
    graph = ours.knn_exact(X, k=4, distance="l2")
    (found,), (expected,) = (ours.moments(sets, [(0, 1)]) for sets in ([fx, fy], [X, Y]))
    assert_allclose(found.matrix, expected.matrix, rtol=1e-9, atol=1e-9)
    assert_allclose(
        ours.edge_values(fx, graph, centered=True), ours.edge_values(X, graph, centered=True)
    )
    ranks, expected = (ours.rank_counts(Z, [graph], [1, 4], sample=np.arange(9)) for Z in (fy, Y))
    assert_array_equal(ranks.sums, expected.sums)
    assert_array_equal(ranks.columns, expected.columns)
    assert_allclose(ours.joint_nearest([fx, fy], [(0, 1)]), ours.joint_nearest([X, Y], [(0, 1)]))
    channels = [("distance", 0.0), ("squared", 0.0), ("rbf", 0.1)]
    expected = ours.pair_terms([Channel(X, f, g) for f, g in channels])
    found = ours.pair_terms([Channel(fx, f, g) for f, g in channels])
    assert_allclose(found.products, expected.products, rtol=1e-9)
    i, j = np.array([0, 3, 7]), np.array([1, 2, 40])
    assert_allclose(ours.pair_distances(fx, i, j), ours.pair_distances(X, i, j))


@pytest.mark.parametrize("normalize", ["none", "l2", "max", "zscore"])
def test_tensors_are_prepared_like_arrays(normalize, rng):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    X = rng.standard_normal((30, 4)).astype(np.float32)
    tensor = torch.tensor(X, requires_grad=True)
    assert_allclose(preprocess(tensor, normalize=normalize), preprocess(X, normalize=normalize))


@pytest.mark.parametrize("backend", ["native", "array"])
def test_a_comparison_agrees_between_backends(backend, rng):
    Z = rng.standard_normal((70, 3))
    models = {f"m{d}": np.tanh(Z @ rng.standard_normal((3, d))) for d in (4, 9)}
    metrics = ["cknna", "cka", ("cka", {"kernel": "rbf"}), "distance_correlation", "rsa",
               ("information_imbalance", {"k": 3}), "id_correlation", "twonn", "svcca"]  # fmt: skip
    expected = cs.compare(models, metrics, backend="native", n_threads=1)
    found = cs.compare(models, metrics, backend=backend)
    for label in expected.metrics:
        assert_allclose(found[label], expected[label], rtol=1e-9, atol=1e-12)
        for name in ("null_mean", "null_std", "std_error"):
            ours, theirs = (getattr(m.scores[label], name) for m in (found, expected))
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert_allclose(ours, theirs, rtol=1e-7, atol=1e-12)
