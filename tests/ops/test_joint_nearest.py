import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from engine import native

PAIRS = [(0, 1), (1, 2), (0, 0), (2, 0)]


def two_nearest(X, Y):
    squares = reference.distances(X) ** 2 + reference.distances(Y) ** 2
    np.fill_diagonal(squares, np.inf)
    return np.sqrt(np.sort(squares, axis=1)[:, :2])


def test_equals_the_two_nearest_of_the_sets_side_by_side(ops, sets):
    found = ops.joint_nearest(sets, PAIRS)
    for p, (a, b) in enumerate(PAIRS):
        assert_allclose(found[p], two_nearest(sets[a], sets[b]), rtol=1e-12)


def test_duplicates_in_both_sets_are_at_distance_zero(ops, sets):
    nearest = ops.joint_nearest(sets[:2], [(0, 1)])[0]
    assert nearest[10, 0] == nearest[80, 0] == 0.0
    assert (nearest[:, 1] > 0.0).all()


def test_sets_of_very_different_scale(ops, rng):
    X, Y = rng.standard_normal((97, 3)), 1e-6 * rng.standard_normal((97, 2))
    assert_allclose(ops.joint_nearest([X, Y], [(0, 1)])[0], two_nearest(X, Y), rtol=1e-12)


# Around the rows (4, 8) and panels (8, 24, 48) of the micro-kernels.
@pytest.mark.parametrize("n_rows", [1, 7, 48, 49, 97])
def test_some_rows_have_the_neighbours_they_have_among_all(ops, sets, rng, n_rows):
    rows = np.sort(rng.permutation(97)[:n_rows])
    assert_array_equal(
        ops.joint_nearest(sets, PAIRS, rows=rows), ops.joint_nearest(sets, PAIRS)[:, rows]
    )


@pytest.mark.parametrize("words", [False, True])
def test_some_rows_of_words_and_of_floats(rng, words):
    sets = [rng.standard_normal((260, d)) + 5.0 for d in (1, 40, 7)]
    sets[1][100:] = sets[1][0]
    native()
    rows = np.array([0, 3, 99, 100, 250, 259])
    found, whole = (
        _core.joint_nearest(sets, pairs=PAIRS, rows=some, tile=100, words=words, n_threads=2)
        for some in (rows, None)
    )
    assert_array_equal(found, whole[:, rows])


def in_stripes(sets, pairs, rows):
    """The answer of the GPU's kernels on a CPU, in stripes of so many rows."""
    from consilience.backends.cuda import joint_nearest
    from emulated import emulated

    fixed, per_row = joint_nearest.needed_bytes(sets, joint_nearest.plan_of(pairs))
    return emulated(max_memory=fixed + rows * per_row).joint_nearest(sets, pairs)


# Around the rows (4, 8), panels (8, 24, 48) and tiles of the micro-kernels.
@pytest.mark.parametrize("n_samples", [3, 4, 8, 9, 23, 25, 47, 48, 49, 96, 97, 250])
def test_the_edges_of_blocks(rng, n_samples):
    sets = [rng.standard_normal((n_samples, d)).astype(np.float32) for d in (1, 40)]
    for tile in (1, 100, 480):
        found = native(tile=tile).joint_nearest(sets, [(0, 1), (1, 1), (0, 0)])
        for p, (a, b) in enumerate([(0, 1), (1, 1), (0, 0)]):
            assert_allclose(found[p], two_nearest(sets[a], sets[b]), rtol=1e-12)


@pytest.mark.parametrize("n_samples", [3, 8, 47, 49, 250])
def test_words_find_the_same(rng, n_samples):
    sets = [rng.standard_normal((n_samples, d)) + 5.0 for d in (1, 40, 7)]
    sets[1][n_samples // 2 + 1 :] = sets[1][0]  # what one set does not tell apart
    sets[2] *= 1e-3
    native()
    pairs = [(0, 1), (1, 2), (2, 2)]
    for tile in (1, 100):
        found, expected = (
            _core.joint_nearest(sets, pairs=pairs, tile=tile, words=words, n_threads=2)
            for words in (True, False)
        )
        assert_array_equal(found, expected)
        assert_allclose(found[0], two_nearest(sets[0], sets[1]), rtol=1e-12)


@pytest.mark.parametrize("n_samples", [3, 31, 33, 65])
def test_the_edges_of_stripes(rng, n_samples):
    sets = [rng.standard_normal((n_samples, d)).astype(np.float32) for d in (1, 40)]
    pairs = [(0, 1), (1, 1), (0, 0)]
    found = in_stripes(sets, pairs, rows=n_samples // 2)
    for p, (a, b) in enumerate(pairs):
        assert_allclose(found[p], two_nearest(sets[a], sets[b]), rtol=1e-12)


def test_more_samples_and_pairs_than_a_block_looks_at_together(rng):
    sets = [rng.standard_normal((259, 2 + s)) for s in range(11)]
    pairs = [(10, 0), (3, 4), (9, 10), (8, 8), (4, 3), (2, 7), (10, 0), (5, 10), (0, 1), (6, 6)]
    found = in_stripes([X[:40] for X in sets], pairs, rows=40)
    for p, (a, b) in enumerate(pairs):
        assert_allclose(found[p], two_nearest(sets[a][:40], sets[b][:40]), rtol=1e-12)
    few = in_stripes(sets, pairs[:1], rows=259)[0]
    assert_allclose(few, two_nearest(sets[10], sets[0]), rtol=1e-12)


def test_a_pair_may_stand_in_either_order_and_more_than_once(ops, rng):
    sets = [rng.standard_normal((60, d)) for d in (3, 5)]
    found = ops.joint_nearest(sets, [(0, 1), (1, 0), (0, 1)])
    assert_array_equal(found[0], found[2])
    assert_allclose(found[0], found[1], rtol=1e-15)


def test_same_bits_for_any_number_of_threads(rng):
    sets = [(rng.standard_normal((1100, d)) + 1e4).astype(np.float32) for d in (6, 20, 33)]
    sets[1][::7] = sets[1][0]  # many near pairs in one set, none in the joint spaces
    expected = native(n_threads=1).joint_nearest(sets, PAIRS)
    assert_allclose(expected[1], two_nearest(sets[1], sets[2]), rtol=1e-12)
    for n_threads in (2, 3, 5):
        assert_array_equal(native(n_threads=n_threads).joint_nearest(sets, PAIRS), expected)


def test_rows_that_are_all_near_each_other_but_for_one_set(ops, rng):
    # Every row ties with every other within the bound of one set: the other decides.
    X = np.ones((90, 8)) + 1e-7 * rng.standard_normal((90, 8))
    X[0] += 1e3
    Y = rng.standard_normal((90, 3))
    assert_allclose(ops.joint_nearest([X, Y], [(0, 1)])[0], two_nearest(X, Y), rtol=1e-12)


def test_a_small_memory_takes_a_few_pairs_at_a_time(sets):
    needed = _core.joint_nearest_bytes(97, 97, sum(X.shape[1] for X in sets), 11, 3, 1, 1)
    small = native(n_threads=1, max_memory=needed)
    assert_array_equal(small.joint_nearest(sets, PAIRS), native().joint_nearest(sets, PAIRS))


def test_too_small_a_memory_says_so(sets):
    with pytest.raises(MemoryError, match="joint_nearest needs"):
        native(max_memory=1000).joint_nearest(sets, PAIRS)


def test_too_small_a_memory_of_a_gpu_says_so(sets):
    from emulated import emulated

    with pytest.raises(MemoryError, match="joint_nearest needs"):
        emulated(max_memory=1000).joint_nearest(sets, PAIRS)


@pytest.mark.parametrize(
    ("sets", "pairs", "message"),
    [
        ([np.eye(4)], [(0, 1)], "names no set"),
        ([np.eye(4)], [], "no pairs"),
        ([np.eye(4), np.eye(5)], [(0, 1)], "n_samples differ"),
        ([np.eye(2)], [(0, 0)], "at least 3"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(sets, pairs, message):
    native()
    with pytest.raises(ValueError, match=message):
        _core.joint_nearest(sets, pairs=pairs, tile=8, n_threads=1)


@pytest.mark.parametrize(
    ("rows", "message"), [([3, 1], "ascending"), ([97], "outside"), ([], "non-empty")]
)
def test_the_kernel_rejects_bad_rows(sets, rows, message):
    native()
    rows = np.array(rows, dtype=np.int64)
    with pytest.raises(ValueError, match=message):
        _core.joint_nearest(sets, pairs=[(0, 1)], rows=rows, tile=8, n_threads=1)
