"""Cross-moments of two models and the linear metrics on them: n = 100,000, d = 256 and 512."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg.blas import dgemm, sgemm
from workloads import THREADS, embedding

import consilience as cs

N, DX, DY = 100_000, 256, 512
PAIRS = [(0, 0), (0, 1), (1, 1)]
FAMILY = ["cka", ("cka", {"debiased": True}), "cca", "svcca", "pwcca", "procrustes"]
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def inputs(n):
    return embedding(n, DX, 0), embedding(n, DY, 1)


def dense_cka(X, Y):
    """In float64, from centred products."""
    X, Y = (Z - Z.mean(axis=0) for Z in (X.astype(np.float64), Y.astype(np.float64)))
    return np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y))


def three_products(gemm, X, Y):
    """Return what makes X'X, X'Y and Y'Y and nothing else, from input as gemm reads it."""
    dtype = np.float32 if gemm is sgemm else np.float64
    x, y = (np.asfortranarray(Z, dtype=dtype) for Z in (X, Y))
    outs = [
        np.empty((a.shape[1], b.shape[1]), dtype, order="F") for a, b in ((x, x), (x, y), (y, y))
    ]

    def run():
        for (a, b), out in zip(((x, x), (x, y), (y, y)), outs, strict=True):
            gemm(1.0, a, b, trans_a=True, c=out, overwrite_c=True)
        return outs

    return run


def test_moments_ours(n_threads, timed, native, sized):
    """All three, with squared norms and column sums, from float32 rows."""
    n = sized(N)
    X, Y = inputs(n)
    run = native(n_threads)
    found = timed(
        "ours",
        f"moments n={n} d={DX}/{DY}",
        lambda: list(run.moments([X, Y], PAIRS)),
        n_threads=n_threads,
    )
    wide_x, wide_y = X.astype(np.float64), Y.astype(np.float64)
    expected = (wide_x - wide_x.mean(axis=0)).T @ (wide_y - wide_y.mean(axis=0))
    assert_allclose(found[1].centered().xy, expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("gemm", [sgemm, dgemm], ids=["sgemm", "dgemm"])
def test_moments_floor(gemm, n_threads, timed, sized):
    """The floor proper is in float32; that in float64 is what BLAS could reach."""
    n = sized(N)
    X, Y = inputs(n)
    product = timed(
        "floor" if gemm is sgemm else "rival",
        f"moments n={n} d={DX}/{DY}",
        three_products(gemm, X, Y),
        n_threads=n_threads,
    )
    assert_allclose(product[1], X.astype(np.float64).T @ Y, rtol=1e-3, atol=1.0)


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


@pytest.mark.parametrize("group", ["linear CKA", "linear family"])
def test_linear_floor(group, n_threads, timed, sized):
    n = sized(N)
    X, Y = inputs(n)
    product = timed(
        "floor",
        f"{group} n={n} d={DX}/{DY}",
        three_products(sgemm, X, Y),
        n_threads=n_threads,
    )
    assert product[0].shape == (DX, DX)


def test_linear_family_ours(n_threads, timed, sized):
    """CKA, debiased CKA, CCA, SVCCA, PWCCA both ways and Procrustes from the same moments."""
    n = sized(N)
    X, Y = inputs(n)
    found = timed(
        "ours",
        f"linear family n={n} d={DX}/{DY}",
        lambda: cs.compare(
            {"x": X, "y": Y}, FAMILY, null=None, intervals=None, n_threads=n_threads
        ),
        n_threads=n_threads,
    )
    assert_allclose(found["cka"][0, 1], dense_cka(X, Y), rtol=1e-11)
    assert_allclose(found["cca"][0, 1], dense_cca(X, Y), rtol=1e-9)


def dense_cca(X, Y):
    """The mean singular value of Q_x' Q_y, from QR decompositions in float64."""
    Q, P = (
        np.linalg.qr(Z.astype(np.float64) - Z.mean(axis=0, dtype=np.float64))[0] for Z in (X, Y)
    )
    return np.linalg.svd(Q.T @ P, compute_uv=False).mean()


def test_linear_family_numpy_float64(n_threads, timed, sized):
    """CKA, and CCA by QR, as one writes them; not the other four."""
    n = sized(N)
    X, Y = inputs(n)
    values = timed(
        "rival",
        f"linear family n={n} d={DX}/{DY}",
        lambda: (dense_cka(X, Y), dense_cca(X, Y)),
        n_threads=n_threads,
        rounds=2,
    )
    assert all(0.0 < value < 1.0 for value in values)


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
