"""Scores of some rows: what they estimate, how well, and who can do without the others."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference
from consilience._evaluate import metric_with, terms_of
from consilience.backends import Channel, select
from consilience.backends.array import ArrayBackend
from consilience.backends.base import sampled_rows
from consilience.metrics import METRICS
from consilience.metrics._graph import graph_of
from consilience.metrics._row_kernels import RowProducts
from consilience.terms import Recall

# Means over rows, and functions of them, with settings that few samples suffice for.
MEANS = {
    "mutual_knn": {"k": 5},
    "jaccard_knn": {"k": 5, "distance": "cosine"},
    "lcs_knn": {"k": 5},
    "edit_knn": {"k": 5, "normalize": "none", "distance": "l2"},
    "information_imbalance": {"k": 2},
}
RATIOS = {
    "cknna": {"k": 6},
    "twonn": {"method": "mle"},
    "gride": {"n1": 2, "n2": 4},
    "dimension_mle": {"k": 5},
}
# Means over pairs of samples, and ratios of them.
PAIRS = {
    "distance_correlation": {"unbiased": True},
    "cka": {"kernel": "rbf", "debiased": True},
    "hsic": {"kernel": "rbf"},
    "rsa": {},
}
JOINT = {"id_correlation": {}}
SAMPLED = MEANS | RATIOS | PAIRS | JOINT
GRAPHS = {*MEANS, *RATIOS, "cycle_knn"} - {"information_imbalance"}


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(5)
    Z = rng.standard_normal((160, 4))
    X = Z @ rng.standard_normal((4, 7)) + 0.3 * rng.standard_normal((160, 7))
    Y = Z @ rng.standard_normal((4, 5)) + 0.5 * rng.standard_normal((160, 5))
    return X, Y


def cell(name):
    return (0,) if METRICS[name].kind == "single" else (0, 1)


def made(name, sets, backend="native", **search):
    """The metric, and terms of both sets that can score it."""
    _, metric = metric_with(name, {**SAMPLED[name], **search})
    pairs = [(0, 0), (1, 1)] if METRICS[name].kind == "single" else [(0, 1), (1, 0)]
    terms = terms_of(zip("XY", sets, strict=True), metric.needs(), pairs, backend=backend)
    metric.check(terms)
    return metric, terms


def scored(name, sets, backend="native", **search):
    metric, terms = made(name, sets, backend, **search)
    return metric.score(terms, *cell(name))


# ---- which metrics -----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_takes_rows_or_says_why_not(name):
    if name in SAMPLED:
        _, metric = metric_with(name, {**SAMPLED[name], "rows": 10})
        assert metric.rows == 10
        return
    message = "leave `rows` out" if name == "cycle_knn" else "no setting 'rows'"
    with pytest.raises(ValueError, match=message):
        metric_with(name, {"rows": 10})


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_takes_an_approximate_graph_or_says_why_not(name):
    if name in GRAPHS:
        _, metric = metric_with(name, {"neighbors": "approx"})
        assert graph_of(metric.needs()[0]).method == "approx"
        return
    message = "ranks" if name == "information_imbalance" else "no setting 'neighbors'"
    with pytest.raises(ValueError, match=message):
        metric_with(name, {"neighbors": "approx"})


def test_the_code_of_cknna_counts_both_directions_and_needs_all_rows():
    with pytest.raises(ValueError, match='variant="paper"'):
        metric_with("cknna", {"variant": "prh-code", "rows": 10})


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_one_search_at_a_time(name):
    if name != "cycle_knn":
        with pytest.raises(ValueError, match='leave `rows` or neighbors="approx" out'):
            metric_with(name, {"neighbors": "approx", "rows": 10})
    with pytest.raises(ValueError, match="exact"):
        metric_with(name, {"neighbors": "nearly"})


@pytest.mark.parametrize("rows", [2, 0, -3, 1.5, "all"])
def test_rows_are_a_number_of_rows(rows):
    with pytest.raises((ValueError, TypeError), match="rows"):
        metric_with("mutual_knn", {"rows": rows})


def test_there_are_no_more_rows_than_samples(sets):
    with pytest.raises(ValueError, match="at most n_samples=160, got 161"):
        cs.mutual_knn(*sets, rows=161)
    with pytest.raises(ValueError, match="at most n_samples=160, got 161"):
        cs.neighbors(sets[0], rows=161)


# ---- what they estimate ------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_all_rows_are_the_score(name, sets, backend):
    function, options = METRICS[name].function, SAMPLED[name]
    data = sets if METRICS[name].kind != "single" else sets[:1]
    options = options | ({"permutations": 0} if name == "id_correlation" else {})
    whole = function(*data, **options, backend=backend)
    assert function(*data, **options, rows=160, backend=backend) == whole
    assert function(*data, **options, rows=159, backend=backend) != whole


@pytest.mark.parametrize("name", sorted(MEANS))
def test_a_mean_over_rows_is_over_those_rows(name, sets, backend):
    metric, terms = made(name, sets, backend)
    expected = metric.influence(terms, 0, 1)[sampled_rows(160, 41, 3)].mean()
    found = scored(name, sets, backend, rows=41, seed=3)
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_cknna_is_a_ratio_of_sums_over_those_rows(sets, backend):
    metric, terms = made("cknna", sets, backend)
    rows = sampled_rows(160, 41, 3)
    ab, aa, bb = (part[rows].sum() for part in metric._products(terms, 0, 1))
    found = scored("cknna", sets, backend, rows=41, seed=3)
    assert found.value == pytest.approx(ab / np.sqrt(aa * bb), rel=1e-12)


@pytest.mark.parametrize("name", ["twonn", "gride", "dimension_mle"])
def test_a_dimension_is_that_of_those_rows(name, sets, backend):
    metric, terms = made(name, sets, backend)
    graph = terms.graph(0, metric.needs()[0])
    part, own = made(name, sets, backend, rows=41, seed=3)
    rows = sampled_rows(160, 41, 3)
    assert_array_equal(own.graph(0, part.needs()[0]).indices, graph.indices[rows])
    assert_allclose(own.graph(0, part.needs()[0]).distances, graph.distances[rows], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_the_estimate_has_no_bias_and_the_error_it_says(name, sets):
    """Over seeds: the mean is the score of all rows, the spread is the error."""
    whole = scored(name, sets).value
    found = [scored(name, sets, rows=60, seed=seed) for seed in range(160)]
    values = np.array([score.value for score in found])
    errors = np.array([score.details["rows_std_error"] for score in found])
    spread = values.std(ddof=1)
    bias = 0.0 if name in MEANS or name == "hsic" else 0.25 * spread  # a ratio's is of second order
    assert abs(values.mean() - whole) < 4.0 * spread / np.sqrt(len(values)) + bias
    assert 0.8 < np.sqrt((errors**2).mean()) / spread < 1.25
    assert 0.88 <= (np.abs(values - whole) <= 1.96 * errors).mean() <= 0.995


def test_the_rows_are_the_same_for_all_models_and_other_ones_for_another_seed(sets):
    metric, terms = made("mutual_knn", sets, rows=50, seed=1)
    (need,) = metric.needs()
    first, second = (terms.graph(m, need).rows for m in (0, 1))
    assert_array_equal(first, second)
    assert_array_equal(first, sampled_rows(160, 50, 1))
    assert not np.array_equal(first, sampled_rows(160, 50, 2))
    assert len(np.unique(first)) == 50


def test_every_sample_is_as_likely_as_any_other():
    counts = np.zeros(40)
    for seed in range(2000):
        counts[sampled_rows(40, 10, seed)] += 1
    assert abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_graphs_of_other_rows_and_methods_are_not_mixed_up(sets):
    metrics = [
        metric_with("mutual_knn", {"k": k, **search})[1]
        for k in (4, 7)
        for search in ({}, {"rows": 30}, {"rows": 30, "seed": 9}, {"rows": 90})
    ]
    needs = [need for metric in metrics for need in metric.needs()]
    shared = terms_of(zip("XY", sets, strict=True), needs, [(0, 1)])
    for metric in metrics:
        alone = terms_of(zip("XY", sets, strict=True), metric.needs(), [(0, 1)])
        assert metric.score(shared, 0, 1) == metric.score(alone, 0, 1)


# ---- what is not known -------------------------------------------------------------------


def test_the_null_of_some_rows_is_what_is_known_of_it(sets):
    mutual = scored("mutual_knn", sets, rows=41)
    assert (mutual.null.mean, mutual.null.std) == (5 / 159, None)
    imbalance = scored("information_imbalance", sets, rows=41)
    assert (imbalance.null.mean, imbalance.null.std) == (1.0, None)
    assert scored("cknna", sets, rows=41).null is None


def test_the_known_null_mean_is_that_of_relabelled_samples(sets):
    X, Y = sets
    rng = np.random.default_rng(2)
    drawn = [cs.mutual_knn(X, Y[rng.permutation(160)], k=5, rows=60) for _ in range(200)]
    assert abs(np.mean(drawn) - 5 / 159) < 4 * np.std(drawn) / np.sqrt(200)


@pytest.mark.parametrize("name", ["mutual_knn", "jaccard_knn", "lcs_knn", "edit_knn", "cknna"])
def test_relabelled_samples_would_need_all_rows(name, sets, backend):
    metric, terms = made(name, sets, backend, rows=41)
    with pytest.raises(ValueError, match="leave `rows` out"):
        metric.draws(terms, 0, 1, np.arange(160)[None, ::-1].copy())


def test_ranks_of_relabelled_samples_are_counted_for_the_same_rows(sets, backend):
    metric, terms = made("information_imbalance", sets, backend, rows=41)
    order = np.random.default_rng(1).permutation(160)
    other = sets[0], np.ascontiguousarray(sets[1][order])
    expected = scored("information_imbalance", other, backend, rows=41).value
    assert metric.draws(terms, 0, 1, order[None, :])[0] == pytest.approx(expected, rel=1e-12)


# ---- neighbours --------------------------------------------------------------------------


def test_neighbors_of_some_rows(sets, backend):
    X, _ = sets
    whole = cs.neighbors(X, k=4, backend=backend)
    part = cs.neighbors(X, k=4, rows=30, seed=2, backend=backend)
    assert_array_equal(part.rows, sampled_rows(160, 30, 2))
    assert_array_equal(part.indices, whole.indices[part.rows])
    assert part.recall is None
    assert whole.rows is None
    indices, distances = part
    assert indices is part[0]
    assert distances is part.distances


def test_approximate_neighbors_say_how_approximate(sets, monkeypatch):
    exact = cs.neighbors(sets[0], k=4, method="approx", backend="array")
    assert exact.recall is None  # few samples are searched exactly

    def told(self, X, *, k, distance, seed=0):
        graph = self.knn_exact(X, k=k, distance=distance)
        return dataclasses.replace(graph, recall=Recall(0.9, 0.8, 0.95, 20, 0.95))

    monkeypatch.setattr(ArrayBackend, "knn_approx", told)
    found = cs.neighbors(sets[0], k=4, method="approx", backend="array")
    assert (found.recall.low, found.recall.estimate, found.recall.high) == (0.8, 0.9, 0.95)
    assert_array_equal(found.indices, exact.indices)


# ---- pairs of samples --------------------------------------------------------------------

BIASED = {"distance_correlation": {}, "cka": {"kernel": "rbf"}, "hsic": {"unbiased": False}}
CASES = [*PAIRS.items(), *BIASED.items(), ("rsa", {"distance": "cosine", "normalize": "zscore"})]


def centered(A, how):
    n = len(A)
    if how == "double":
        return A - A.mean(axis=0) - A.mean(axis=1)[:, None] + A.mean()
    off = ~np.eye(n, dtype=bool)
    if how == "grand":
        return np.where(off, A - A[off].mean(), 0.0)
    rows = np.where(off, A, 0.0).sum(axis=1)
    u = A - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return np.where(off, u, 0.0)


@pytest.mark.parametrize("how", ["double", "u", "grand"])
@pytest.mark.parametrize("n", [3, 4, 5, 160])
def test_all_rows_say_what_all_pairs_do(how, n, backend, rng):
    if how == "u" and n == 3:
        pytest.skip("nothing is left of three samples")
    X, Y = rng.standard_normal((n, 3)) + 5.0, rng.standard_normal((n, 4)) ** 3
    channels = [Channel(X, "rbf", 0.05), Channel(Y, "rbf", 0.3)]
    pairs = [(0, 0), (0, 1), (1, 1)]
    table = select(backend, [X, Y]).pair_rows(channels, pairs, np.arange(n))
    found = RowProducts.of(table.pair(0, 1), how).means
    A = centered(np.exp(-0.05 * reference.distances(X) ** 2), how)
    B = centered(np.exp(-0.3 * reference.distances(Y) ** 2), how)
    scale = n * (n - 3.0) if how == "u" else 1.0
    expected = np.array([(A * B).sum(), (A * A).sum(), (B * B).sum()]) / scale
    assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * expected[1:].max())


@pytest.mark.parametrize("how", ["double", "u", "grand"])
def test_the_mean_over_all_samples_of_rows_is_the_sum_over_all_pairs(how, backend):
    """Every choice of 4 of 7 rows, none more likely: what they say is right on average."""
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    channels, pairs = [Channel(X), Channel(Y)], [(0, 0), (0, 1), (1, 1)]

    ops = select(backend, [X, Y])

    def means(rows):
        return RowProducts.of(ops.pair_rows(channels, pairs, rows).pair(0, 1), how).means

    found = [means(np.array(rows)) for rows in itertools.combinations(range(7), 4)]
    assert len(found) == 35
    assert_allclose(np.mean(found, axis=0), means(np.arange(7)), rtol=1e-10)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_intervals_hold_the_score_of_all_pairs(name, settings):
    """Rows of very different length: 400 samples, 80 of them, 200 times."""
    rng = np.random.default_rng(8)
    Z = rng.standard_normal((400, 3)) * np.exp(0.3 * rng.standard_normal((400, 1)))
    sets = [np.hstack([Z, 0.8 * rng.standard_normal((400, d))]) for d in (3, 5)]
    settings = {"kernel": "rbf"} | settings if name in ("cka", "hsic") else settings
    metrics = [
        metric_with(name, {**settings, "rows": 80, "seed": seed})[1] for seed in range(200)
    ]
    whole = metric_with(name, settings)[1]
    needs = [need for metric in (*metrics, whole) for need in metric.needs()]
    terms = terms_of(zip("XY", sets, strict=True), needs, [(0, 1)], nulls=False)
    expected = whole.score(terms, 0, 1).value
    found = [metric.score(terms, 0, 1) for metric in metrics]
    values = np.array([score.value for score in found])
    errors = np.array([score.details["rows_std_error"] for score in found])
    assert 0.90 <= (np.abs(values - expected) <= 1.96 * errors).mean() <= 0.99
    spread = values.std(ddof=1)
    bias = 0.0 if name == "hsic" else 0.2 * spread
    assert abs(values.mean() - expected) < 4.0 * spread / np.sqrt(200) + bias


def test_what_the_rows_add_is_in_the_standard_error(sets):
    wanted = [("rsa", {}), ("rsa", {"rows": 40})]
    made = cs.compare(dict(zip("ab", sets, strict=True)), wanted, null=None)
    whole, part = made.scores.values()
    added = part.details["rows_std_error"][0, 1]
    assert added > 0.0
    # The error over pairs is rescaled to the estimated score.
    assert part.std_error[0, 1] > added
    assert part.std_error[0, 1] == pytest.approx(np.hypot(added, whole.std_error[0, 1]), rel=0.05)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_null_of_some_pairs_is_its_mean(name, settings, sets):
    settings = {"kernel": "rbf"} | settings if name in ("cka", "hsic") else settings
    _, metric = metric_with(name, {**settings, "rows": 60})
    terms = terms_of(zip("XY", sets, strict=True), metric.needs(), [(0, 1)])
    score = metric.score(terms, 0, 1)
    assert score.null.std is None
    assert metric.law(terms, 0, 1, score) is None
    assert "p_value" not in score.details
    orders = [np.random.default_rng(s).permutation(160) for s in range(150)]
    drawn = metric.draws(terms, 0, 1, np.array(orders))
    # A root and a ratio carry it over to first order.
    slack = 0.02 if name == "distance_correlation" and settings == {} else 0.0
    error = drawn.std(ddof=1) / np.sqrt(150)
    assert abs(drawn.mean() - score.null.mean) < 4.0 * error + slack


def test_relabelled_samples_have_their_pairs_summed_anew(sets):
    _, metric = metric_with("rsa", {"rows": 50, "seed": 4})
    terms = terms_of(zip("XY", sets, strict=True), metric.needs(), [(0, 1)])
    order = np.random.default_rng(1).permutation(160)
    expected = cs.rsa(sets[0], np.ascontiguousarray(sets[1][order]), rows=50, seed=4)
    assert metric.draws(terms, 0, 1, order[None, :])[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cka", {}, "linear kernel is exact"),
        ("hsic", {}, "linear kernel is exact"),
        ("rsa", {"correlation": "spearman"}, "sample of pairs already"),
    ],
)
def test_rows_of_what_reads_no_pairs_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        metric_with(name, {**settings, "rows": 10})


def test_rows_that_say_too_little_say_so():
    # One sample apart and all others in one place: most rows see next to nothing.
    X = np.zeros((50, 2))
    X[7] = 1.0
    with pytest.raises(ValueError, match=r"`X`: .* take more `rows`, or all"):
        for seed in range(20):
            cs.distance_correlation(X, X + 1.0, rows=5, seed=seed, unbiased=True)
