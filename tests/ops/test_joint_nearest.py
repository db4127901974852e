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


def test_a_small_memory_takes_a_few_pairs_at_a_time(sets):
    needed = _core.joint_nearest_bytes(97, sum(X.shape[1] for X in sets), 3, 1, 256, 1)
    small = native(n_threads=1, max_memory=needed)
    assert_array_equal(small.joint_nearest(sets, PAIRS), native().joint_nearest(sets, PAIRS))


def test_too_small_a_memory_says_so(sets):
    with pytest.raises(MemoryError, match="joint_nearest needs"):
        native(max_memory=1000).joint_nearest(sets, PAIRS)


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
