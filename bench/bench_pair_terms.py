"""Distance correlation of one pair, and of all pairs of eight models: n = 4,000, d = 256.

Above FLOAT64_SAMPLES, so that float32 tiles run.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, embedding, gram_floor

from consilience.backends import Channel

N, D, MODELS = 4_000, 256, 8
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def dense_distances(X):
    X = X.astype(np.float64)
    X = X - X.mean(axis=0)
    norms = (X * X).sum(axis=1)
    distances = np.sqrt(np.maximum(norms[:, None] + norms - 2 * X @ X.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    return distances


def double_centered(A):
    return A - A.mean(axis=0) - A.mean(axis=1)[:, None] + A.mean()


def dense_dcor(X, Y):
    """Biased distance correlation, float64."""
    A, B = double_centered(dense_distances(X)), double_centered(dense_distances(Y))
    return np.sqrt(np.vdot(A, B) / np.sqrt(np.vdot(A, A) * np.vdot(B, B)))


def group(n, models):
    return f"pair_terms n={n} d={D} models={models}"


def dcor_of(sums):
    from consilience.metrics._kernels import of_sums

    kernels = of_sums(sums)
    return np.sqrt(kernels.xy / np.sqrt(kernels.xx * kernels.yy))


@pytest.mark.parametrize("models", [2, MODELS])
def test_ours(models, n_threads, timed, native, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(models)]
    run = native(n_threads)
    table = timed(
        "ours",
        group(n, models),
        lambda: run.pair_terms([Channel(X) for X in sets]),
        n_threads=n_threads,
    )
    assert_allclose(dcor_of(table.pair(0, 1)), dense_dcor(sets[0], sets[1]), rtol=1e-7)


@pytest.mark.parametrize("models", [2, MODELS])
def test_floor_sgemm(models, n_threads, timed, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(models)]
    last = timed("floor", group(n, models), gram_floor(*sets), n_threads=n_threads)
    assert last.shape == (n, n)


def test_dcor_with_scipy_path(n_threads, timed, sized):
    """dcor with its own SciPy distances, which a dispatch test of version 0.7 never reaches."""
    dcor = pytest.importorskip("dcor")
    n = sized(N)
    X, Y = (embedding(n, D, m) for m in range(2))
    wide_x, wide_y = X.astype(np.float64), Y.astype(np.float64)
    with mock.patch("dcor.distances._can_be_numpy_double", return_value=True):
        value = timed(
            "rival",
            group(n, 2),
            lambda: dcor.distance_correlation(wide_x, wide_y, method="naive"),
            n_threads=n_threads,
            rounds=1,
            warmup=False,
        )
    assert_allclose(value, dense_dcor(X, Y), rtol=1e-9)


def test_numpy_float64_expansion(n_threads, timed, sized):
    """What an expert writes: a matrix product, roots, centring, three dot products."""
    n = sized(N)
    X, Y = (embedding(n, D, m) for m in range(2))
    value = timed("rival", group(n, 2), lambda: dense_dcor(X, Y), n_threads=n_threads, rounds=2)
    assert 0.0 < value < 1.0


def test_numpy_float32_expansion(n_threads, timed, sized):
    n = sized(N)
    X, Y = (embedding(n, D, m) for m in range(2))

    def distances(X):
        X = X - X.mean(axis=0)
        norms = np.einsum("ij,ij->i", X, X)
        out = X @ X.T
        out *= -2
        out += norms
        out += norms[:, None]
        np.maximum(out, 0, out=out)
        np.sqrt(out, out=out)
        np.fill_diagonal(out, 0)
        return double_centered(out)

    def expert():
        A, B = distances(X), distances(Y)
        return np.sqrt(np.vdot(A, B) / np.sqrt(np.vdot(A, A) * np.vdot(B, B)))

    value = timed("rival", group(n, 2), expert, n_threads=n_threads, rounds=3)
    assert_allclose(value, dense_dcor(X, Y), rtol=1e-3)
