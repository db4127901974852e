"""The oracles themselves, held against numbers that the peers' own programs computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import reference

GOLDEN = np.load(Path(__file__).parent / "data" / "prh_s0_n200.npz", allow_pickle=False)
A, B = GOLDEN["A"], GOLDEN["B"]
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
PAIRS = {"AB": (A, B), "BA": (B, A), "AA": (A, A)}
SINGLES = {"A": A, "B": B}


def cka_with_epsilon(X, Y, **kernel):
    """platonic-rep adds 1e-6 to the denominator of CKA."""
    xy, xx, yy = (reference.hsic(a, b, **kernel) for a, b in ((X, Y), (X, X), (Y, Y)))
    return xy / (np.sqrt(xx * yy) + 1e-6)


def distance_covariance_squared(X, Y):
    a, b = (reference.double_centered(reference.distances(M)) for M in (X, Y))
    return (a * b).mean()


def oracle(name):
    """The reference value of a golden number, from the number's name."""
    program, metric, *rest = name.split(".")
    tail = rest[-1] if rest else "AB"
    X, Y = PAIRS.get(tail, (A, B))
    if program == "prh":
        if metric == "cka":
            rbf = {"kernel": "rbf", "bandwidth": 1.0} if rest[0] == "rbf1" else {}
            if rest[-1] == "unbiased":
                return cka_with_epsilon(A, B, **rbf)
            return reference.cka(A, B, **rbf)
        k = int(rest[0][1:])
        return {
            "cycle_knn": lambda: reference.cycle_knn(X, Y, k),
            "mutual_knn": lambda: reference.mutual_knn(X, Y, k),
            "lcs_knn": lambda: reference.lcs_knn(X, Y, k),
            "edit_distance_knn": lambda: reference.edit_knn(X, Y, k),
            "cknna": lambda: reference.cknna_prh_code(X, Y, k, eps=1e-6),
            "cknna_biased": lambda: reference.cknna_prh_code(X, Y, k, eps=1e-6, unbiased=False),
        }[metric]()
    if program == "paper":
        return reference.cknna_paper(A, B, int(rest[0][1:]))
    if program == "dcor":
        return {
            "biased": lambda: reference.distance_correlation(A, B),
            "u_sqr": lambda: reference.distance_correlation(A, B, unbiased=True),
            "dcov_sqr": lambda: distance_covariance_squared(A, B),
        }[metric]()
    if metric == "ii":
        return reference.information_imbalance(X, Y, k=int(rest[0][1:]))[0]
    Z = SINGLES[tail]
    return {
        "twonn": lambda: reference.twonn(Z),
        "twonn_ml": lambda: reference.twonn(Z, method="mle"),
        "mle20": lambda: reference.dimension_mle(Z, k=20),
        "mle20_mean": lambda: reference.dimension_mle(Z, k=20, combine="mean"),
    }[metric]()


@pytest.mark.parametrize("name", VALUES)
def test_oracle_equals_the_peer(name):
    # The peers of the "prh" rows work in float32, the others in float64.
    tolerance = 1e-6 if name.startswith(("prh", "paper")) else 1e-9
    assert oracle(name) == pytest.approx(VALUES[name], rel=tolerance)


def test_pearson_and_spearman_rsa_agree_with_scipy(paired):
    from scipy.spatial.distance import pdist
    from scipy.stats import pearsonr, spearmanr

    a, b = (pdist(M) for M in paired)
    assert reference.rsa(*paired) == pytest.approx(pearsonr(a, b)[0], rel=1e-12)
    spearman = reference.rsa(*paired, correlation="spearman")
    assert spearman == pytest.approx(spearmanr(a, b)[0], rel=1e-12)


def test_gride_of_the_first_two_neighbors_is_the_maximum_likelihood_twonn():
    n = len(A)
    # The maximum is N / sum(ln mu); TwoNN divides N - 1 to be unbiased.
    assert reference.gride(A) * (n - 1) / n == pytest.approx(
        reference.twonn(A, method="mle"), rel=1e-12
    )


def test_gride_maximizes_the_likelihood():
    n1, n2 = 3, 7
    log_mu = np.log(reference.ratios(A, n1, n2))

    def log_likelihood(d):
        grown = (n2 - n1 - 1) * np.log(np.expm1(d * log_mu))
        return (np.log(d) + grown - ((n2 - 1) * d + 1) * log_mu).sum()

    d = reference.gride(A, n1=n1, n2=n2)
    best = log_likelihood(d)
    assert best > log_likelihood(d * 1.001)
    assert best > log_likelihood(d / 1.001)


def test_regression_on_everything_explains_everything(rng):
    X = rng.standard_normal((30, 4))
    assert reference.r2(X, X @ rng.standard_normal((4, 3))) == pytest.approx(1.0)
    assert reference.r2(X, rng.standard_normal((30, 3))) < 0.5


def closed_form(A, B):
    """Mean and variance of the Mantel statistic under relabeling (METRICS, inference)."""

    def invariants(A):
        A = A - np.diag(np.diag(A))
        row, column = A.sum(axis=1), A.sum(axis=0)
        square, mirrored = (A * A).sum(), (A * A.T).sum()
        rows = (row**2).sum() - square
        columns = (column**2).sum() - square
        cross = (row * column).sum() - mirrored
        rest = A.sum() ** 2 - (square + mirrored + rows + columns + 2 * cross)
        return A.sum(), square, mirrored, rows, columns, cross, rest

    n = len(A)
    pairs, triples, quadruples = n * (n - 1), n * (n - 1) * (n - 2), n * (n - 1) * (n - 2)
    quadruples *= n - 3
    a, b = invariants(A), invariants(B)
    mean = a[0] * b[0] / pairs
    second = (a[1] * b[1] + a[2] * b[2]) / pairs
    second += (a[3] * b[3] + a[4] * b[4] + 2 * a[5] * b[5]) / triples
    second += a[6] * b[6] / quadruples
    return mean, second - mean**2


@pytest.mark.parametrize("symmetric", [True, False])
def test_enumerated_permutation_moments_equal_the_closed_form(symmetric, rng):
    A, B = rng.standard_normal((2, 6, 6))
    if symmetric:
        A, B = A + A.T, B + B.T
    assert reference.mantel_moments(A, B) == pytest.approx(closed_form(A, B), rel=1e-10)


def test_neighbors_are_ordered_by_distance_then_index():
    X = np.array([[0.0], [1.0], [-1.0], [1.0], [2.0]])
    indices, distances = reference.neighbors(X, 4)
    assert indices[0].tolist() == [1, 2, 3, 4]
    assert distances[0].tolist() == [1.0, 1.0, 1.0, 2.0]
    assert indices[3].tolist() == [1, 0, 4, 2]


def test_clipping_uses_one_bound_for_the_whole_array():
    X = np.array([[1.0, -2.0], [3.0, -40.0]])
    assert reference.clipped(X, 0.5).tolist() == [[1.0, -2.0], [3.0, -3.0]]
