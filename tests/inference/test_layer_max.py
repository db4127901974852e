import numpy as np
import pytest

from consilience._evaluate import metric_with, terms_of
from consilience.inference.layer_max import layer_max
from consilience.inference.relabel import permutations


@pytest.fixture
def layers(rng):
    shared = rng.standard_normal((50, 3))
    a = [rng.standard_normal((50, 4)), shared + 0.5 * rng.standard_normal((50, 3))]
    b = [shared @ rng.standard_normal((3, 5)), *rng.standard_normal((2, 50, 4))]
    return a, b


def draws_of(a, b, name, settings, n_draws, seed):
    """(n_draws, n_a, n_b) scores with all layers of b relabelled alike, by definition."""
    _, metric = metric_with(name, settings)
    found = []
    for order in permutations(50, seed, 0, n_draws):
        scores = []
        for X in a:
            for Y in b:
                terms = terms_of([("X", X), ("Y", Y[order])], metric.needs(), [(0, 1)])
                scores.append(metric.score(terms, 0, 1).value)
        found.append(np.reshape(scores, (len(a), len(b))))
    return np.array(found)


@pytest.mark.parametrize(
    ("name", "settings", "sign"),
    [("mutual_knn", {"k": 5}, 1), ("cka", {}, 1), ("information_imbalance", {"k": 4}, -1)],
)
def test_one_relabelling_is_shared_by_all_layers(layers, name, settings, sign):
    a, b = layers
    found = layer_max(a, b, name, settings, draws=39, seed=3)
    null = sign * draws_of(a, b, name, settings, 39, 3)
    close = sign * found.values
    reached = (null >= close - 1e-12).sum(axis=0)
    np.testing.assert_allclose(found.p_value, (1 + reached) / 40)
    highest = null.max(axis=(1, 2))
    np.testing.assert_allclose(sign * found.null, highest, rtol=1e-9)
    assert found.best == np.unravel_index(close.argmax(), close.shape)
    assert found.best == (1, 0)
    assert found.best_p == (1 + (highest >= close.max()).sum()) / 40
    threshold = np.sort(np.append(highest, close.max()))[37]  # ⌈0.95 · 40⌉ = 38th
    assert sign * found.threshold == pytest.approx(threshold)
    best = {1: 1.0, -1: -5 / 50}[sign]
    expected = (close.max() - threshold) / (best - threshold)
    assert found.best_calibrated == pytest.approx(expected)


def test_the_best_of_many_unrelated_layers_is_rarely_significant():
    rng = np.random.default_rng(0)
    best, single = [], []
    for draw in range(150):
        a, b = rng.standard_normal((2, 4, 40, 5))
        found = layer_max(a, b, "mutual_knn", {"k": 4}, draws=19, seed=draw, n_threads=1)
        best.append(found.best_p <= 0.05)
        single.append(found.p_value.min() <= 0.05)
    assert np.mean(best) < 0.1
    assert np.mean(single) > 0.3  # what not accounting for the choice would claim


def test_threads_change_nothing(layers):
    one, three = (layer_max(*layers, "cknna", {"k": 5}, draws=30, n_threads=t) for t in (1, 3))
    np.testing.assert_array_equal(one.null, three.null)
    np.testing.assert_array_equal(one.calibrated, three.calibrated)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a_layers": []}, "at least one layer"),
        ({"metric": "twonn"}, "two sets"),
        ({"metric": "cknn"}, "did you mean 'cknna'"),
        ({"draws": 0}, "`draws`"),
        ({"alpha": 1.0}, "`alpha`"),
        ({"settings": {"q": 1}}, "no setting"),
    ],
)
def test_bad_requests(layers, change, message):
    given = {"a_layers": layers[0], "b_layers": layers[1], "metric": "mutual_knn"} | change
    with pytest.raises(ValueError, match=message):
        layer_max(given.pop("a_layers"), given.pop("b_layers"), **given)
