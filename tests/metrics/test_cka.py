"""HSIC and CKA with linear and RBF kernels, biased and unbiased."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

KERNELS = [
    {"kernel": "linear"},
    {"kernel": "rbf"},
    {"kernel": "rbf", "bandwidth": 1.7},
    {"kernel": "rbf", "bandwidth_factor": 0.5},
]
IDS = ["linear", "rbf by median", "rbf by sigma", "rbf by half the median"]


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("kernel", KERNELS, ids=IDS)
def test_cka_equals_the_dense_definition(kernel, debiased, case, backend):
    score = cs.cka(case.X, case.Y, debiased=debiased, backend=backend, **kernel)
    expected = reference.cka(case.X, case.Y, debiased=debiased, **kernel)
    assert score == pytest.approx(expected, rel=case.rel, abs=case.rel)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("kernel", KERNELS, ids=IDS)
def test_hsic_equals_the_dense_definition(kernel, unbiased, case, backend):
    X, Y, rel = case
    score = cs.hsic(X, Y, unbiased=unbiased, backend=backend, **kernel)
    expected = reference.hsic(X, Y, unbiased=unbiased, **kernel)
    size = np.sqrt(reference.hsic(X, X, unbiased=False, **kernel))
    size *= np.sqrt(reference.hsic(Y, Y, unbiased=False, **kernel))
    # An unbiased value may be near zero: what is small is the error beside the norms.
    assert score == pytest.approx(expected, rel=rel, abs=rel * size)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("kernel", KERNELS[:2], ids=IDS[:2])
def test_ties_and_duplicates(kernel, debiased, tied, backend):
    score = cs.cka(tied.X, tied.Y, debiased=debiased, backend=backend, **kernel)
    expected = reference.cka(tied.X, tied.Y, debiased=debiased, **kernel)
    assert score == pytest.approx(expected, rel=tied.rel, abs=tied.rel)


@pytest.mark.parametrize("normalize", ["l2", "max", "zscore"])
@pytest.mark.parametrize("kernel", KERNELS[:2], ids=IDS[:2])
def test_every_preprocessing(normalize, kernel, backend, rng):
    X = rng.standard_normal((37, 5)) + 0.3
    Y = X[:, :3] + 0.5 * rng.standard_normal((37, 3))
    options = {"normalize": normalize, "debiased": True, **kernel}
    score = cs.cka(X, Y, backend=backend, **options)
    assert score == pytest.approx(reference.cka(X, Y, **options), rel=1e-9)


def test_four_samples_are_enough_for_the_unbiased_estimator(backend, rng):
    X, Y = rng.standard_normal((2, 4, 3))
    score = cs.hsic(X, Y, unbiased=True, backend=backend)
    assert score == pytest.approx(reference.hsic(X, Y), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("kernel", KERNELS[:2], ids=IDS[:2])
def test_is_one_on_self_and_symmetric(kernel, debiased, paired, backend):
    X, Y = paired
    options = {"debiased": debiased, "backend": backend, **kernel}
    assert cs.cka(X, X, **options) == pytest.approx(1.0, abs=1e-12)
    assert cs.cka(X, Y, **options) == pytest.approx(cs.cka(Y, X, **options), rel=1e-12)


@pytest.mark.parametrize("debiased", [False, True])
def test_linear_cka_ignores_rotation_scale_and_shift(debiased, paired, backend, rng):
    X, Y = paired
    Q = np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0]
    options = {"debiased": debiased, "backend": backend}
    expected = cs.cka(X, Y, **options)
    moved = 3.7 * X @ Q + 100.0 * rng.standard_normal(X.shape[1])
    assert cs.cka(moved, Y, **options) == pytest.approx(expected, rel=1e-9)


def test_the_median_bandwidth_makes_rbf_cka_scale_free(paired, backend):
    X, Y = paired
    expected = cs.cka(X, Y, kernel="rbf", backend=backend)
    assert cs.cka(1e3 * X, 1e-3 * Y, kernel="rbf", backend=backend) == pytest.approx(
        expected, rel=1e-9
    )


def test_each_set_has_its_own_median(paired, backend):
    # hyppo gives the second set the first one's bandwidth: .039 against .497 swapped.
    X, Y = paired
    forward = cs.cka(X, 7.0 * Y, kernel="rbf", debiased=True, backend=backend)
    back = cs.cka(7.0 * Y, X, kernel="rbf", debiased=True, backend=backend)
    assert forward == pytest.approx(back, rel=1e-12)


@pytest.mark.parametrize("n", [60, 61])
def test_median_of_an_even_and_an_odd_number_of_distances(n, backend, rng):
    X, Y = rng.standard_normal((2, n, 3))
    score = cs.cka(X, Y, kernel="rbf", backend=backend)
    assert score == pytest.approx(reference.cka(X, Y, kernel="rbf"), rel=1e-9)


def test_debiased_is_zero_on_average_for_independent_embeddings(backend, rng):
    scores = [
        cs.cka(*rng.standard_normal((2, 20, 60)), debiased=True, backend=backend) for _ in range(80)
    ]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(len(scores))
    biased = cs.cka(*rng.standard_normal((2, 20, 60)), backend=backend)
    assert biased > 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_many_blocks_of_rows(dtype, offset):
    # In feature space and in exact order: no n-by-n matrix, no tile.
    rng = np.random.default_rng(14)
    X = (rng.standard_normal((20_011, 6)) + offset).astype(dtype)
    Y = (X[:, :4] - offset + rng.standard_normal((20_011, 4))).astype(dtype)
    A, B = reference.centered(X), reference.centered(Y)
    norms = [np.linalg.norm(A.T @ A), np.linalg.norm(B.T @ B)]
    expected = np.linalg.norm(A.T @ B) ** 2 / np.prod(norms)
    assert cs.cka(X, Y) == pytest.approx(expected, rel=1e-9)
    # With so many samples the bias is about the trace's share, d / n.
    assert cs.cka(X, Y, debiased=True) == pytest.approx(expected, abs=1e-3)


def test_known_answer(backend):
    # Centered columns (1,-1,0,0) and (1,0,-1,0): inner product 1, squared norms 2 and 2.
    X = np.array([[1.0], [-1.0], [0.0], [0.0]])
    Y = np.array([[1.0], [0.0], [-1.0], [0.0]])
    assert cs.cka(X, Y, backend=backend) == pytest.approx(0.25, rel=1e-14)
    assert cs.hsic(X, Y, unbiased=False, backend=backend) == pytest.approx(1 / 9, rel=1e-14)


def test_small_features_are_not_crushed(paired, backend):
    # An absolute epsilon reads .003 for .139.
    X, Y = paired
    expected = cs.cka(X, Y, debiased=True, backend=backend)
    small = cs.cka(1e-5 * X, 1e-5 * Y, debiased=True, backend=backend)
    assert small == pytest.approx(expected, rel=1e-9)
