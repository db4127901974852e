import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience import _core
from consilience.terms import Moments
from engine import native


def augmented(X, shift):
    U = X.astype(np.float64) - shift
    return np.column_stack([U, (U * U).sum(axis=1), np.ones(len(U))])


def test_equals_the_product_of_the_augmented_sets(ops, sets):
    X, Y, _ = sets
    found = ops.moments(X, Y)
    expected = augmented(X, found.shift_x).T @ augmented(Y, found.shift_y)
    assert_allclose(found.matrix, expected, rtol=1e-12, atol=1e-11)
    assert found.n_samples == 97


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


def test_blocks_of_rows_add_up(sets):
    X, Y, _ = sets
    X, Y = X[:, :3].copy(), Y.astype(np.float64)
    native()
    shifts = {"shift_x": np.ones(3), "shift_y": np.zeros(11), "n_threads": 1}
    parts = [
        Moments(_core.moments(X[rows], Y[rows], **shifts), np.ones(3), np.zeros(11))
        for rows in (slice(0, 40), slice(40, 97))
    ]
    assert_allclose(
        (parts[0] + parts[1]).matrix, _core.moments(X, Y, **shifts), rtol=1e-12, atol=1e-12
    )


def test_blocks_about_different_shifts_do_not_add_up():
    one = Moments(np.zeros((3, 3)), np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="same shifts"):
        one + Moments(np.zeros((3, 3)), np.ones(1), np.zeros(1))


def test_same_bits_for_any_number_of_threads(rng):
    X, Y = rng.standard_normal((3000, 150)), rng.standard_normal((3000, 140))
    expected = native(n_threads=1).moments(X, Y).matrix
    for n_threads in (2, 3, 8):
        assert_array_equal(native(n_threads=n_threads).moments(X, Y).matrix, expected)


def test_the_kernel_rejects_bad_arguments():
    native()
    X, zeros = np.ones((4, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="n_samples differ"):
        _core.moments(X, np.ones((5, 2)), shift_x=zeros, shift_y=zeros, n_threads=1)
    with pytest.raises(ValueError, match="one shift per feature"):
        _core.moments(X, X, shift_x=np.zeros(3), shift_y=zeros, n_threads=1)
    with pytest.raises(TypeError):
        _core.moments(X, X, shift_x=zeros.astype(np.float32), shift_y=zeros, n_threads=1)
