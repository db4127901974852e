"""Sums over all pairs of samples: one pair of models as a user calls it, and eight models' op.

One pair: distance correlation and debiased RBF CKA, n = 10,000, d = 256 and 512. Eight models:
n = 4,000, d = 256. Above FLOAT64_SAMPLES, so that float32 tiles run.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, embedding, gram_floor

import consilience as cs
from consilience.backends import Channel

PAIR_N, PAIR_D = 10_000, (256, 512)
N, D, MODELS = 4_000, 256, 8
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def pair(n):
    return tuple(embedding(n, d, m) for m, d in enumerate(PAIR_D))


def squares(X, dtype):
    """Squared distances by expansion, about the column means; what an expert writes."""
    X = (X - X.mean(axis=0, dtype=np.float64)).astype(dtype)
    norms = np.einsum("ij,ij->i", X, X)
    out = X @ X.T
    out *= -2
    out += norms
    out += norms[:, None]
    np.maximum(out, 0, out=out)
    np.fill_diagonal(out, 0)
    return out


def distances(X, dtype):
    out = squares(X, dtype)
    return np.sqrt(out, out=out)


def rbf(X, dtype):
    """A Gaussian kernel as wide as the median of 2^19 seeded pairs, as `cka` has it."""
    rng = np.random.default_rng(0)
    i = rng.integers(0, len(X), 1 << 19)
    j = (i + rng.integers(1, len(X), 1 << 19)) % len(X)
    out = squares(X, dtype)
    out *= -0.5 / np.median(out[i, j])
    return np.exp(out, out=out)


def double_centered(A):
    A -= A.mean(axis=0)
    A -= A.mean(axis=1)[:, None]
    return A


def dcor_of_distances(A, B):
    A, B = double_centered(A), double_centered(B)
    return np.sqrt(np.vdot(A, B) / np.sqrt(np.vdot(A, A) * np.vdot(B, B)))


def cka_of_kernels(K, L):
    """Song et al.'s estimator of HSIC of each two, normalised."""
    n = len(K)
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    rows = [A.sum(axis=1, dtype=np.float64) for A in (K, L)]

    def hsic(A, B, a, b):
        total = float(np.vdot(A, B)) + a.sum() * b.sum() / ((n - 1) * (n - 2))
        return total - 2 * (a @ b) / (n - 2)

    xy, xx, yy = (
        hsic(A, B, a, b)
        for A, B, a, b in (
            (K, L, rows[0], rows[1]),
            (K, K, rows[0], rows[0]),
            (L, L, rows[1], rows[1]),
        )
    )
    return xy / np.sqrt(xx * yy)


SCORES = {
    "dcor": (cs.distance_correlation, {}, distances, dcor_of_distances),
    "rbf cka": (cs.cka, {"kernel": "rbf", "debiased": True}, rbf, cka_of_kernels),
}


def expert(name, X, Y, dtype):
    _, _, matrix, score = SCORES[name]
    return score(matrix(X, dtype), matrix(Y, dtype))


def pair_group(name, n):
    return f"{name} n={n} d={PAIR_D[0]}/{PAIR_D[1]}"


@pytest.mark.parametrize("name", SCORES)
def test_pair_ours(name, n_threads, timed, sized):
    X, Y = pair(sized(PAIR_N))
    function, options, *_ = SCORES[name]
    value = timed(
        "ours",
        pair_group(name, len(X)),
        lambda: function(X, Y, n_threads=n_threads, **options),
        n_threads=n_threads,
        rounds=3,
    )
    assert_allclose(value, expert(name, X, Y, np.float64), rtol=1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_pair_floor_sgemm(name, n_threads, timed, sized):
    X, Y = pair(sized(PAIR_N))
    last = timed("floor", pair_group(name, len(X)), gram_floor(X, Y), n_threads=n_threads, rounds=3)
    assert last.shape == (len(X), len(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SCORES)
def test_pair_numpy_expansion(name, dtype, n_threads, timed, sized):
    """A matrix product, elementwise passes, three dot products; n x n matrices."""
    X, Y = pair(sized(PAIR_N))
    value = timed(
        "rival",
        pair_group(name, len(X)),
        lambda: expert(name, X, Y, dtype),
        n_threads=n_threads,
        rounds=1,
        warmup=False,
    )
    assert 0.0 < value < 1.0


def test_pair_blocked_torch_cdist(n_threads, timed, sized):
    """The same sums from blocks of rows, never an n x n matrix: an expert's composition."""
    torch = pytest.importorskip("torch")
    X, Y = pair(sized(PAIR_N))
    x, y = (torch.from_numpy(Z - Z.mean(axis=0)) for Z in (X, Y))

    def dcor():
        n, sums, rows = len(x), np.zeros(3), ([], [])
        for start in range(0, n, 1000):
            a, b = (torch.cdist(z[start : start + 1000], z) for z in (x, y))
            sums += [float((p * q).sum(dtype=torch.float64)) for p, q in ((a, b), (a, a), (b, b))]
            for found, block in zip(rows, (a, b), strict=True):
                found.append(block.sum(dim=1, dtype=torch.float64))
        r, s = (torch.cat(parts).numpy() for parts in rows)
        centered = [
            total - 2 * (p @ q) / n + p.sum() * q.sum() / n**2
            for total, p, q in zip(sums, (r, r, s), (s, r, s), strict=True)
        ]
        return np.sqrt(centered[0] / np.sqrt(centered[1] * centered[2]))

    value = timed("rival", pair_group("dcor", len(X)), dcor, n_threads=n_threads, rounds=2)
    assert_allclose(value, expert("dcor", X, Y, np.float64), rtol=1e-3)


def test_pair_dcor_with_scipy_path(n_threads, timed, sized):
    """dcor with its own SciPy distances, which a dispatch test of version 0.7 never reaches."""
    dcor = pytest.importorskip("dcor")
    X, Y = (Z.astype(np.float64) for Z in pair(sized(PAIR_N)))
    with mock.patch("dcor.distances._can_be_numpy_double", return_value=True):
        value = timed(
            "rival",
            pair_group("dcor", len(X)),
            lambda: dcor.distance_correlation(X, Y, method="naive"),
            n_threads=n_threads,
            rounds=1,
            warmup=False,
        )
    assert_allclose(value, expert("dcor", X, Y, np.float64), rtol=1e-9)


def group(n):
    return f"pair_terms n={n} d={D} models={MODELS}"


def dcor_of(sums):
    from consilience.metrics._kernels import of_sums

    kernels = of_sums(sums)
    return np.sqrt(kernels.xy / np.sqrt(kernels.xx * kernels.yy))


def test_ours(n_threads, timed, native, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(MODELS)]
    run = native(n_threads)
    table = timed(
        "ours",
        group(n),
        lambda: run.pair_terms([Channel(X) for X in sets]),
        n_threads=n_threads,
    )
    expected = expert("dcor", sets[0], sets[1], np.float64)
    assert_allclose(dcor_of(table.pair(0, 1)), expected, rtol=1e-7)


def test_floor_sgemm(n_threads, timed, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(MODELS)]
    last = timed("floor", group(n), gram_floor(*sets), n_threads=n_threads)
    assert last.shape == (n, n)
