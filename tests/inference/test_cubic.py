import itertools

import numpy as np
import pytest

import consilience as cs
import reference
from consilience.inference.blocks import Block, block_samples, pair_std_error
from consilience.inference.cubic import cubic_terms, moment, skewness


def symmetric(rng, n, *, hollow):
    A = rng.standard_normal((n, n))
    A = A + A.T + 0.7
    if hollow:
        np.fill_diagonal(A, 0.0)
    return A


def all_relabellings(A, B):
    orders = map(list, itertools.permutations(range(len(A))))
    return np.array([(A * B[np.ix_(q, q)]).sum() for q in orders])


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("hollow", [False, True])
def test_three_moments_equal_full_enumeration(n, hollow):
    rng = np.random.default_rng(n)
    A, B = (symmetric(rng, n, hollow=hollow) for _ in range(2))
    T = all_relabellings(A, B)
    terms = cubic_terms(A), cubic_terms(B)
    for order in (1, 2, 3):
        assert moment(*terms, order) == pytest.approx((T**order).mean(), rel=1e-9)
    if n > 2:
        expected = ((T - T.mean()) ** 3).mean() / T.std() ** 3
        assert skewness(*terms) == pytest.approx(expected, rel=1e-7)


def test_what_no_relabelling_changes_has_no_skewness():
    A = np.ones((5, 5)) - np.eye(5)
    B = symmetric(np.random.default_rng(0), 5, hollow=True)
    assert skewness(cubic_terms(A), cubic_terms(B)) == 0.0


def test_skewness_of_larger_sets_tends_to_that_of_their_spectra():
    # Σ λ μ (z² - 1): both kernels have rank 2, so the skewness is √8 (Σλ³ / (Σλ²)^1.5)².
    rng = np.random.default_rng(3)
    blocks = []
    for _ in range(2):
        X = rng.standard_normal((400, 2)) * [1.0, 0.6]
        blocks.append(Block(X @ X.T))
    power = [np.sum(np.array([1.0, 0.36]) ** p) for p in (2, 3)]
    expected = np.sqrt(8.0) * (power[1] / power[0] ** 1.5) ** 2
    terms = [block.u_terms.at(100_000) for block in blocks]
    assert skewness(*terms) == pytest.approx(expected, rel=0.1)


def test_centring_in_a_block_is_that_of_the_definition():
    rng = np.random.default_rng(4)
    A = symmetric(rng, 9, hollow=False)
    H = np.eye(9) - 1.0 / 9.0
    np.testing.assert_allclose(Block(A).double_centered, H @ A @ H, atol=1e-12)
    U = Block(A).u_centered
    np.testing.assert_allclose(U.sum(axis=1), 0.0, atol=1e-12)
    assert (U.diagonal() == 0.0).all()
    # Less a multiple of H the whole product moves by a constant only.
    B = symmetric(rng, 9, hollow=False)
    whole = cubic_terms(H @ A @ H), cubic_terms(H @ B @ H)
    less = Block(A).whole_terms, Block(B).whole_terms
    assert skewness(*less) == pytest.approx(skewness(*whole), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "oracle"),
    [
        ("cka", {}, reference.cka),
        ("cka", {"debiased": True}, lambda X, Y: reference.cka(X, Y, debiased=True)),
        ("cka", {"kernel": "rbf"}, lambda X, Y: reference.cka(X, Y, kernel="rbf")),
        (
            "distance_correlation",
            {"unbiased": True},
            lambda X, Y: reference.distance_correlation(X, Y, unbiased=True),
        ),
        ("rsa", {}, reference.rsa),
    ],
)
def test_the_fitted_law_has_the_skewness_of_full_enumeration(name, settings, oracle):
    from consilience._evaluate import metric_with, terms_of

    rng = np.random.default_rng(12)
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    draws = np.array([oracle(X, Y[list(q)]) for q in itertools.permutations(range(6))])
    _, metric = metric_with(name, settings)
    terms = terms_of([("a", X), ("b", Y)], metric.needs(), [(0, 1)])
    law = metric.law(terms, 0, 1, metric.score(terms, 0, 1))
    expected = ((draws - draws.mean()) ** 3).mean() / draws.std() ** 3
    assert law.skewness == pytest.approx(expected, rel=1e-6)
    assert law.std == pytest.approx(draws.std(), rel=1e-8)


def test_a_block_is_of_all_samples_or_of_the_same_few():
    np.testing.assert_array_equal(block_samples(512), np.arange(512))
    chosen = block_samples(5000)
    assert len(np.unique(chosen)) == 512
    np.testing.assert_array_equal(chosen, block_samples(5000))


def test_a_mean_over_pairs_has_hoeffdings_variance():
    # h_ij = (x_i + x_j) + e_ij: ζ₁ = Var x, ζ₂ = 2 Var x + Var e
    rng = np.random.default_rng(5)
    n, found, means = 40, [], []
    for _ in range(600):
        x = 0.3 * rng.standard_normal(n)
        e = np.triu(rng.standard_normal((n, n)), 1)
        h = x[:, None] + x[None, :] + e + e.T
        np.fill_diagonal(h, 0.0)
        means.append(h.sum() / (n * (n - 1)))
        found.append(pair_std_error(h, n) ** 2)
    expected = (4 * (n - 2) * 0.09 + 2 * (0.18 + 1.0)) / (n * (n - 1))
    assert np.mean(found) == pytest.approx(expected, rel=0.03)
    assert np.var(means) == pytest.approx(expected, rel=0.12)


def test_large_sets_use_a_block_and_find_the_same_skewness():
    rng = np.random.default_rng(6)
    Z = rng.standard_normal((1500, 3))
    models = {"a": Z, "b": rng.standard_normal((1500, 4))}
    m = cs.compare(models, [("distance_correlation", {"unbiased": True})], intervals=None)
    scores = m.scores["distance_correlation"]
    from consilience.inference.laws import PearsonThree

    whole = [Block(reference.distances(X)).u_terms for X in models.values()]
    law = PearsonThree(0.0, scores.null_std[0, 1], skewness(*whole))
    expected = law.upper(scores.values[0, 1])
    assert scores.p_value[0, 1] == pytest.approx(expected, rel=0.05)
