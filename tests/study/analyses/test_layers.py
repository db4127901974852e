from __future__ import annotations

import math

import numpy as np
import pytest

import consilience as cs
from consilience._evaluate import terms_of
from consilience.metrics import METRICS
from consilience.study.analyses import layers
from consilience.study.analyses._relabel import beyond, relabelled

N = 120


@pytest.fixture
def two_models(rng):
    """Layer a2 and b1 see the same; all else is noise."""
    shared = rng.standard_normal((N, 5))
    a = {"a1": rng.standard_normal((N, 6)), "a2": shared, "a3": rng.standard_normal((N, 4))}
    turned = shared @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    b = {"b1": turned + 0.3 * rng.standard_normal((N, 5)), "b2": rng.standard_normal((N, 7))}
    return a, b


@pytest.mark.parametrize(
    ("metric", "settings"),
    [
        ("cknna", {"k": 10}),
        ("mutual_knn", {"k": 5}),
        ("cka", {}),
        ("distance_correlation", {}),
        ("id_correlation", {}),
        ("svcca", {}),
    ],
)
def test_every_cell_is_the_score_of_its_layers(two_models, metric, settings):
    a, b = two_models
    found = layers(a, b, metric, settings, n_permutations=0)
    expected = [
        # The correlation of dimensions comes with a p-value beside it.
        [np.atleast_1d(getattr(cs, metric)(X, Y, **settings))[0] for Y in b.values()]
        for X in a.values()
    ]
    np.testing.assert_allclose(found.values, expected, rtol=1e-10)
    assert found.calibrated is None
    assert found.best.p is None


def test_the_best_pair_is_calibrated_for_the_search(two_models):
    a, b = two_models
    found = layers(a, b, settings={"k": 10}, a="MACE", b="Orb", n_permutations=99).to_json()
    assert (found["a"], found["b"], found["label"]) == ("MACE", "Orb", "cknna")
    assert found["layers_a"] == ["a1", "a2", "a3"]
    assert found["layers_b"] == ["b1", "b2"]
    best = found["best"]
    assert (best["layer_a"], best["layer_b"]) == ("a2", "b1")
    assert best["value"] == max(max(row) for row in found["values"])
    assert best["p"] == 0.01
    # The search over six pairs costs something.
    assert 0.0 < best["calibrated"] <= found["calibrated"][1][0] < best["value"]
    assert found["n_permutations"] == 99


def test_the_level_of_the_best_pair_holds_where_nothing_is_shared():
    rng, best, single, trials = np.random.default_rng(0), 0, 0, 100
    for seed in range(trials):
        a, b = ({str(i): rng.standard_normal((40, 3)) for i in range(3)} for _ in "ab")
        found = layers(a, b, "mutual_knn", {"k": 5}, n_permutations=39, seed=seed)
        best += found.best.p <= 0.05
        single += max(max(row) for row in found.calibrated) > 0.0
    assert best / trials <= 0.12
    assert single / trials >= 0.2  # what is found by searching cells that are judged alone


@pytest.mark.parametrize("metric", ["cknna", "mutual_knn", "cka", "distance_correlation", "rsa"])
def test_relabelled_terms_are_those_of_the_rows_in_that_order(two_models, rng, metric):
    a, b = two_models
    X, Y = a["a1"], b["b1"]
    settings = METRICS[metric].settings_type(**({"k": 7} if "knn" in metric else {}))
    terms = terms_of((("X", X), ("Y", Y)), settings.needs(), [(0, 1)])
    settings.score(terms, 0, 1)
    order = rng.permutation(N)
    found = settings.score(relabelled(terms, frozenset({1}), order), 0, 1).value
    fresh = terms_of((("X", X), ("Y", Y[order])), settings.needs(), [(0, 1)])
    assert found == pytest.approx(settings.score(fresh, 0, 1).value, rel=1e-10)


def test_calibration_by_hand():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    # ⌈0.8 · 5⌉ = 4th of (0.1, 0.2, 0.3, 0.4, 0.7) is 0.4
    assert beyond(0.7, null, 1.0, 0.2) == (pytest.approx(0.5), 0.2)
    assert beyond(0.15, null, 1.0, 0.2) == (0.0, 0.8)
    assert beyond(0.7, null, math.inf, 0.2) == (None, 0.2)


def test_bad_input_is_named(two_models):
    a, b = two_models
    with pytest.raises(ValueError, match="`b_layers` is empty"):
        layers(a, {})
    with pytest.raises(ValueError, match="'twonn' is not an alignment"):
        layers(a, b, "twonn")
    with pytest.raises(ValueError, match="not an alignment"):
        layers(a, b, "information_imbalance")
    with pytest.raises(ValueError, match=r"120 .* 5|5 .* 120"):
        layers(a, {"b1": b["b1"][:5]})
    with pytest.raises(ValueError, match="k"):
        layers(a, b, "cknna", {"k": N})
    with pytest.raises(ValueError, match="`n_permutations` must not be negative"):
        layers(a, b, n_permutations=-1)
    constant = {"b1": np.ones((N, 3))}
    with pytest.raises(ValueError, match="b1"):
        layers(a, constant, "cka", n_permutations=0, b="Orb")
