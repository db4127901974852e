from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference


def test_paper_variant_equals_the_dense_definition(case, backend):
    score = cs.cknna(case.X, case.Y, k=5, backend=backend)
    assert score == pytest.approx(reference.cknna_paper(case.X, case.Y, 5), rel=case.rel)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_code_variant_equals_the_dense_definition(unbiased, eps, case_with_features, backend):
    X, Y, rel = case_with_features
    options = {"unbiased": unbiased, "eps": eps}
    score = cs.cknna(X, Y, k=5, variant="prh-code", backend=backend, **options)
    assert score == pytest.approx(reference.cknna_prh_code(X, Y, 5, **options), rel=rel)


@pytest.mark.parametrize("variant", ["paper", "prh-code"])
def test_equals_the_dense_definition_where_neighbors_tie(variant, tied, backend):
    dense = {"paper": reference.cknna_paper, "prh-code": reference.cknna_prh_code}[variant]
    score = cs.cknna(tied.X, tied.Y, k=4, variant=variant, normalize="none", backend=backend)
    assert score == pytest.approx(dense(tied.X, tied.Y, 4, normalize="none"), rel=tied.rel)


@pytest.mark.parametrize("normalize", ["none", "max", "zscore"])
@pytest.mark.parametrize("k", [2, 36])
def test_every_preprocessing(normalize, k, backend, rng):
    X = rng.standard_normal((37, 5)) + 0.3
    Y = X[:, :3] + 0.5 * rng.standard_normal((37, 3))
    score = cs.cknna(X, Y, k=k, normalize=normalize, backend=backend)
    assert score == pytest.approx(reference.cknna_paper(X, Y, k, normalize), rel=1e-9)
    score = cs.cknna(X, Y, k=k, variant="prh-code", normalize=normalize, backend=backend)
    expected = reference.cknna_prh_code(X, Y, k, normalize=normalize)
    assert score == pytest.approx(expected, rel=1e-9)


def test_paper_variant_is_one_on_self_and_symmetric(paired, backend):
    X, Y = paired
    assert cs.cknna(X, X, k=10, backend=backend) == pytest.approx(1.0, abs=1e-12)
    forward = cs.cknna(X, Y, k=10, backend=backend)
    assert forward == pytest.approx(cs.cknna(Y, X, k=10, backend=backend), rel=1e-12)
    assert forward < 1.0


def test_code_variant_is_not_symmetric(paired, backend):
    # The masked kernels are not symmetric, and the transposed product shows it.
    X, Y = paired
    forward = cs.cknna(X, Y, k=10, variant="prh-code", backend=backend)
    back = cs.cknna(Y, X, k=10, variant="prh-code", backend=backend)
    assert forward == pytest.approx(reference.cknna_prh_code(X, Y, 10), rel=1e-9)
    assert back == pytest.approx(reference.cknna_prh_code(Y, X, 10), rel=1e-9)
    assert abs(forward - back) > 1e-6


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1e6])
def test_paper_variant_does_not_depend_on_the_scale(scale, paired, backend):
    # An epsilon of 1e-6 in the denominator turns .70 into .03 at scale 0.1.
    X, Y = paired
    scores = [cs.cknna(s * X, s * Y, k=10, normalize="none", backend=backend) for s in (1.0, scale)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_epsilon_is_what_platonic_rep_adds(paired, backend):
    X, Y = (0.05 * reference.normalized(A, "l2") for A in paired)
    options = {"k": 10, "variant": "prh-code", "normalize": "none", "backend": backend}
    without = cs.cknna(X, Y, **options)
    crushed = cs.cknna(X, Y, eps=1e-6, **options)
    assert crushed < 0.5 * without
    expected = reference.cknna_prh_code(X, Y, 10, normalize="none", eps=1e-6)
    assert crushed == pytest.approx(expected, rel=1e-9)


def test_known_answer_of_the_paper_variant(backend):
    # Four corners of a square: K is 1, 0 or -1 off the diagonal, row means are 0, and the
    # nearest neighbors of each corner (by index among the two tied) have K = 0.
    # So shear Y a little and count by hand: with k = 3 every pair is a neighbor.
    X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    Y = np.array([[2.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [0.0, -1.0]])
    # Off the diagonal only the opposite corners count: K = -1 four times, L = -4, -1 twice.
    # Align(X,Y) = 2*4 + 2*1 = 10, Align(X,X) = 4, Align(Y,Y) = 2*16 + 2 = 34.
    score = cs.cknna(X, Y, k=3, normalize="none", backend=backend)
    assert score == pytest.approx(10 / np.sqrt(4 * 34), rel=1e-12)


def test_no_common_neighbor_is_zero(backend):
    angles = np.arange(6) * 0.1
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    Y = X[[0, 3, 1, 4, 2, 5]]
    expected = reference.cknna_paper(X, Y, 1)
    assert reference.mutual_knn(X, Y, 1) == 0.0
    assert expected == 0.0
    assert cs.cknna(X, Y, k=1, backend=backend) == 0.0


@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_a_masked_kernel_of_negative_self_similarity_is_refused(eps, backend):
    # Few samples can make the unbiased HSIC of a masked kernel with itself negative; an
    # epsilon under the fraction would then return 47,527 for a score of at most 1.
    rng = np.random.default_rng(155)
    rng.integers(4, 8)
    X = rng.standard_normal((4, 3)) + 2 * rng.integers(0, 2)
    Y = rng.standard_normal((4, 3))
    U = reference.normalized(X, "l2")
    P = reference.mask_of(reference.neighbors(U, 2, "ip")[0]) * (U @ U.T)
    assert reference.hsic_unbiased(P, P) < 0.0
    with pytest.raises(ValueError, match="not positive"):
        cs.cknna(X, Y, k=2, variant="prh-code", eps=eps, backend=backend)
