"""Do 95 of 100 intervals hold the truth?"""

from dataclasses import replace

import numpy as np
import pytest

import consilience as cs
from consilience._evaluate import metric_with, terms_of
from consilience._halved import Halved, Halves, wide_enough
from consilience.inference.dependence import added_by_dependence, dependent_std_error, disjoint
from consilience.metrics._dimension import (
    gride_influence,
    gride_mle,
    twonn_fit,
    twonn_fit_influence,
)
from consilience.study._errors import wider_needs

N, REPEATS = 120, 200
METRICS = [
    ("mutual_knn", {"k": 8}),
    ("cknna", {"k": 8}),
    ("information_imbalance", {"k": 8}),
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("distance_correlation", {"unbiased": True}),
    ("rsa", {}),
    ("hsic", {}),
    ("linear_regression_r2", {}),
    ("twonn", {}),
]


def embeddings(rng, n):
    """Two views of 6 directions, 4 more of their own each: linear CKA is 0.6."""
    shared = rng.standard_normal((n, 6))
    return {m: np.hstack([shared, rng.standard_normal((n, 4))]) for m in "ab"}


@pytest.fixture(scope="module")
def repeats():
    """Scores and their errors, over many samples of 120."""
    found = {f"{name} {settings}": [] for name, settings in METRICS}
    for draw in range(REPEATS):
        models = embeddings(np.random.default_rng([30, draw]), N)
        m = cs.compare(models, METRICS, null=None, n_threads=1)
        for label, score in zip(found, m.scores.values(), strict=True):
            a, b = score.cells()[0]
            found[label].append((score.at(score.values, a, b), score.at(score.std_error, a, b)))
    return {label: np.array(pairs) for label, pairs in found.items()}


def truth(label, values):
    if label == "cka {'debiased': True}":
        return 0.6
    if label == "hsic {}":
        return 6.0
    if "unbiased" in label:
        big = embeddings(np.random.default_rng(31), 6000)
        return cs.distance_correlation(big["a"], big["b"], unbiased=True)
    # What is estimated at this n and k is the expected score at this n and k.
    return values.mean()


@pytest.mark.parametrize("label", [f"{name} {settings}" for name, settings in METRICS])
def test_intervals_hold_the_truth_as_often_as_they_say(repeats, label):
    values, errors = repeats[label].T
    held = np.abs(values - truth(label, values)) < 1.96 * errors
    # 95 % of 200 is measured within 1.5 % (one standard deviation).
    assert 0.91 <= held.mean() <= 0.99
    assert values.std() / np.sqrt(np.mean(errors**2)) == pytest.approx(1.0, abs=0.15)


def test_errors_of_rows_alone_would_be_too_small(repeats):
    """That a sample is a neighbour of several others is most of the error."""
    models = embeddings(np.random.default_rng(32), N)
    _, metric = metric_with("mutual_knn", {"k": 8})
    terms = terms_of(models.items(), metric.needs(), [(0, 1)])
    alone = dependent_std_error(metric.influence(terms, 0, 1), 0.0)
    assert repeats["mutual_knn {'k': 8}"][:, 0].std() > 1.3 * alone


# ---- the parts ---------------------------------------------------------------------------


def test_subsets_are_disjoint_and_the_same_each_time():
    for parts, again in zip(disjoint(31, 10, 3, 4), disjoint(31, 10, 3, 4), strict=True):
        assert len(set(np.concatenate(parts))) == 30
        for part, other in zip(parts, again, strict=True):
            np.testing.assert_array_equal(part, other)


def test_dependence_adds_what_the_mean_varies_beyond_its_rows():
    rng = np.random.default_rng(33)
    extra = []
    for _ in range(4000):
        parts = [rng.standard_normal(20) + 0.5 * rng.standard_normal() for _ in range(3)]
        extra.append(added_by_dependence(parts))
    assert np.mean(extra) == pytest.approx(0.25, rel=0.1)


def test_independent_rows_have_the_error_of_their_mean():
    rows = np.random.default_rng(34).standard_normal(50)
    expected = rows.std(ddof=1) / np.sqrt(50)
    assert dependent_std_error(rows, 0.0) == pytest.approx(expected)
    assert dependent_std_error(rows, -1.0) == pytest.approx(expected)


@pytest.mark.parametrize("backend", ["native", "array"])
@pytest.mark.parametrize("n", [40, 41])
def test_neighbours_in_a_half_are_those_of_the_half_alone(rng, backend, n):
    X = rng.standard_normal((n, 4))
    _, metric = metric_with("cknna", {"k": 7})
    half = metric.among(n // 2, n)
    wide = wide_enough(half.k, n)
    needs = metric_with("cknna", {"k": wide})[1].needs()
    terms = terms_of([("a", X)], [*half.needs(), *needs], [(0, 0)], backend=backend)
    in_half = np.zeros(n, np.int64)
    for _, second in disjoint(n, n // 2, 2, 3):
        in_half[:] = 0
        in_half[second] = 1
        halved = Halved(terms, in_half, 0)
        (need,) = half.needs()
        graph, edges = halved.graph(0, need.graph), halved.edges(0, need)
        for part in (np.flatnonzero(in_half == 0), second):
            alone = terms_of([("a", X[part])], half.needs(), [(0, 0)], backend=backend)
            expected = part[alone.graph(0, need.graph).indices]
            np.testing.assert_array_equal(graph.indices[part], expected)
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        products = np.einsum("if,isf->is", unit, (unit - unit.mean(axis=0))[graph.indices])
        np.testing.assert_allclose(edges, products, rtol=1e-10, atol=1e-12)


def test_a_row_with_too_few_of_its_half_is_filled_without_weight():
    # All of one half far away: their lists hold hardly any of themselves.
    X = np.arange(60.0)[:, None] + 1.0
    _, metric = metric_with("cknna", {"k": 5, "normalize": "none"})
    terms = terms_of([("a", X)], metric.needs(), [(0, 0)])
    (need,) = metric.needs()
    in_half = np.zeros(60, np.int64)
    in_half[:20] = 1  # inner products make the last samples everyone's neighbours
    halved = Halved(terms, in_half, 0)
    halved._wide = lambda graph: graph  # lists too short on purpose
    graph, edges = halved.graph(0, need.graph), halved.edges(0, need)
    assert (in_half[graph.indices] == in_half[:, None]).all()
    assert all(len(set(row)) == 5 and i not in row for i, row in enumerate(graph.indices))
    assert (edges[:20] == 0.0).all()
    assert (edges[30:50] != 0.0).all()


@pytest.mark.parametrize("backend", ["native", "array"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cknna", {"k": 7}),
        ("mutual_knn", {"k": 7}),
        ("jaccard_knn", {"k": 6}),
        ("twonn", {}),
        ("gride", {"n1": 2, "n2": 5}),
        ("dimension_mle", {"k": 8}),
        ("dimension_mle", {"k": 8, "combine": "mean"}),
    ],
)
def test_what_rows_add_in_a_half_is_what_they_add_in_the_half_alone(rng, backend, name, settings):
    n = 41
    X = rng.standard_normal((n, 4))
    sets = [("a", X), ("b", X[:, :3] + 0.3 * rng.standard_normal((n, 3)))]
    _, metric = metric_with(name, settings)
    half = metric.among(n // 2, n)
    needs = [*half.needs(), *wider_needs([metric], n)]
    terms = terms_of(sets, needs, [(0, 1)], backend=backend)
    splits = list(disjoint(n, n // 2, 2, 3))
    halves = Halves(terms, [second for _, second in splits])
    found = half.influence(halves, 0, 1)
    assert found.shape == (3, n)
    for draw, (_, second) in enumerate(splits):
        in_half = np.zeros(n, np.int64)
        in_half[second] = 1
        expected = half.influence(OneSplit(terms, in_half, 0), 0, 1)
        np.testing.assert_allclose(found[draw], expected, rtol=1e-9, atol=1e-12)


class OneSplit(Halved):
    """The terms of one split, from its lists: which are those of the half alone."""

    def nearest(self, m, need, orders):
        return tuple(self.graph(m, need).distances[:, order - 1] for order in orders)

    def log_distances(self, m, need):
        return np.log(self.graph(m, need).distances).sum(axis=1)


def test_a_row_with_too_few_of_its_half_has_its_last_distance_for_theirs():
    X = np.arange(60.0)[:, None] + 1.0
    _, metric = metric_with("dimension_mle", {"k": 5})
    terms = terms_of([("a", X)], metric.needs(), [(0, 0)])
    (need,) = metric.needs()
    halves = Halves(terms, [np.array([0, 1, 2, 59])])
    halves._terms = FiveWide(terms)
    (last,) = halves.nearest(0, need, (5,))
    near = np.abs(X - X.T)
    np.fill_diagonal(near, np.inf)
    near.sort(axis=1)
    assert last[0, 0] == 5.0  # it knows two of its half only
    logs = halves.log_distances(0, need)
    np.testing.assert_allclose(logs[0, 0], np.log([1.0, 2.0, 5.0, 5.0, 5.0]).sum())
    np.testing.assert_allclose(logs[0, 30], np.log(near[30, :5]).sum())


class FiveWide:
    """Lists too short on purpose."""

    def __init__(self, terms):
        self._terms = terms

    def graph(self, m, need):
        return self._terms.graph(m, replace(need, k=5))


@pytest.mark.parametrize(
    ("estimate", "influence"),
    [
        (lambda x: twonn_fit(x, 0.1), lambda x: twonn_fit_influence(x, 0.1)),
        (lambda x: gride_mle(x, 1, 2), lambda x: gride_influence(x, 1, 2)),
        (lambda x: gride_mle(x, 2, 5), lambda x: gride_influence(x, 2, 5)),
    ],
    ids=["twonn", "gride of two", "gride"],
)
def test_influence_is_what_leaving_a_ratio_out_does(estimate, influence):
    rng = np.random.default_rng(35)
    x = rng.exponential(size=2001) / 3.0 + 1e-3
    found = influence(x)
    found = found - found.mean()
    whole = estimate(x)
    chosen = rng.choice(2001, 200, replace=False)
    without = np.array([(whole - estimate(np.delete(x, i))) * 2000 for i in chosen])
    assert np.corrcoef(found[chosen], without)[0, 1] > 0.995
    assert found[chosen].std() == pytest.approx(without.std(), rel=0.02)


@pytest.mark.parametrize("name", ["cca", "procrustes", "linear_regression_r2"])
def test_influence_of_rows_is_what_leaving_them_out_does(name, rng):
    shared = rng.standard_normal((800, 3))
    X = np.hstack([shared, rng.standard_normal((800, 1))]) @ np.diag([1.0, 1.3, 1.7, 2.0])
    Y = shared @ rng.standard_normal((3, 3)) + rng.standard_normal((800, 3))
    _, metric = metric_with(name, {})

    def value(keep):
        terms = terms_of([("a", X[keep]), ("b", Y[keep])], metric.needs(), [(0, 1)])
        return terms, metric.score(terms, 0, 1).value

    every = np.arange(800)
    terms, whole = value(every)
    rows = metric.influence(terms, 0, 1)
    rows = (rows - rows.mean())[::10]
    without = np.array([(whole - value(np.delete(every, i))[1]) * 799 for i in every[::10]])
    assert np.corrcoef(rows, without)[0, 1] > 0.999
    assert rows.std() == pytest.approx(without.std(), rel=0.02)


# ---- through compare ---------------------------------------------------------------------


def test_what_has_no_error_unasked_gets_one_from_random_halves(rng):
    models = embeddings(rng, 120)
    metrics = ["svcca", "pwcca", ("rsa", {"correlation": "spearman"}), "cca"]
    plain = cs.compare(models, metrics, null=None)
    assert [plain.scores[label].std_error is None for label in metrics[:2]] == [True, True]
    m = cs.compare(models, metrics, null=None, intervals="subsample")
    for label in m.metrics:
        error = m.scores[label].std_error[0, 1]
        assert 0.002 < error < 0.1, label
    assert m.scores["cca"].std_error[0, 1] == plain.scores["cca"].std_error[0, 1]


def test_errors_from_random_halves_are_about_right():
    values, errors = [], []
    for draw in range(40):
        models = embeddings(np.random.default_rng([36, draw]), 100)
        m = cs.compare(models, [("rsa", {"correlation": "spearman"})], null=None,
                       intervals="subsample", n_threads=1)  # fmt: skip
        (score,) = m.scores.values()
        values.append(score.values[0, 1])
        errors.append(score.std_error[0, 1])
    assert 0.7 < np.std(values) / np.sqrt(np.mean(np.square(errors))) < 1.4


def test_no_interval_is_asked_for(rng):
    m = cs.compare(embeddings(rng, 40), ["mutual_knn", "cka"], intervals=None)
    assert m.interval("mutual_knn") is None
    assert m.interval("cka") is None


def test_too_few_samples_have_no_error_and_say_so_by_nan(rng):
    m = cs.compare(embeddings(rng, 12), [("mutual_knn", {"k": 3}), "cka"])
    assert m.interval("mutual_knn") is None
    assert m.interval("cka") is not None


def test_the_diagonal_has_no_error(rng):
    m = cs.compare(embeddings(rng, 60), ["mutual_knn", "cka", "information_imbalance"])
    for score in m.scores.values():
        assert np.isnan(np.diag(score.std_error)).all()
        assert np.isfinite(score.std_error[0, 1])
