"""What must hold for any input (drawn by hypothesis, the same draws on every run)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import consilience as cs
import reference

few = settings(max_examples=25, derandomize=True, deadline=None, database=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(8, 30)
widths = st.integers(2, 12)
dtypes = st.sampled_from([np.float32, np.float64])


def embeddings(count, n, d, seed, *, share=0.7):
    """`count` noisy views of one cause, each with widths of its own."""
    rng = np.random.default_rng(seed)
    cause = rng.standard_normal((n, 3))
    return [
        share * cause @ rng.standard_normal((3, d + i)) + rng.standard_normal((n, d + i))
        for i in range(count)
    ]


@few
@given(n=sizes, d=widths, k=st.integers(1, 7), seed=seeds)
def test_mutual_knn_obeys_a_triangle_inequality(n, d, k, seed):
    A, B, C = embeddings(3, n, d, seed)
    ab, bc, ac = (cs.mutual_knn(*p, k=k) for p in ((A, B), (B, C), (A, C)))
    assert ac >= ab + bc - 1.0 - 1e-12


@few
@given(n=sizes, d=widths, k=st.integers(1, 7), seed=seeds)
def test_neighbor_metrics_are_bounded_and_ordered(n, d, k, seed):
    X, Y = embeddings(2, n, d, seed)
    mutual = cs.mutual_knn(X, Y, k=k)
    jaccard = cs.jaccard_knn(X, Y, k=k)
    lcs = cs.lcs_knn(X, Y, k=k, relative=True)
    edit = cs.edit_knn(X, Y, k=k)
    # A common subsequence is part of the overlap; an edit script at least aligns it.
    assert 0.0 <= edit <= lcs + 1e-12
    assert lcs <= mutual + 1e-12
    assert mutual <= 1.0
    # |u| = 2k - |o| per row, so that the union is at least k.
    assert jaccard <= mutual + 1e-12


@few
@given(n=sizes, d=widths, k=st.integers(2, 7), exponent=st.integers(-8, 8), seed=seeds)
def test_cknna_is_symmetric_bounded_and_scale_free(n, d, k, exponent, seed):
    X, Y = embeddings(2, n, d, seed)
    score = cs.cknna(X, Y, k=k, normalize="none")
    assert abs(score) <= 1.0 + 1e-12
    assert cs.cknna(Y, X, k=k, normalize="none") == pytest.approx(score, rel=1e-9, abs=1e-12)
    assert cs.cknna(X, X, k=k, normalize="none") == pytest.approx(1.0, abs=1e-12)
    scaled = cs.cknna(10.0**exponent * X, Y, k=k, normalize="none")
    assert scaled == pytest.approx(score, rel=1e-9, abs=1e-12)


@few
@given(n=sizes, d=widths, k=st.integers(1, 7), seed=seeds)
def test_information_imbalance_of_a_set_with_itself(n, d, k, seed):
    (X,) = embeddings(1, n, d, seed)
    expected = (k + 1) / n
    assert tuple(cs.information_imbalance(X, X, k=k)) == pytest.approx((expected, expected))


@few
@given(n=sizes, d=widths, k=st.integers(1, 7), seed=seeds)
def test_information_imbalance_is_bounded(n, d, k, seed):
    X, Y = embeddings(2, n, d, seed)
    low = (k + 1) / n
    high = 2.0 / n * (n - 1 - (k - 1) / 2)
    for value in cs.information_imbalance(X, Y, k=k):
        assert low - 1e-12 <= value <= high + 1e-12


@pytest.mark.parametrize(
    "metric",
    [
        lambda X, Y: cs.cka(X, Y, debiased=True),
        lambda X, Y: cs.distance_correlation(X, Y, unbiased=True),
        lambda X, Y: cs.hsic(X, Y, unbiased=True),
    ],
    ids=["debiased CKA", "unbiased dCor", "unbiased HSIC"],
)
def test_unbiased_metrics_are_zero_on_average_where_features_outnumber_samples(metric):
    rng = np.random.default_rng(30)
    scores = np.array([metric(*rng.standard_normal((2, 16, 200))) for _ in range(100)])
    assert abs(scores.mean()) < 4 * scores.std() / math.sqrt(len(scores))
    assert scores.min() < 0.0 < scores.max()


@few
@given(
    n=sizes,
    d=widths,
    dtype=dtypes,
    offset=st.sampled_from([0.0, 1.0, 1e2, 1e4]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=seeds,
)
def test_linear_cka_ignores_rotation_scale_and_offset(n, d, dtype, offset, scale, seed):
    X, Y = embeddings(2, n, d, seed)
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    moved = (scale * (X @ Q + offset)).astype(dtype)
    # What the offset rounds away in float32 is the input's loss (2**-24 of 1e4 is 6e-4).
    lost = 4.0 * float(np.finfo(dtype).eps) * (offset + 10.0)
    assert cs.cka(moved, Y) == pytest.approx(cs.cka(X, Y), abs=lost + 1e-9)
    assert cs.cka(moved, Y) == pytest.approx(reference.cka(moved, Y), rel=1e-6)


METRICS = {
    "cknna": lambda X, Y, **o: cs.cknna(X, Y, k=4, **o),
    "cknna prh-code": lambda X, Y, **o: cs.cknna(X, Y, k=4, variant="prh-code", **o),
    "mutual_knn": lambda X, Y, **o: cs.mutual_knn(X, Y, k=4, **o),
    "jaccard_knn": lambda X, Y, **o: cs.jaccard_knn(X, Y, k=4, **o),
    "cycle_knn": lambda X, Y, **o: cs.cycle_knn(X, Y, k=4, **o),
    "lcs_knn": lambda X, Y, **o: cs.lcs_knn(X, Y, k=4, **o),
    "edit_knn": lambda X, Y, **o: cs.edit_knn(X, Y, k=4, **o),
    "cka": lambda X, Y, **o: cs.cka(X, Y, **o),
    "cka debiased": lambda X, Y, **o: cs.cka(X, Y, debiased=True, **o),
    "cka rbf": lambda X, Y, **o: cs.cka(X, Y, kernel="rbf", **o),
    "procrustes": lambda X, Y, **o: cs.procrustes(X, Y, **o),
    "linear_regression_r2": lambda X, Y, **o: cs.linear_regression_r2(X, Y, **o),
    "distance_correlation": lambda X, Y, **o: cs.distance_correlation(X, Y, **o),
    "rsa": lambda X, Y, **o: cs.rsa(X, Y, **o),
    "rsa spearman": lambda X, Y, **o: cs.rsa(X, Y, correlation="spearman", **o),
    "information_imbalance": lambda X, Y, **o: cs.information_imbalance(X, Y, k=4, **o),
    "twonn": lambda X, Y, **o: cs.twonn(X, **o),
    "dimension_mle": lambda X, Y, **o: cs.dimension_mle(X, k=5, **o),
    "gride": lambda X, Y, **o: cs.gride(X, n1=2, n2=4, **o),
    "id_correlation": lambda X, Y, **o: cs.id_correlation(X, Y, permutations=0, **o).value,
}


@pytest.mark.parametrize("name", METRICS)
@few
@given(n=st.integers(12, 40), d=widths, dtype=dtypes, seed=seeds)
def test_a_common_order_of_the_rows_changes_nothing(name, n, d, dtype, seed):
    X, Y = (A.astype(dtype) for A in embeddings(2, n, d, seed))
    order = np.random.default_rng(seed).permutation(n)
    score = METRICS[name](X, Y)
    assert METRICS[name](X[order], Y[order]) == pytest.approx(score, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
@few
@given(n=st.integers(12, 40), d=widths, dtype=dtypes, seed=seeds)
def test_backends_and_thread_counts_agree(name, n, d, dtype, seed):
    X, Y = (A.astype(dtype) for A in embeddings(2, n, d, seed))
    one, three = (METRICS[name](X, Y, backend="native", n_threads=t) for t in (1, 3))
    assert one == three
    array = METRICS[name](X, Y, backend="array")
    assert array == pytest.approx(one, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
@few
@given(n=st.integers(20, 40), d=widths, seed=seeds)
def test_a_tenth_of_exact_duplicates_survives(name, n, d, seed):
    X, Y = embeddings(2, n, d, seed)
    rng = np.random.default_rng(seed)
    copies = rng.permutation(n)[: max(2, n // 10)]
    for A in (X, Y):
        A[copies] = A[copies[0]]
    scores = np.atleast_1d(METRICS[name](X, Y))
    assert np.all(np.isfinite(scores))


@few
@given(n=sizes, d=st.integers(1, 5), k=st.integers(1, 7), span=st.integers(0, 4), seed=seeds)
def test_neighbors_of_small_integers_are_ordered_by_distance_and_index(n, d, k, span, seed):
    # Whole numbers: every distance is exact and most of them tie.
    X = np.random.default_rng(seed).integers(0, span + 2, (n, d)).astype(np.float32)
    X[0] = span + 3
    indices, distances = cs.neighbors(X, k=k)
    expected, expected_distances = reference.neighbors(X, k)
    assert indices.tolist() == expected.tolist()
    assert distances == pytest.approx(expected_distances, rel=1e-14)


@few
@given(n=st.integers(12, 30), k=st.integers(1, 5), seed=seeds)
def test_comparing_many_models_equals_comparing_two(n, k, seed):
    models = dict(zip("abc", embeddings(3, n, 4, seed), strict=True))
    asked = [("mutual_knn", {"k": k}), "cka", ("information_imbalance", {"k": k}), "twonn"]
    m = cs.compare(models, metrics=asked, progress=False)
    mutual, cka, imbalance, twonn = (m[label] for label in m.metrics)
    for i, X in enumerate(models.values()):
        assert twonn[i] == pytest.approx(cs.twonn(X), rel=1e-12)
        for j, Y in enumerate(models.values()):
            assert mutual[i, j] == pytest.approx(cs.mutual_knn(X, Y, k=k), rel=1e-12)
            assert cka[i, j] == pytest.approx(cs.cka(X, Y), rel=1e-9)
            forward = cs.information_imbalance(X, Y, k=k)[0]
            assert imbalance[i, j] == pytest.approx(forward, rel=1e-12)
