"""Cross-moments and linear CKA: n = 10,000, d = 256 and 512."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg.blas import dgemm
from workloads import THREADS, embedding

import consilience as cs

N, DX, DY = 10_000, 256, 512
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def inputs(n):
    return embedding(n, DX, 0), embedding(n, DY, 1)


def dense_cka(X, Y):
    """In float64, from centred products."""
    X, Y = (Z - Z.mean(axis=0) for Z in (X.astype(np.float64), Y.astype(np.float64)))
    return np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


def test_moments_ours(n_threads, timed, native, sized):
    n = sized(N)
    X, Y = inputs(n)
    run = native(n_threads)
    moments = timed(
        "ours",
        f"moments n={n} d={DX}/{DY}",
        lambda: run.moments(X, Y),
        n_threads=n_threads,
    )
    wide_x, wide_y = X.astype(np.float64), Y.astype(np.float64)
    expected = (wide_x - wide_x.mean(axis=0)).T @ (wide_y - wide_y.mean(axis=0))
    assert_allclose(moments.centered().xy, expected, rtol=1e-9, atol=1e-8)


def test_moments_floor_dgemm(n_threads, timed, sized):
    """The float64 product alone, from float64 input."""
    n = sized(N)
    X, Y = (np.asfortranarray(Z.astype(np.float64)) for Z in inputs(n))
    product = timed(
        "floor",
        f"moments n={n} d={DX}/{DY}",
        lambda: dgemm(1.0, X, Y, trans_a=True),
        n_threads=n_threads,
    )
    assert_allclose(product, X.T @ Y)


def test_moments_numpy(n_threads, timed, sized):
    n = sized(N)
    X, Y = inputs(n)

    def product():
        wide_x, wide_y = X.astype(np.float64), Y.astype(np.float64)
        return (wide_x - wide_x.mean(axis=0)).T @ (wide_y - wide_y.mean(axis=0))

    found = timed("rival", f"moments n={n} d={DX}/{DY}", product, n_threads=n_threads)
    assert found.shape == (DX, DY)


def test_linear_cka_ours(n_threads, timed, sized):
    """The whole call: input judged, three moments, formula."""
    n = sized(N)
    X, Y = inputs(n)
    value = timed(
        "ours",
        f"linear CKA n={n} d={DX}/{DY}",
        lambda: cs.cka(X, Y, n_threads=n_threads),
        n_threads=n_threads,
    )
    assert_allclose(value, dense_cka(X, Y), rtol=1e-11)


def test_linear_cka_numpy_float32(n_threads, timed, sized):
    """The one-liner in feature space; its float32 digits go where columns have offsets."""
    n = sized(N)
    X, Y = inputs(n)

    def one_liner():
        x, y = X - X.mean(axis=0), Y - Y.mean(axis=0)
        norm = np.linalg.norm
        return norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))

    value = timed("rival", f"linear CKA n={n} d={DX}/{DY}", one_liner, n_threads=n_threads)
    assert_allclose(value, dense_cka(X, Y), rtol=1e-4)


def test_linear_cka_numpy_float64(n_threads, timed, sized):
    n = sized(N)
    X, Y = inputs(n)
    value = timed(
        "rival",
        f"linear CKA n={n} d={DX}/{DY}",
        lambda: dense_cka(X, Y),
        n_threads=n_threads,
    )
    assert 0.0 < value < 1.0
