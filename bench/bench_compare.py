"""Every pair of eight models under the preset "matter": n = 10,000, d = 256, two threads.

The rival is one metric of one pair: CKNNA (`prh-code` of docs: masked n x n kernels), which a loop
over pairs would run 28 times. The loop is extrapolated from the one measured pair. Its dense
HSIC is timed twice: with 1'KL1 as two matrix-vector products, as an expert writes it, and with
the product KL formed, as the formula reads. CONSILIENCE_PLATONIC_REP=<checkout> of
minyoungg/platonic-rep times the original as well.
"""

from __future__ import annotations

import os
import sys
import types

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import dense_squares, embedding, gram_floor, some_rows

import consilience as cs

N, D, MODELS, K, N_THREADS = 10_000, 256, 8, 25, 2
PAIRS = MODELS * (MODELS - 1) // 2


def group(n):
    return f"compare n={n} d={D} models={MODELS} preset=matter"


def models(n):
    return {f"model {m}": embedding(n, D, m) for m in range(MODELS)}


def test_ours(timed, sized):
    n = sized(N)
    sets = models(n)
    matrix = timed(
        "ours",
        group(n),
        lambda: cs.compare(sets, preset="matter", n_threads=N_THREADS),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
    )
    assert matrix["cknna"].shape == (MODELS, MODELS)
    for label in ("cknna", "distance_correlation"):
        assert_allclose(np.diag(matrix[label]), 1.0, atol=1e-12)
        assert_allclose(matrix[label], matrix[label].T, atol=1e-12)
    for k in (50, 200, 500):
        label = f"information_imbalance[k={k}]"
        assert_allclose(np.diag(matrix[label]), (k + 1) / n, rtol=1e-12)
    check_imbalance(sets, matrix["information_imbalance[k=50]"][0, 1], n)


def test_ours_cknna_alone(timed, sized):
    n = sized(N)
    sets = models(n)
    matrix = timed(
        "ours",
        group(n),
        lambda: cs.compare(sets, ["cknna"], n_threads=N_THREADS),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
    )
    assert matrix["cknna"][0, 1] == cs.cknna(sets["model 0"], sets["model 1"])


def check_imbalance(sets, found, n):
    """Compare with ranks of some rows: they are a sample of the mean over all."""
    X, Y = sets["model 0"], sets["model 1"]
    rows = some_rows(n, 64)
    nearest = np.argsort(dense_squares(X, rows), axis=1)[:, :50]
    squares = dense_squares(Y, rows)
    listed = np.take_along_axis(squares, nearest, axis=1)
    ranks = 1 + (squares[:, None, :] < listed[:, :, None]).sum(axis=2).mean(axis=1)
    expected, error = 2 / n * ranks.mean(), 2 / n * ranks.std() / np.sqrt(len(rows))
    assert abs(found - expected) < 6 * error


def test_floor_sgemm(timed, sized):
    """Eight products n x d x n, each the whole of a symmetric matrix."""
    n = sized(N)
    last = timed(
        "floor",
        group(n),
        gram_floor(*models(n).values()),
        n_threads=N_THREADS,
        rounds=1,
    )
    assert last.shape == (n, n)


def masked_kernel_cknna(X, Y, *, form_product):
    """CKNNA of masked n x n kernels: METRICS `prh-code`, unbiased HSIC (Song et al., eq. 5)."""
    import torch

    X, Y = (torch.nn.functional.normalize(torch.from_numpy(Z), dim=1) for Z in (X, Y))
    n = len(X)
    K, L = X @ X.T, Y @ Y.T

    def nearest(kernel):
        others = kernel.clone()
        others.fill_diagonal_(-torch.inf)
        mask = torch.zeros_like(kernel)
        return mask.scatter_(1, others.topk(25 if n > 25 else n - 1, dim=1).indices, 1.0)

    def hsic(P, Q):
        P, Q = P.clone().fill_diagonal_(0.0), Q.clone().fill_diagonal_(0.0)
        through = (P @ Q).sum() if form_product else P.sum(0).double() @ Q.sum(1).double()
        value = (P * Q.T).sum(dtype=torch.float64)
        value += P.sum(dtype=torch.float64) * Q.sum(dtype=torch.float64) / ((n - 1) * (n - 2))
        return (value - 2 * through / (n - 2)) / (n * (n - 3))

    mask_x, mask_y = nearest(K), nearest(L)
    both = mask_x * mask_y
    cross = hsic(both * K, both * L)
    own_x, own_y = mask_x * K, mask_y * L
    return float(cross / torch.sqrt(hsic(own_x, own_x) * hsic(own_y, own_y)))


@pytest.mark.parametrize("form_product", [False, True], ids=["expert", "product_formed"])
def test_one_pair_masked_kernels(form_product, timed, sized):
    pytest.importorskip("torch")
    n = sized(N)
    X, Y = (embedding(n, D, m) for m in range(2))
    value = timed(
        "rival",
        group(n),
        lambda: masked_kernel_cknna(X, Y, form_product=form_product),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        times=PAIRS,
        note=f"one pair measured; a loop over pairs runs it {PAIRS} times, for CKNNA alone",
    )
    assert_allclose(value, cs.cknna(X, Y, k=K, variant="prh-code"), rtol=1e-3)


def test_one_pair_platonic_rep(timed, sized):
    checkout = os.environ.get("CONSILIENCE_PLATONIC_REP")
    if not checkout:
        pytest.skip("CONSILIENCE_PLATONIC_REP names no checkout of minyoungg/platonic-rep")
    torch = pytest.importorskip("torch")
    sys.path.insert(0, checkout)
    for name in ("torchaudio", "torchaudio.functional"):  # imported there, not used by CKNNA
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchaudio"].functional = sys.modules["torchaudio.functional"]
    try:
        from metrics import AlignmentMetrics
    finally:
        sys.path.remove(checkout)
    n = sized(N)
    X, Y = (
        torch.nn.functional.normalize(torch.from_numpy(embedding(n, D, m)), dim=1) for m in range(2)
    )
    value = timed(
        "rival",
        group(n),
        lambda: float(AlignmentMetrics.cknna(X, Y, topk=K)),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        times=PAIRS,
        note=f"one pair measured; a loop over pairs runs it {PAIRS} times, for CKNNA alone",
    )
    own = cs.cknna(X.numpy(), Y.numpy(), k=K, variant="prh-code", eps=1e-6)
    assert_allclose(value, own, rtol=1e-3)
