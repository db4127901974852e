import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from consilience.backends import _screening
from consilience.backends.array import ArrayBackend
from emulated import emulated
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


@pytest.mark.parametrize("rows", [[0], range(5, 50), [96], [0, 3, 4, 40, 95, 96], range(97)])
@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_some_rows_are_the_same_as_all(ops, sets, rows, distance):
    rows = np.array(rows)
    for X in sets:
        whole = ops.knn_exact(X, k=7, distance=distance)
        part = ops.knn_exact(X, k=7, distance=distance, rows=rows)
        assert_array_equal(part.indices, whole.indices[rows])
        assert_array_equal(part.distances, whole.distances[rows])


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
    needed = _core.knn_exact_bytes(len(X), X.shape[1], 0, 10, 5)
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
        (np.ndarray((5, 2), np.float32, b"\1" * 41, 1), ValueError, "aligned"),
    ],
)
def test_the_kernel_converts_nothing(X, error, message):
    native()
    with pytest.raises(error, match=message):
        _core.knn_exact(X, k=1, distance="l2", rows=None, tile=8, n_threads=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k"),
        ({"k": 5}, "k"),
        ({"distance": "l1"}, "distance"),
        ({"rows": np.array([4, 5])}, "outside"),
        ({"rows": np.array([-1, 2])}, "outside"),
        ({"rows": np.array([2, 1])}, "ascending"),
        ({"rows": np.array([1, 1])}, "ascending"),
        ({"rows": np.array([], np.int64)}, "non-empty"),
        ({"rows": np.array([[1], [2]])}, "non-empty"),
        ({"tile": 0}, "tile"),
        ({"n_threads": 0}, "n_threads"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(change, message):
    native()
    arguments = {"k": 1, "distance": "l2", "rows": None, "tile": 8, "n_threads": 1}
    with pytest.raises(ValueError, match=message):
        _core.knn_exact(np.eye(5), **{**arguments, **change})


def test_the_reference_keeps_to_the_array_api(sets):
    xp = pytest.importorskip("array_api_strict")
    X, *_ = sets
    strict = ArrayBackend().knn_exact(xp.asarray(X), k=5, distance="l2")
    assert_array_equal(strict.indices, ArrayBackend().knn_exact(X, k=5, distance="l2").indices)


def some_axes(d, count, rng):
    return np.ascontiguousarray(np.linalg.qr(rng.standard_normal((d, count)))[0])


def searched(X, k, axes=None, *, distance="l2", tile=1, rows=None, n_threads=2, **options):
    native()
    return _core.knn_exact(
        X,
        k=k,
        distance=distance,
        rows=rows,
        tile=tile,
        axes=axes,
        n_threads=n_threads,
        **options,
    )


@pytest.fixture(params=[False, True], ids=["floats", "words"])
def words(request):
    return request.param


def split_basis(d, count, rng):
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return [np.ascontiguousarray(part) for part in np.split(basis, [count], axis=1)]


@pytest.mark.parametrize("n_axes", [1, 3, 8])
@pytest.mark.parametrize("k", [1, 12, 60])
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_axes_find_the_same_neighbors(n_axes, k, distance, dtype, words, rng):
    X = (rng.standard_normal((403, 16)) * np.arange(1, 17) ** -1.0 + 3.0).astype(dtype)
    X[200:240] = X[10]  # ties across leaves of the tree
    expected = np.argsort(dense(X, distance), axis=1, kind="stable")[:, :k]
    indices, distances, _ = searched(
        X, k, some_axes(16, n_axes, rng), distance=distance, words=words
    )
    assert_array_equal(indices, expected)
    assert_allclose(distances, np.take_along_axis(dense(X, distance), expected, axis=1), rtol=1e-12)


@pytest.mark.parametrize(("d", "n_axes"), [(16, 1), (16, 8), (33, 20), (50, 42)])
@pytest.mark.parametrize("k", [1, 12, 60])
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rest_of_the_axes_finds_the_same_neighbors(d, n_axes, k, distance, dtype, words, rng):
    X = (rng.standard_normal((403, d)) * np.arange(1, d + 1) ** -0.3 + 3.0).astype(dtype)
    X[200:240] = X[10]
    expected = np.argsort(dense(X, distance), axis=1, kind="stable")[:, :k]
    axes, rest_axes = split_basis(d, n_axes, rng)
    found, distances, _ = searched(X, k, axes, rest_axes=rest_axes, distance=distance, words=words)
    assert_array_equal(found, expected)
    rows = np.sort(rng.choice(403, 70, replace=False))
    part = searched(
        X, k, axes, rest_axes=rest_axes, distance=distance, rows=rows, tile=100, words=words
    )
    assert_array_equal(part[0], found[rows])
    assert_array_equal(part[1], distances[rows])


def test_the_rest_of_the_axes_is_asked_for_where_many_are_used(rng):
    axes = some_axes(64, 40, rng)
    both = np.hstack([axes, _screening.rest_axes(axes)])
    assert_allclose(both.T @ both, np.eye(64), atol=1e-12)
    assert _screening.rest_axes(some_axes(64, 8, rng)) is None
    assert _screening.rest_axes(some_axes(_screening.ALL_AXES_FEATURES + 1, 300, rng)) is None


def test_axes_and_some_rows_are_the_same_as_all(words, rng):
    X = rng.standard_normal((301, 10)).astype(np.float32)
    axes = some_axes(10, 4, rng)
    whole = searched(X, 9, axes, words=words)
    for rows in (np.arange(17, 230), np.sort(rng.choice(301, 90, replace=False)), np.array([300])):
        part = searched(X, 9, axes, rows=rows, words=words)
        assert_array_equal(part[0], whole[0][rows])
        assert_array_equal(part[1], whole[1][rows])


def test_axes_of_the_data_skip_whole_boxes_and_lose_nothing(words, rng):
    # Rows on a curve: nearly all boxes are far apart.
    t = np.sort(rng.random(2000))
    X = np.stack([np.cos(20 * t), np.sin(20 * t), 30 * t, *rng.standard_normal((5, 2000)) * 1e-3])
    X = np.ascontiguousarray(X.T.astype(np.float32))[rng.permutation(2000)]
    axes = np.ascontiguousarray(np.linalg.eigh(np.cov(X.T))[1][:, -3:])
    expected = np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :7]
    assert_array_equal(searched(X, 7, axes, words=words)[0], expected)


def test_threads_and_tiles_change_nothing_with_axes(words, rng):
    X = rng.standard_normal((700, 12))
    axes = some_axes(12, 5, rng)
    first = searched(X, 6, axes, tile=1, n_threads=1, words=words)
    for tile, n_threads in ((1, 3), (100, 2), (480, 1)):
        other = searched(X, 6, axes, tile=tile, n_threads=n_threads, words=words)
        assert_array_equal(other[0], first[0])
        assert_array_equal(other[1], first[1])


def test_a_threshold_guessed_too_near_is_found_out(rng):
    # One row in some thousands; its neighbours take as many float64 distances as there are samples.
    n, k = 2000, 128
    for _ in range(100):
        X = rng.standard_normal((n, 3))
        found, _, judged = searched(X, k, tile=480)
        if judged >= n * k + n - 2 * k:
            break
    else:
        pytest.fail("no guess was too near in 200,000 rows")
    assert_array_equal(found, np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :k])


@pytest.mark.parametrize("d", [1, 2, 7, 64, 257])
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_words_find_the_same_neighbors(d, distance, dtype, rng):
    X = (rng.standard_normal((211, d)) + 3.0).astype(dtype)
    X[100:120] = X[10]
    expected = np.argsort(dense(X, distance), axis=1, kind="stable")[:, :9]
    found, distances, _ = searched(X, 9, distance=distance, tile=100, words=True)
    assert_array_equal(found, expected)
    assert_array_equal(distances, searched(X, 9, distance=distance)[1])
    rows = np.sort(rng.choice(211, 50, replace=False))
    part = searched(X, 9, distance=distance, rows=rows, words=True)
    assert_array_equal(part[0], found[rows])


def of_any_size(rng):
    """Rows longer and shorter than each other by more than words can show."""
    return rng.standard_normal((150, 40)) * 10.0 ** rng.uniform(-30, 3, (150, 1))


def of_one_entry(rng):
    """The whole length of a row in one word, the largest there is."""
    return np.eye(40)[rng.integers(0, 40, 150)] * rng.choice([-1.0, 1.0, 0.999], (150, 1))


def full_of_one_value(rng):
    """Products as large as sums of 32 bits hold."""
    return np.sign(rng.standard_normal((150, 1))) * np.ones((150, 40)) + 1e-4 * rng.random((150, 1))


def around_two_points(rng):
    """Neighbours closer than a step of a word."""
    return rng.choice([-1.0, 1.0], (150, 1)) + 1e-6 * rng.standard_normal((150, 40))


@pytest.mark.parametrize("make", [of_any_size, of_one_entry, full_of_one_value, around_two_points])
@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_rows_that_words_show_badly(make, distance, rng):
    X = make(rng)
    expected = np.argsort(dense(X, distance), axis=1, kind="stable")[:, :5]
    found = searched(X, 5, distance=distance, words=True)[0]
    assert_array_equal(found, searched(X, 5, distance=distance)[0])
    keys = dense(X, distance)
    assert_allclose(
        np.take_along_axis(keys, found, axis=1),
        np.take_along_axis(keys, expected, axis=1),
        rtol=1e-12,
        atol=1e-300,
    )


def test_more_features_than_words_can_sum():
    wide = np.zeros((3, 65_537))
    with pytest.raises(ValueError, match="features"):
        searched(wide, 1, words=True)


def test_words_are_chosen_where_they_tell_rows_apart(rng):
    n = _screening.FEWEST_ROUNDED
    plain = rng.standard_normal((n, 32)).astype(np.float32)
    assert _screening.words_tell(plain, k=10, distance="l2")
    assert _screening.words_tell(plain, k=10, distance="ip")
    assert not _screening.words_tell(plain[: n - 1], k=10, distance="l2")
    assert not _screening.words_tell(np.ones((n, 32)), k=10, distance="l2")
    crowded = (plain[: n // 256].repeat(256, axis=0) + 1e-3 * plain).astype(np.float32)
    assert not _screening.words_tell(crowded, k=10, distance="l2")
    assert _screening.words_tell(crowded, k=400, distance="l2")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (np.ones((8, 2)), "orthonormal"),
        (np.eye(8)[:, :2] * (1 + 1e-6), "orthonormal"),
        (np.full((8, 1), np.nan), "orthonormal"),
        (np.eye(8)[:, :5], "half"),
        (np.eye(7)[:, :2], "n_features"),
    ],
)
def test_bad_axes_are_refused(axes, message, rng):
    with pytest.raises(ValueError, match=message):
        searched(rng.standard_normal((50, 8)), 3, np.ascontiguousarray(axes))


@pytest.mark.parametrize(
    ("rest_axes", "message"),
    [
        (np.eye(8)[:, :6], "orthonormal"),
        (np.eye(8)[:, 3:], "beside"),
        (np.eye(9)[:, 3:], "beside"),
    ],
)
def test_a_bad_rest_of_the_axes_is_refused(rest_axes, message, rng):
    X = rng.standard_normal((50, 8))
    with pytest.raises(ValueError, match=message):
        searched(X, 3, np.eye(8)[:, :2].copy(), rest_axes=np.ascontiguousarray(rest_axes))


def test_axes_are_chosen_where_they_pay(rng):
    n = _screening.FEWEST_SAMPLES
    decaying = (rng.standard_normal((n, 64)) * np.arange(1, 65) ** -1.5).astype(np.float32)
    axes = _screening.pruning_axes(decaying, k=10, distance="l2")
    assert axes.shape[0] == 64
    assert 1 <= axes.shape[1] <= 32  # steep: few are enough
    assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-12)
    # The leading axis of the data is the first coordinate.
    assert abs(axes[0, 0]) > 0.99
    flat = rng.standard_normal((n, 64)).astype(np.float32)
    assert _screening.pruning_axes(flat, k=10, distance="l2") is None
    # Where products cost half, more of them may be made for every pair that is not left.
    beside_words = _screening.pruning_axes(decaying, k=10, distance="l2", words=True)
    assert beside_words.shape[1] >= axes.shape[1]
    assert _screening.pruning_axes(decaying[: n - 1], k=10, distance="l2") is None
    assert _screening.pruning_axes(np.ones((n, 64)), k=10, distance="l2") is None


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_the_backend_prunes_and_loses_nothing(distance, rng):
    n = _screening.FEWEST_SAMPLES + 5
    X = (rng.standard_normal((n, 32)) * np.arange(1, 33) ** -1.5 + 0.1).astype(np.float32)
    X[5000:5040] = X[7]
    graph = native(n_threads=2).knn_exact(X, k=9, distance=distance)
    rows = np.concatenate([np.arange(5000, 5040), rng.choice(n, 60)])
    wide = X.astype(np.float64)
    for i in rows:
        key = ((wide - wide[i]) ** 2).sum(axis=1) if distance == "l2" else -(wide @ wide[i])
        key[i] = np.inf
        assert_array_equal(graph.indices[i], np.argsort(key, kind="stable")[:9])


def blobs(n, d, rng):
    return rng.standard_normal((10, d))[np.arange(n) * 10 // n] * 30 + rng.standard_normal((n, d))


@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.standard_normal((1499, 37)),
        lambda rng: blobs(1499, 9, rng),
        lambda rng: 1e4 + rng.standard_normal((1499, 5)),
        lambda rng: rng.integers(0, 3, (1499, 4)),
        lambda rng: np.repeat(rng.standard_normal((30, 6)), 50, axis=0),
    ],
    ids=["normal", "sorted clusters", "offset", "ties", "duplicates"],
)
def test_large_lists_are_exact_too(make, dtype, distance, rng):
    X = np.ascontiguousarray(make(rng), dtype)
    D = dense(X, distance)
    for k in (128, 400, len(X) - 1):
        graph = native().knn_exact(X, k=k, distance=distance)
        expected = np.argsort(D, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(D, np.asarray(graph.indices), axis=1)
        assert_allclose(graph.distances, found, rtol=1e-12, atol=1e-12)
        assert_allclose(found, np.take_along_axis(D, expected, axis=1), rtol=1e-12, atol=1e-12)
        order = np.lexsort((graph.indices, graph.distances), axis=1)
        assert (order == np.arange(k)).all()
        for more in (native(n_threads=3, tile=1), native(tile=96)):
            other = more.knn_exact(X, k=k, distance=distance)
            assert_array_equal(other.indices, graph.indices)
            assert_array_equal(other.distances, graph.distances)


# Tiles are 128 rows and 128 or 256 columns, bricks 128 rows and 64 features, groups 16 tiles.
@pytest.mark.parametrize("warpgroups", [True, False])
@pytest.mark.parametrize(("n", "d"), [(128, 64), (129, 65), (257, 130), (2100, 1)])
def test_tiles_of_a_gpu_meet_all_edges(n, d, warpgroups, rng):
    X = (rng.standard_normal((n, d)) + 1.0).astype(np.float32)
    X[n // 2] = X[3]
    ops = emulated(screened_from=64, warpgroups=warpgroups)
    graph = ops.knn_exact(X, k=6, distance="l2")
    assert_array_equal(graph.indices, np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :6])
    assert graph.judged < n * (n - 1) / 4  # the sweep found them
    rows = np.sort(rng.choice(n, n // 3, replace=False))
    part = ops.knn_exact(X, k=6, distance="l2", rows=rows)
    assert_array_equal(part.indices, graph.indices[rows])


@pytest.mark.parametrize("warpgroups", [True, False])
def test_lists_that_run_over_are_found_out(warpgroups, rng):
    # Half of the rows are one point: each of them is as near as any to half of the others.
    X = rng.standard_normal((700, 5))
    X[::2] = X[0]
    graph = emulated(screened_from=64, warpgroups=warpgroups).knn_exact(X, k=4, distance="l2")
    assert_array_equal(graph.indices, np.argsort(dense(X, "l2"), axis=1, kind="stable")[:, :4])
