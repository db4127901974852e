import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience import _core
from consilience.backends.base import SHIFT_ROWS
from consilience.terms import Moments
from engine import native

ALL = [(0, 0), (0, 1), (1, 1)]


def augmented(X, shift):
    U = X.astype(np.float64) - shift
    return np.column_stack([U, (U * U).sum(axis=1), np.ones(len(U))])


def test_equal_the_products_of_the_augmented_sets(ops, sets):
    pairs = [(0, 1), (2, 0), (1, 1), (0, 0), (1, 0)]
    found = list(ops.moments(sets, pairs))
    for (a, b), one in zip(pairs, found, strict=True):
        expected = augmented(sets[a], one.shift_x).T @ augmented(sets[b], one.shift_y)
        assert_allclose(one.matrix, expected, rtol=1e-12, atol=1e-11)
        assert_allclose(
            one.shift_x, sets[a].astype(np.float64).mean(axis=0), rtol=1e-13, atol=1e-15
        )
        assert one.n_samples == 97


def test_blocks_of_rows_about_the_same_shifts_add_up(ops, sets):
    shifts = [np.linspace(-1.0, 1.0, X.shape[1]) for X in sets]
    (whole,) = ops.moments(sets, [(0, 1)], shifts=shifts)
    first, second = (
        next(iter(ops.moments([X[rows] for X in sets], [(0, 1)], shifts=shifts)))
        for rows in (slice(0, 40), slice(40, None))
    )
    expected = augmented(sets[0], shifts[0]).T @ augmented(sets[1], shifts[1])
    assert_allclose(whole.matrix, expected, rtol=1e-12, atol=1e-11)
    assert_allclose((first + second).matrix, expected, rtol=1e-12, atol=1e-11)
    assert_array_equal(first.shift_x, shifts[0])


@pytest.mark.parametrize(
    ("n_samples", "n_features"),
    [(1, (1, 1)), (2, (3, 9)), (7, (6, 14)), (511, (22, 30)), (513, (129, 191)), (1025, (5, 390))],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hold_at_the_edges_of_groups_and_blocks(n_samples, n_features, dtype, rng):
    sets = [(rng.standard_normal((n_samples, d)) + 3.0).astype(dtype) for d in n_features]
    shifts = [rng.standard_normal(d) for d in n_features]
    native()
    for n_threads in (1, 2):
        found = _core.moments(sets, pairs=ALL, shifts=shifts, n_threads=n_threads)
        for (a, b), matrix in zip(ALL, found, strict=True):
            left, right = augmented(sets[a], shifts[a]), augmented(sets[b], shifts[b])
            bound = 5e-14 * np.outer(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=0))
            assert (np.abs(matrix - left.T @ right) <= bound).all()


def test_are_float64_grade_under_offsets_and_scales(rng):
    X = (rng.standard_normal((4000, 9)) * 10.0 ** np.arange(-4, 5) + 1e4).astype(np.float32)
    Y = (X[:, :5] / 3 - 1e4).astype(np.float32)
    for (a, b), one in zip(ALL, native().moments([X, Y], ALL), strict=True):
        U, V = ((X, Y)[m].astype(np.longdouble) for m in (a, b))
        U, V = U - U.mean(axis=0), V - V.mean(axis=0)
        bound = np.outer(np.linalg.norm(U, axis=0), np.linalg.norm(V, axis=0))
        # Column 0 holds but few values, and no column loses digits to another's size.
        assert (np.abs(one.centered().xy - U.T @ V) <= 1e-13 * bound).all()
        squares = (U * U).sum(axis=1), (V * V).sum(axis=1)
        assert one.centered().norms_xy == pytest.approx(float(squares[0] @ squares[1]), rel=1e-12)


@pytest.mark.parametrize("order", ["mixed", "sorted"])
def test_are_float64_grade_about_the_mean_of_a_sample_of_rows(order, rng):
    n = 3 * SHIFT_ROWS
    # Two far clusters, a column of one far entry, a constant one, all about 1e4.
    X = rng.standard_normal((n, 6))
    X[:, 1] += 1e3 * (np.arange(n) < n // 3)
    X[:, 2] = 0.0
    X[n // 2, 2] = 1e6
    X[:, 3] = 7.7
    X = (X if order == "sorted" else X[rng.permutation(n)]).astype(np.float32) + np.float32(1e4)
    Y = X[:, :2].astype(np.float64) ** 2
    for (a, b), one in zip(ALL, native().moments([X, Y], ALL), strict=True):
        U, V = ((X, Y)[m].astype(np.longdouble) for m in (a, b))
        U, V = U - U.mean(axis=0), V - V.mean(axis=0)
        found = one.centered()
        bound = np.outer(np.linalg.norm(U, axis=0), np.linalg.norm(V, axis=0))
        assert (np.abs(found.xy - U.T @ V) <= 1e-13 * bound).all()
        squares = (U * U).sum(axis=1), (V * V).sum(axis=1)
        for value, exact in (
            (found.norms_x, squares[0].sum()),
            (found.norms_y, squares[1].sum()),
            (found.norms_xy, squares[0] @ squares[1]),
        ):
            assert value == pytest.approx(float(exact), rel=1e-12)


def test_of_a_set_with_itself_are_exactly_symmetric(ops, sets):
    for one in ops.moments(sets, [(0, 0), (1, 1)]):
        assert_array_equal(one.matrix, one.matrix.T)
        assert_array_equal(one.centered().xy, one.centered().xy.T)


def test_the_other_way_round_they_are_the_transpose(rng):
    sets = rng.standard_normal((600, 19)), rng.standard_normal((600, 40)).astype(np.float32)
    forward, back = (one.matrix for one in native().moments(sets, [(0, 1), (1, 0)]))
    assert_array_equal(forward, back.T)


def test_a_pair_does_not_depend_on_the_others_asked_for(rng):
    sets = [rng.standard_normal((700, d)) for d in (5, 17, 33, 8, 1)]
    pairs = [(a, b) for a in range(5) for b in range(5)]
    for pair, one in zip(pairs, native().moments(sets, pairs), strict=True):
        (alone,) = native().moments([sets[m] for m in pair], [(0, 1)])
        assert_array_equal(one.matrix, alone.matrix)


def test_batches_of_pairs_keep_to_the_memory(rng):
    sets = [rng.standard_normal((300, 30)) for _ in range(6)]
    pairs = [(a, b) for a in range(6) for b in range(a, 6)]
    least = _core.moments_bytes(300, 60, 2) + 8 * 32 * 32
    expected = list(native().moments(sets, pairs))
    found = list(native(max_memory=least).moments(sets, pairs))
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one.matrix, other.matrix)
    with pytest.raises(MemoryError, match="moments needs"):
        list(native(max_memory=least - 1).moments(sets, pairs))


def test_centering_is_exact_about_any_shift(sets):
    X, Y, _ = sets
    shift_x, shift_y = X[3].astype(np.float64), Y[5].astype(np.float64) + 2.0
    matrix = augmented(X, shift_x).T @ augmented(Y, shift_y)
    found = Moments(matrix, shift_x, shift_y).centered()
    A, B = X - X.mean(axis=0), Y.astype(np.float64) - Y.astype(np.float64).mean(axis=0)
    norms_a, norms_b = (A * A).sum(axis=1), (B * B).sum(axis=1)
    assert_allclose(found.xy, A.T @ B, rtol=1e-9, atol=1e-10)
    assert_allclose(found.norms_x, norms_a.sum(), rtol=1e-12)
    assert_allclose(found.norms_y, norms_b.sum(), rtol=1e-12)
    assert_allclose(found.norms_xy, norms_a @ norms_b, rtol=1e-10)
    back = found.transposed()
    assert_array_equal(back.xy, found.xy.T)
    assert (back.norms_x, back.norms_y) == (found.norms_y, found.norms_x)


def test_blocks_of_rows_add_up(sets):
    X, Y, _ = sets
    X, Y = X[:, :3].copy(), Y.astype(np.float64)
    native()
    run = {"pairs": [(0, 1)], "shifts": [np.ones(3), np.zeros(11)], "n_threads": 1}
    parts = [
        Moments(_core.moments([X[rows], Y[rows]], **run)[0], np.ones(3), np.zeros(11))
        for rows in (slice(0, 40), slice(40, 97))
    ]
    (whole,) = _core.moments([X, Y], **run)
    assert_allclose((parts[0] + parts[1]).matrix, whole, rtol=1e-12, atol=1e-12)


def test_blocks_about_different_shifts_do_not_add_up():
    one = Moments(np.zeros((3, 3)), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="same shifts"):
        one + Moments(np.zeros((3, 3)), np.ones(1), np.zeros(1))


def test_same_bits_for_any_number_of_threads(rng):
    sets = rng.standard_normal((3000, 150)), rng.standard_normal((3000, 270))
    expected = [one.matrix for one in native(n_threads=1).moments(sets, ALL)]
    for n_threads in (2, 3, 8):
        found = native(n_threads=n_threads).moments(sets, ALL)
        for one, matrix in zip(found, expected, strict=True):
            assert_array_equal(one.matrix, matrix)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [1, 3, 1023, 2050])
def test_column_means_are_float64_and_exact_for_constant_columns(n_samples, dtype, rng):
    X = (rng.standard_normal((n_samples, 13)) + 1e4).astype(dtype)
    X[:, 4] = 0.1
    found = _core.column_means(X, n_threads=2)
    assert_allclose(found, X.astype(np.longdouble).mean(axis=0).astype(np.float64), rtol=1e-15)
    assert found[4] == X[0, 4]
    assert_array_equal(found, _core.column_means(X, n_threads=1))


def test_the_kernel_rejects_bad_arguments():
    native()
    X, zeros = np.ones((4, 2)), np.zeros(2)
    run = {"pairs": [(0, 1)], "shifts": [zeros, zeros], "n_threads": 1}
    with pytest.raises(ValueError, match="n_samples differ"):
        _core.moments([X, np.ones((5, 2))], **run)
    with pytest.raises(ValueError, match="one shift per feature"):
        _core.moments([X, X], **{**run, "shifts": [np.zeros(3), zeros]})
    with pytest.raises(ValueError, match="one vector of shifts per set"):
        _core.moments([X], **run)
    with pytest.raises(ValueError, match="a pair names no set"):
        _core.moments([X, X], **{**run, "pairs": [(0, 2)]})
    with pytest.raises(TypeError):
        _core.moments([X, X], **{**run, "shifts": [zeros.astype(np.float32), zeros]})
