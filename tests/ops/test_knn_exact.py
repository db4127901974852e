import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from consilience.backends.array import ArrayBackend
from engine import native


def dense(X, distance):
    X = X.astype(np.float64)
    D = reference.distances(X) if distance == "l2" else -(X @ X.T)
    np.fill_diagonal(D, np.inf)
    return D


@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("k", [1, 2, 40, 96])
def test_equals_a_stable_sort_of_all_distances(ops, sets, distance, k):
    for X in sets:
        D = dense(X, distance)
        graph = ops.knn_exact(X, k=k, distance=distance)
        expected = np.argsort(D, axis=1, kind="stable")[:, :k]
        assert_array_equal(graph.indices, expected)
        assert_allclose(graph.distances, np.take_along_axis(D, expected, axis=1), rtol=1e-12)


@pytest.mark.parametrize("rows", [(0, 1), (5, 50), (96, 97)])
def test_some_rows_are_the_same_as_all(ops, sets, rows):
    X, *_ = sets
    whole = ops.knn_exact(X, k=7, distance="l2")
    part = ops.knn_exact(X, k=7, distance="l2", rows=rows)
    assert_array_equal(part.indices, whole.indices[slice(*rows)])
    assert_array_equal(part.distances, whole.distances[slice(*rows)])


def test_many_ties_are_settled_by_index(ops, rng):
    X = rng.integers(0, 2, (97, 3)).astype(np.float32)
    expected = np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :30]
    assert_array_equal(ops.knn_exact(X, k=30, distance="l2").indices, expected)


def test_all_rows_but_one_equal(ops):
    X = np.zeros((97, 2), np.float32)
    X[50] = 1.0
    graph = ops.knn_exact(X, k=3, distance="l2")
    assert graph.indices[0].tolist() == [1, 2, 3]
    assert graph.indices[50].tolist() == [0, 1, 2]


def test_a_small_memory_works_in_stripes(sets):
    X, *_ = sets
    needed = _core.knn_exact_bytes(len(X), X.shape[1], 10, 5)
    small = native(max_memory=needed).knn_exact(X, k=5, distance="l2")
    assert_array_equal(small.indices, native().knn_exact(X, k=5, distance="l2").indices)


def test_too_small_a_memory_says_so(sets):
    with pytest.raises(MemoryError, match="max_memory"):
        native(max_memory=100).knn_exact(sets[0], k=5, distance="l2")


def test_the_certificate_counts_the_float64_distances(rng):
    X = rng.standard_normal((500, 8)).astype(np.float32)
    judged = native().knn_exact(X, k=10, distance="l2").judged
    assert 500 * 10 <= judged < 500 * 12


def test_offsets_cost_certainty_not_answers(rng):
    X = (rng.standard_normal((300, 8)) * 1e-3 + 1e3).astype(np.float32)
    X[150:] *= -1
    expected = np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :5]
    graph = native().knn_exact(X, k=5, distance="l2")
    assert_array_equal(graph.indices, expected)
    assert graph.judged > 300 * 20  # clusters far apart hide their inside from float32


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones((5, 2), np.int32), TypeError, "float32 or float64"),
        (np.ones((5, 2), np.float16), TypeError, "float32 or float64"),
        (np.ones(5), ValueError, "2-D"),
        (np.ones((0, 3)), ValueError, "empty"),
        (np.asfortranarray(np.ones((5, 2))), ValueError, "C-contiguous"),
        (np.ones((10, 2))[::2], ValueError, "C-contiguous"),
    ],
)
def test_the_kernel_converts_nothing(X, error, message):
    native()
    with pytest.raises(error, match=message):
        _core.knn_exact(X, k=1, distance="l2", row_start=0, row_stop=5, tile=8, n_threads=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k"),
        ({"k": 5}, "k"),
        ({"distance": "l1"}, "distance"),
        ({"row_stop": 6}, "rows"),
        ({"row_start": 3, "row_stop": 3}, "rows"),
        ({"tile": 0}, "tile"),
        ({"n_threads": 0}, "n_threads"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(change, message):
    native()
    arguments = {
        "k": 1, "distance": "l2", "row_start": 0, "row_stop": 5, "tile": 8, "n_threads": 1
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        _core.knn_exact(np.eye(5), **{**arguments, **change})


def test_the_reference_keeps_to_the_array_api(sets):
    xp = pytest.importorskip("array_api_strict")
    X, *_ = sets
    strict = ArrayBackend().knn_exact(xp.asarray(X), k=5, distance="l2")
    assert_array_equal(strict.indices, ArrayBackend().knn_exact(X, k=5, distance="l2").indices)
