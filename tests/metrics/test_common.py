"""What each metric claims in its @metric line, checked for all of them."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest

import consilience as cs
from consilience.backends import select
from consilience.metrics import METRICS, PRESETS

NAMES = sorted(METRICS)
PAIRWISE = [m for m in NAMES if METRICS[m].kind != "single"]


def values(name, X, Y, **options):
    """All the numbers a metric returns, as a flat array."""
    metric = METRICS[name]
    if "permutations" in inspect.signature(metric.function).parameters:
        options.setdefault("permutations", 0)
    arrays = (X,) if metric.kind == "single" else (X, Y)
    result = metric.function(*arrays, **options)
    if hasattr(result, "value"):
        result = result.value
    return np.atleast_1d(np.asarray(result, dtype=np.float64))


def translation(X, rng):
    return X + 100.0 * rng.standard_normal(X.shape[1])


def rotation(X, rng):
    return X @ np.linalg.qr(rng.standard_normal((X.shape[1],) * 2))[0]


def isotropic_scaling(X, rng):
    return X * rng.uniform(0.1, 10.0)


def feature_scaling(X, rng):
    return X * rng.uniform(0.1, 10.0, X.shape[1])


CHANGES = {f.__name__: f for f in (translation, rotation, isotropic_scaling, feature_scaling)}
KNOWN_CLAIMS = {*CHANGES, "sample_order"}
CLAIMS = [(m, c) for m in NAMES for c in sorted(METRICS[m].invariant_to) if c in CHANGES]


@pytest.fixture
def regular(rng):
    """Two noisy views of one cause: no direction is shared exactly, none is weak."""
    cause = rng.standard_normal((97, 4))
    X = cause @ rng.standard_normal((4, 7)) + rng.standard_normal((97, 7))
    Y = cause @ rng.standard_normal((4, 6)) + rng.standard_normal((97, 6))
    return X, Y


def test_the_registry_is_not_empty():
    expected = {"cknna", "mutual_knn", "cka", "distance_correlation", "twonn"}
    assert expected <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_of_known_kinds(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.kind in {"pair", "directed", "single"}
    assert set(metric.invariant_to) <= KNOWN_CLAIMS
    low, high = metric.bounds
    assert low < high
    assert metric.summary
    assert "\n" not in metric.summary


@pytest.mark.parametrize(("name", "change"), CLAIMS)
def test_invariance(name, change, backend, regular, rng):
    X, Y = regular
    changed = CHANGES[change](X, rng)
    # A change of units rounds the input itself: eight digits must stay.
    np.testing.assert_allclose(
        values(name, changed, Y, backend=backend),
        values(name, X, Y, backend=backend),
        rtol=1e-8,
        atol=1e-10,
    )


@pytest.mark.parametrize(("name", "change"), [c for c in CLAIMS if c[0] in PAIRWISE])
def test_invariance_of_the_second_argument(name, change, regular, rng):
    X, Y = regular
    np.testing.assert_allclose(
        values(name, X, CHANGES[change](Y, rng)), values(name, X, Y), rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("name", [m for m in PAIRWISE if METRICS[m].symmetric])
def test_symmetry(name, backend, regular):
    X, Y = regular
    np.testing.assert_allclose(
        values(name, X, Y, backend=backend),
        values(name, Y, X, backend=backend),
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize(
    "name",
    [m for m in PAIRWISE if not METRICS[m].symmetric and METRICS[m].kind == "directed"],
)
def test_directed_metrics_are_not_symmetric(name, regular):
    # A claim the other way round: a direction that makes no difference is no direction.
    X, Y = regular
    forward, back = values(name, X, Y), values(name, Y, X)
    if forward.size == 2:
        np.testing.assert_allclose(forward, back[::-1], rtol=1e-12)
        assert forward[0] != forward[1]
    else:
        assert forward != back


@pytest.mark.parametrize("name", NAMES)
def test_sample_order(name, backend, regular, rng):
    X, Y = regular
    order = rng.permutation(len(X))
    np.testing.assert_allclose(
        values(name, X[order], Y[order], backend=backend),
        values(name, X, Y, backend=backend),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("relation", ["half shared", "equal", "opposite", "independent"])
def test_bounds(name, relation, backend, regular, rng):
    X, Y = regular
    Y = {
        "half shared": Y,
        "equal": X,
        "opposite": -X,
        "independent": rng.standard_normal((97, 40)),
    }[relation]
    low, high = METRICS[name].bounds
    found = values(name, X, Y, backend=backend)
    # One unit in the last place of a sum over n * n entries is no breach.
    slack = 1e-12 * max(1.0, abs(high) if math.isfinite(high) else 1.0)
    assert np.all(np.isfinite(found))
    assert np.all((found >= low - slack) & (found <= high + slack))


@pytest.mark.parametrize("name", NAMES)
def test_backends_agree(name, regular):
    X, Y = regular
    np.testing.assert_allclose(
        values(name, X, Y, backend="native"),
        values(name, X, Y, backend="array"),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("name", NAMES)
def test_comparing_models_together_equals_each_pair_alone(name, regular, rng):
    X, Y = regular
    models = {"x": X, "y": Y, "z": X[:, :3] + rng.standard_normal((97, 3))}
    arrays = list(models.values())
    m = cs.compare(models, metrics=[name], progress=False)
    found = m[m.metrics[0]]
    for i, A in enumerate(arrays):
        if METRICS[name].kind == "single":
            np.testing.assert_allclose(found[i], values(name, A, None)[0], rtol=1e-10)
            continue
        for j, B in enumerate(arrays):
            expected = values(name, A, B)[0]
            np.testing.assert_allclose(found[i, j], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(name, dtype, rng):
    # Several tiles, no round numbers.
    X = rng.standard_normal((701, 13)).astype(dtype)
    Y = (X[:, :9] + 0.8 * rng.standard_normal((701, 9))).astype(dtype)
    one, two, three = (values(name, X, Y, n_threads=t, backend="native") for t in (1, 2, 3))
    assert one.tobytes() == two.tobytes() == three.tobytes()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("change", [{"tile": 17}, {"tile": 64}, {"max_memory": 4 << 20}], ids=str)
def test_neither_tile_nor_memory_changes_a_score(name, dtype, change, rng):
    X = rng.standard_normal((301, 13)).astype(dtype)
    Y = (X[:, :9] + 0.8 * rng.standard_normal((301, 9))).astype(dtype)
    ops = select("native", [X, Y], n_threads=2)
    expected = values(name, X, Y, backend=ops)
    found = values(name, X, Y, backend=replace(ops, **change))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_call_twice_gives_the_same_bits(name, backend, regular):
    first, second = (values(name, *regular, backend=backend) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_changes_no_bit(name, regular):
    X, Y = regular
    expected = values(name, X, Y)
    other = values(name, np.asfortranarray(X), Y[::-1][::-1])
    assert expected.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_options_are_keyword_only(name):
    parameters = inspect.signature(METRICS[name].function).parameters
    positional = [p.name for p in parameters.values() if p.kind != p.KEYWORD_ONLY]
    assert positional == (["X"] if METRICS[name].kind == "single" else ["X", "Y"])
    assert {"backend", "device", "n_threads"} <= set(parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_is_needed(name):
    doc = inspect.getdoc(METRICS[name].function)
    for section in ("Parameters", "Returns", "Raises"):
        assert f"{section}\n---" in doc, f"{name} has no {section} section"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_name_registered_metrics_and_their_options(preset):
    labels = [label for label, _, _ in PRESETS[preset]]
    assert len(set(labels)) == len(labels)
    for _, name, settings in PRESETS[preset]:
        assert name in METRICS
        known = inspect.signature(METRICS[name].function).parameters
        assert set(settings) <= set(known)


def test_the_two_presets_are_there():
    assert {"matter", "prh"} <= set(PRESETS)
