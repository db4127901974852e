"""The closed-form permutation null against all 720 orders of six samples."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference
from consilience.metrics import METRICS

CLOSED_FORM = [
    ("mutual_knn", {"k": 2}, lambda X, Y: reference.mutual_knn(X, Y, 2)),
    ("cknna", {"k": 3}, lambda X, Y: reference.cknna_paper(X, Y, 3)),
    ("cka", {}, reference.cka),
    ("cka", {"debiased": True}, lambda X, Y: reference.cka(X, Y, debiased=True)),
    ("cka", {"kernel": "rbf"}, lambda X, Y: reference.cka(X, Y, kernel="rbf")),
    (
        "distance_correlation",
        {"unbiased": True},
        lambda X, Y: reference.distance_correlation(X, Y, unbiased=True),
    ),
    ("rsa", {}, reference.rsa),
    ("hsic", {}, reference.hsic),
    ("hsic", {"unbiased": False}, lambda X, Y: reference.hsic(X, Y, unbiased=False)),
    (
        "information_imbalance",
        {"k": 2},
        lambda X, Y: reference.information_imbalance(X, Y, k=2)[0],
    ),
]


def test_every_claim_of_a_closed_form_is_enumerated_below():
    claimed = {name for name, metric in METRICS.items() if metric.null == "closed form"}
    assert claimed == {name for name, _, _ in CLOSED_FORM}


@pytest.mark.parametrize(
    ("name", "settings", "oracle"), CLOSED_FORM, ids=[f"{n} {s}" for n, s, _ in CLOSED_FORM]
)
def test_mean_and_deviation_equal_full_enumeration(name, settings, oracle):
    rng = np.random.default_rng(12)
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    scores = cs.compare({"a": X, "b": Y}, metrics=[(name, settings)], progress=False).scores
    (score,) = scores.values()
    mean, variance = reference.permutation_moments(oracle, X, Y)
    assert score.null_mean[0, 1] == pytest.approx(mean, rel=1e-8, abs=1e-10)
    assert score.null_std[0, 1] == pytest.approx(np.sqrt(variance), rel=1e-8)


def test_the_null_of_mutual_knn_is_k_over_n_minus_one():
    rng = np.random.default_rng(13)
    models = {"a": rng.standard_normal((40, 3)), "b": rng.standard_normal((40, 5))}
    m = cs.compare(models, metrics=[("mutual_knn", {"k": 7})], progress=False)
    (score,) = m.scores.values()
    assert score.null_mean[0, 1] == pytest.approx(7 / 39, rel=1e-12)


def test_the_standard_error_of_mutual_knn_is_that_of_its_rows_and_their_dependence(paired):
    X, Y = paired
    m = cs.compare({"a": X, "b": Y}, metrics=[("mutual_knn", {"k": 5})], progress=False)
    (score,) = m.scores.values()
    A, B = reference.graphs(X, Y, 5)
    rows = [len(set(a) & set(b)) / 5 for a, b in zip(A, B, strict=True)]
    of_rows = np.std(rows, ddof=1) / np.sqrt(len(rows))
    # Rows decide who is a neighbour in other rows: the mean varies more than they do.
    assert of_rows <= score.std_error[0, 1] < 3.0 * of_rows
