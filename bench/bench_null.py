"""What chance gives for one pair: 200 relabellings, n = 2,000 and 20,000, d = 256.

Ours: the whole comparison of the pair by mutual k-nearest neighbours (k = 10) and by linear CKA,
graphs, moments, score, null, p and calibrated score. The rival, calibrated-similarity, permutes
rows and calls a similarity anew, here our own, the fastest at hand; and, as its users would, one
in torch. At n = 20,000 a few of its permutations are measured and scaled to 200.
"""

from __future__ import annotations

import numpy as np
import pytest
from workloads import embedding, gram_floor

import consilience as cs

SIZES, D, K, DRAWS, N_THREADS = (2_000, 20_000), 256, 10, 200, 2
MEASURED = {2_000: 20, 20_000: 2}
METRICS = {"mutual_knn": {"k": K}, "cka": {}}
pytestmark = [
    pytest.mark.parametrize("n", SIZES),
    pytest.mark.parametrize("metric", METRICS),
]


def group(metric, n):
    return f"null of one pair, {metric} n={n} d={D} draws={DRAWS}"


def pair(n):
    return embedding(n, D, 0), embedding(n, D, 1)


@pytest.mark.parametrize("null", ["auto", "permutation"])
def test_ours(metric, n, null, timed, sized):
    if null == "permutation" and metric == "mutual_knn":
        pytest.skip("auto draws relabellings of graphs already")
    n = sized(n)
    X, Y = pair(n)
    scores = timed(
        "ours",
        group(metric, n),
        lambda: cs.compare(
            {"a": X, "b": Y},
            [(metric, METRICS[metric])],
            null=null,
            permutations=DRAWS,
            intervals=None,
            n_threads=N_THREADS,
        ).scores[metric],
        n_threads=N_THREADS,
        rounds=1,
    )
    # The two share 16 directions: no relabelling comes near.
    assert scores.values[0, 1] > scores.null_mean[0, 1] + 10 * scores.null_std[0, 1]
    if null == "permutation" or metric == "mutual_knn":
        assert scores.p_value[0, 1] == 1 / (DRAWS + 1)
    else:
        assert scores.p_value[0, 1] < 1e-20
    assert 0 < scores.calibrated[0, 1] <= scores.values[0, 1]


def torch_similarity(metric):
    """The similarity as a user of torch writes it."""
    import torch

    def cka(a, b):
        a, b = a - a.mean(0), b - b.mean(0)
        return (a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())

    def mutual_knn(a, b):
        def lists(x):
            x = torch.nn.functional.normalize(x, dim=1)
            gram = x @ x.T
            return gram.fill_diagonal_(-torch.inf).topk(K, dim=1).indices

        return (lists(a)[:, :, None] == lists(b)[:, None, :]).any(2).float().mean()

    return {"cka": cka, "mutual_knn": mutual_knn}[metric]


@pytest.mark.parametrize("similarity", ["ours", "torch"])
def test_calibrated_similarity(metric, n, similarity, timed, sized):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("calibrated_similarity")
    measured = MEASURED[n]
    n = sized(n)
    X, Y = (torch.from_numpy(Z) for Z in pair(n))
    function = torch_similarity(metric)
    if similarity == "ours":
        own = getattr(cs, metric)

        def function(a, b):
            return own(a.numpy(), b.numpy(), **METRICS[metric], n_threads=N_THREADS)

    calls = measured + 1  # the score itself, once
    _, p, threshold = timed(
        "rival",
        group(metric, n),
        lambda: peer.calibrate(X, Y, function, K=measured),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        times=(DRAWS + 1) / calls,
        note=f"{calls} evaluations measured, scaled to {DRAWS + 1}",
    )
    assert float(p) == pytest.approx(1 / (measured + 1))
    expected = cs.compare({"a": X.numpy(), "b": Y.numpy()}, [(metric, METRICS[metric])], null=None)
    scores = expected.scores[metric]
    value = float(torch.as_tensor(function(X, Y)))
    assert value == pytest.approx(scores.values[0, 1], rel=2e-3)
    # With so few draws the threshold is the score itself, or close to the null's upper end.
    assert float(threshold) <= value * (1 + 1e-6)


def test_floor_sgemm(metric, n, timed, sized):
    """The two products of all pairs of samples that exact neighbours start from, once."""
    if metric == "cka":
        pytest.skip("linear CKA needs no n x n product")
    n = sized(n)
    product = timed("floor", group(metric, n), gram_floor(*pair(n)), n_threads=N_THREADS, rounds=1)
    assert product.shape == (n, n)
    assert np.isfinite(product[0, 0])
