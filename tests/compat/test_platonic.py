"""platonic-rep's class: its names, its arguments, its numbers, its types."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest

import consilience as cs
import reference
from consilience.compat.platonic import AlignmentMetrics

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "prh_s0_n200.npz", allow_pickle=False)
A, B = GOLDEN["A"], GOLDEN["B"]
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
PAIRS = {"AB": (A, B), "BA": (B, A), "AA": (A, A)}

EQUAL = [
    (name, metric, pair, {"topk": k})
    for k in (10, 25)
    for metric in ("cycle_knn", "mutual_knn", "lcs_knn", "edit_distance_knn", "cknna")
    for pair in PAIRS
    if (name := f"prh.{metric}.k{k}.{pair}") in VALUES
]
EQUAL += [
    (f"prh.cknna_biased.k{k}.AB", "cknna", "AB", {"topk": k, "unbiased": False}) for k in (10, 25)
]
EQUAL += [
    ("prh.cka.ip", "cka", "AB", {}),
    ("prh.cka.ip.unbiased", "unbiased_cka", "AB", {}),
    ("prh.cka.ip.unbiased", "cka", "AB", {"unbiased": True}),
    ("prh.cka.rbf1", "cka", "AB", {"kernel_metric": "rbf"}),
    ("prh.cka.rbf1.unbiased", "unbiased_cka", "AB", {"kernel_metric": "rbf", "rbf_sigma": 1.0}),
]


def test_every_golden_number_of_theirs_is_used():
    assert {entry[0] for entry in EQUAL} == {name for name in VALUES if name.startswith("prh.")}


@pytest.mark.parametrize(("name", "metric", "pair", "options"), EQUAL)
def test_the_numbers_are_theirs_to_what_float32_allows(name, metric, pair, options):
    value = AlignmentMetrics.measure(metric, *PAIRS[pair], **options)
    assert value == pytest.approx(VALUES[name], rel=3e-6)


TYPES = {
    "cycle_knn": ({"topk": 5}, float),
    "mutual_knn": ({"topk": 5}, float),
    "lcs_knn": ({"topk": 5}, "float32"),
    "cka": ({}, float),
    "unbiased_cka": ({}, float),
    "cknna": ({"topk": 5}, float),
    "svcca": ({"cca_dim": 3}, np.float64),
    "edit_distance_knn": ({"topk": 5}, "float64"),
}


@pytest.mark.parametrize("metric", AlignmentMetrics.SUPPORTED_METRICS)
def test_tensors_get_the_types_that_theirs_return(metric):
    torch = pytest.importorskip("torch")
    options, wanted = TYPES[metric]
    tensors = torch.tensor(A), torch.tensor(B, requires_grad=True)
    found = AlignmentMetrics.measure(metric, *tensors, **options)
    if isinstance(wanted, str):
        assert found.dtype == getattr(torch, wanted)
        assert found.shape == ()
    else:
        assert type(found) is wanted
    plain = AlignmentMetrics.measure(metric, A, B, **options)
    assert type(plain) in (float, np.float64)
    assert float(found) == pytest.approx(plain, rel=1e-7)


def test_names_and_arguments_are_theirs():
    arguments = {
        "measure": ["metric", "args", "kwargs"],
        "cycle_knn": ["feats_A", "feats_B", "topk"],
        "mutual_knn": ["feats_A", "feats_B", "topk"],
        "lcs_knn": ["feats_A", "feats_B", "topk"],
        "edit_distance_knn": ["feats_A", "feats_B", "topk"],
        "cka": ["feats_A", "feats_B", "kernel_metric", "rbf_sigma", "unbiased"],
        "unbiased_cka": ["args", "kwargs"],
        "svcca": ["feats_A", "feats_B", "cca_dim"],
        "cknna": ["feats_A", "feats_B", "topk", "distance_agnostic", "unbiased"],
    }
    for name, wanted in arguments.items():
        assert list(inspect.signature(getattr(AlignmentMetrics, name)).parameters) == wanted
    defaults = inspect.signature(AlignmentMetrics.cka).parameters
    assert [defaults[name].default for name in ("kernel_metric", "rbf_sigma", "unbiased")] == [
        "ip",
        1.0,
        False,
    ]
    assert AlignmentMetrics.cka(A, B, "rbf", 2.0, True) == AlignmentMetrics.unbiased_cka(
        A, B, kernel_metric="rbf", rbf_sigma=2.0
    )


def test_features_are_taken_as_they_are():
    """Inner products of rows that are not normalised, where long rows are everybody's."""
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((60, 4)) * rng.uniform(0.1, 3, (60, 1)), rng.standard_normal((60, 3))
    expected = reference.mutual_knn(X, Y, 5, normalize="none", distance="ip")
    assert AlignmentMetrics.mutual_knn(X, Y, 5) == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(cs.mutual_knn(X, Y, k=5))


def test_unknown_names_raise_as_there():
    with pytest.raises(ValueError, match="Unrecognized metric: cca"):
        AlignmentMetrics.measure("cca", A, B)
    with pytest.raises(ValueError, match="Invalid kernel metric cosine"):
        AlignmentMetrics.cka(A, B, kernel_metric="cosine")
    with pytest.raises(ValueError, match="CKNNA requires topk >= 2"):
        AlignmentMetrics.cknna(A, B, topk=1)
    with pytest.raises(TypeError):
        AlignmentMetrics.mutual_knn(A, B)


# ---- where theirs crashes or draws random numbers ------------------------------------------


def test_cknna_takes_all_others_as_neighbours():
    n = len(A)
    K, L = A.astype(float) @ A.T, B.astype(float) @ B.T
    hsic = reference.hsic_unbiased
    expected = hsic(K, L) / (np.sqrt(hsic(K, K) * hsic(L, L)) + 1e-6)
    assert AlignmentMetrics.cknna(A, B) == pytest.approx(expected, rel=1e-9)
    assert AlignmentMetrics.cknna(A, B, topk=n - 1) == AlignmentMetrics.cknna(A, B)


@pytest.mark.parametrize("unbiased", [True, False])
def test_distance_agnostic_cknna_counts_the_neighbours_in_common(unbiased):
    X, Y = A.astype(float)[:, :5] * 3.0, B.astype(float)[:, :7]
    masks = []
    for Z in (X, Y):
        K = Z @ Z.T
        if unbiased:
            np.fill_diagonal(K, -np.inf)
        masks.append(reference.mask_of(np.argsort(-K, axis=1, kind="stable")[:, :10]))
    expected = (masks[0] * masks[1]).sum() / (10 * len(X) + 1e-6)
    found = AlignmentMetrics.cknna(X, Y, topk=10, distance_agnostic=True, unbiased=unbiased)
    assert found == pytest.approx(expected, rel=1e-12)


def test_svcca_is_the_same_every_time_and_exact():
    first = AlignmentMetrics.svcca(A, B, cca_dim=5)
    assert AlignmentMetrics.svcca(A, B, cca_dim=5) == first
    expected = reference.svcca(reference.zscore(A), reference.zscore(B), dims=5)
    assert first == pytest.approx(expected, rel=1e-8)


def test_what_is_undefined_raises():
    with pytest.raises(ValueError, match="feats_B` is constant"):
        AlignmentMetrics.cka(A, np.ones_like(B))
    with pytest.raises(ValueError, match="below n_samples"):
        AlignmentMetrics.mutual_knn(A, B, topk=len(A))
