"""p-values: what is claimed of them, on independent embeddings and against many relabellings."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import consilience as cs
import reference
from consilience._evaluate import metric_with, terms_of
from consilience._relabelled import Relabelled
from consilience.inference.relabel import permutations
from consilience.metrics import METRICS

N = 60
CLOSED = [
    ("mutual_knn", {"k": 6}),
    ("cknna", {"k": 6}),
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("cka", {"kernel": "rbf"}),
    ("hsic", {}),
    ("hsic", {"unbiased": False}),
    ("distance_correlation", {}),
    ("distance_correlation", {"unbiased": True}),
    ("rsa", {}),
    ("rsa", {"distance": "cosine"}),
    ("information_imbalance", {"k": 3}),
    ("information_imbalance", {"k": 20}),
]
DRAWN = [
    ("mutual_knn", {"k": 6}),
    ("cknna", {"k": 6}),
    ("jaccard_knn", {"k": 6}),
    ("cycle_knn", {"k": 3}),
    ("lcs_knn", {"k": 6}),
    ("edit_knn", {"k": 6}),
]
ASKED_FOR = [
    ("cca", {}),
    ("svcca", {}),
    ("pwcca", {}),
    ("procrustes", {}),
    ("linear_regression_r2", {}),
    ("id_correlation", {}),
    ("rsa", {"correlation": "spearman"}),
    ("cknna", {"variant": "prh-code", "k": 6}),
]


def labels(metrics):
    return [f"{name} {settings}" for name, settings in metrics]


def scores_of(X, Y, metrics, **options):
    options = {"intervals": None, "n_threads": 1, **options}
    return list(cs.compare({"a": X, "b": Y}, metrics, **options).scores.values())


def independent(rng, n, kind):
    if kind == "wide and narrow":
        return rng.standard_normal((n, 3)), rng.standard_normal((n, 90))
    if kind == "clusters":
        sets = []
        for d in (4, 7):
            centres = 4.0 * rng.standard_normal((3, d))
            sets.append(centres[rng.integers(0, 3, n)] + rng.standard_normal((n, d)))
        return tuple(sets)
    return rng.standard_t(3, (n, 5)), rng.standard_normal((n, 8)) * 0.7 ** np.arange(8)


# ---- type-I error ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def p_values():
    """p of 1,000 pairs of independent embeddings, for every metric that gives one unasked."""
    found = {}
    for draw in range(1000):
        kind = ("wide and narrow", "clusters", "heavy tails")[draw % 3]
        X, Y = independent(np.random.default_rng([20, draw]), N, kind)
        for mode, metrics in (("closed", CLOSED), ("auto", DRAWN)):
            scores = scores_of(X, Y, metrics, null=mode, permutations=99, seed=draw)
            for (name, settings), score in zip(metrics, scores, strict=True):
                found.setdefault(f"{mode} {name} {settings}", []).append(score.p_value[0, 1])
    return found


@pytest.mark.parametrize(
    "label",
    [f"closed {label}" for label in labels(CLOSED)] + [f"auto {label}" for label in labels(DRAWN)],
)
def test_one_in_twenty_independent_pairs_is_significant(p_values, label):
    p = np.array(p_values[label])
    assert len(p) == 1000
    # A rate of 5 % is measured within 0.7 % (one standard deviation).
    assert 0.035 < np.mean(p <= 0.05) < 0.065
    assert np.mean(p <= 0.01) < 0.02
    assert 0.45 < p.mean() < 0.56


@pytest.mark.parametrize(("name", "settings"), ASKED_FOR, ids=labels(ASKED_FOR))
def test_draws_are_exact_where_they_are_asked_for(name, settings):
    rng = np.random.default_rng(21)
    significant = []
    for draw in range(40):
        X, Y = rng.standard_normal((24, 3)), rng.standard_normal((24, 4))
        (score,) = scores_of(
            X, Y, [(name, settings)], null="permutation", permutations=19, seed=draw
        )
        significant.append(score.p_value[0, 1] <= 0.05)
    assert sum(significant) <= 6  # binomial of 40 and 0.05: more in one of 100 runs


# ---- closed form against draws -----------------------------------------------------------


def dense(name, settings, X, Y):
    """Two matrices and a function of Σ A_ij B_q(i)q(j) that is the score."""
    n = len(X)
    if name in ("mutual_knn", "cknna"):
        raise AssertionError("graphs have draws of their own")
    if name == "information_imbalance":
        graph = reference.distances(X)
        np.fill_diagonal(graph, np.inf)
        A = np.zeros((n, n))
        np.put_along_axis(A, np.argsort(graph, axis=1)[:, : settings["k"]], 1.0, axis=1)
        other = reference.distances(Y)
        np.fill_diagonal(other, np.inf)
        ranks = np.argsort(np.argsort(other, axis=1), axis=1) + 1.0
        np.fill_diagonal(ranks, 0.0)
        return A, ranks, lambda T: 2.0 * T / (n * n * settings["k"])
    from consilience.inference.blocks import Block

    if name == "rsa":
        A, B = (Block(reference.distances(Z)).standardized for Z in (X, Y))
        return A, B, lambda T: T / (n * (n - 1.0))
    if name == "distance_correlation":
        blocks = [Block(reference.distances(Z)) for Z in (X, Y)]
        unbiased = settings.get("unbiased", False)
    else:
        blocks = [Block((Z - Z.mean(axis=0)) @ (Z - Z.mean(axis=0)).T) for Z in (X, Y)]
        unbiased = settings.get("debiased", settings.get("unbiased", name == "hsic"))
    A, B = (block.u_centered if unbiased else block.double_centered for block in blocks)
    if name == "hsic":
        scale = n * (n - 3.0) if unbiased else (n - 1.0) ** 2
    else:
        scale = np.sqrt((A * A).sum() * (B * B).sum())
    root = name == "distance_correlation" and not unbiased
    return A, B, lambda T: np.sqrt(T / scale) if root else T / scale


DENSE = [
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("hsic", {}),
    ("hsic", {"unbiased": False}),
    ("distance_correlation", {}),
    ("distance_correlation", {"unbiased": True}),
    ("rsa", {}),
    ("information_imbalance", {"k": 4}),
]


def against_draws(metric, terms, draws):
    score = metric.score(terms, 0, 1)
    sign = -1.0 if metric.lower_is_closer else 1.0
    law = metric.law(terms, 0, 1, score)
    error = score.null.std / np.sqrt(len(draws))
    # The mean of a root is known to first order only.
    slack = 0.01 * score.null.mean if type(law).__name__ == "Root" else 0.0
    assert abs(draws.mean() - score.null.mean) < 4.5 * error + slack
    assert draws.std() == pytest.approx(score.null.std, rel=0.04)
    reached = np.mean(sign * draws >= law.threshold(sign * score.value, 0.05))
    assert reached == pytest.approx(0.05, abs=0.01)
    level = np.mean([law.upper(sign * draw) <= 0.01 for draw in draws[::10]])
    assert level < 0.022


@pytest.mark.parametrize(("name", "settings"), DENSE, ids=labels(DENSE))
def test_the_fitted_law_is_that_of_20_000_relabellings(name, settings):
    rng = np.random.default_rng(22)
    shared = rng.standard_normal((30, 2))
    X = np.hstack([shared, rng.standard_normal((30, 3))]) * [3, 1, 1, 1, 1]
    Y = np.hstack([shared, rng.standard_normal((30, 2))])
    A, B, score_of = dense(name, settings, X, Y)
    _, metric = metric_with(name, settings)
    terms = terms_of([("a", X), ("b", Y)], metric.needs(), [(0, 1)])
    value = metric.score(terms, 0, 1).value
    assert score_of((A * B).sum()) == pytest.approx(value, rel=1e-9)
    orders = permutations(30, 0, 0, 20_000)
    draws = np.concatenate(
        [
            score_of(np.einsum("ij,pij->p", A, B[q[:, :, None], q[:, None, :]]))
            for q in np.split(orders, 20)
        ]
    )
    against_draws(metric, terms, draws)


@pytest.mark.parametrize(("name", "k"), [("mutual_knn", 8), ("cknna", 8)])
def test_the_fitted_law_of_graphs_is_that_of_20_000_relabellings(name, k):
    rng = np.random.default_rng(23)
    X, Y = rng.standard_normal((80, 3)), rng.standard_normal((80, 6))
    _, metric = metric_with(name, {"k": k})
    terms = terms_of([("a", X), ("b", Y)], metric.needs(), [(0, 1)])
    against_draws(metric, terms, metric.draws(terms, 0, 1, permutations(80, 0, 0, 20_000)))


@pytest.mark.parametrize(
    ("name", "settings"), [*DRAWN, *ASKED_FOR, *CLOSED], ids=labels([*DRAWN, *ASKED_FOR, *CLOSED])
)
def test_a_draw_is_the_score_of_rows_in_another_order(name, settings):
    rng = np.random.default_rng(24)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((40, 5))
    _, metric = metric_with(name, settings)
    terms = terms_of([("a", X), ("b", Y)], metric.needs(), [(0, 1)])
    orders = permutations(40, 5, 0, 3)
    found = metric.draws(terms, 0, 1, orders)
    for order, draw in zip(orders, found, strict=True):
        moved = terms_of([("a", X), ("b", Y[order])], metric.needs(), [(0, 1)])
        assert draw == pytest.approx(metric.score(moved, 0, 1).value, rel=1e-9, abs=1e-12)


# ---- through compare ---------------------------------------------------------------------


@pytest.fixture
def models(rng):
    shared = rng.standard_normal((70, 3))
    return {
        "a": np.hstack([shared, 0.3 * rng.standard_normal((70, 2))]),
        "b": shared @ rng.standard_normal((3, 6)),
        "c": rng.standard_normal((70, 4)),
    }


EVERY = [*CLOSED, *DRAWN[2:]]


def test_related_models_are_significant_and_calibrated_between_0_and_1(models):
    for score in cs.compare(models, EVERY, intervals=None).scores.values():
        assert score.p_value[0, 1] < 0.01, score.label
        assert 0.0 < score.calibrated[0, 1] <= 1.0, score.label
        assert score.calibrated[0, 2] < 0.3, score.label
        assert np.isnan(np.diag(score.p_value)).all()
        q = score.q_value()
        assert (q[0, 1:] >= score.p_value[0, 1:]).all()


def test_lower_scores_are_closer_where_they_are(models):
    (score,) = cs.compare(models, [("information_imbalance", {"k": 5})]).scores.values()
    assert score.values[0, 1] < score.null_mean[0, 1]
    assert score.z()[0, 1] < -5
    assert score.p_value[0, 1] < 1e-6
    assert score.p_value[0, 1] < score.p_value[0, 2]
    # As far beyond chance as the best there can be, (k + 1) / n, is 1.
    assert score.calibrated[0, 1] == pytest.approx(
        (score.values[0, 1] - 0.9) / (6 / 70 - 0.9), abs=0.1
    )


def test_identical_sets_are_calibrated_to_1(models):
    twins = {"a": models["a"], "b": models["a"] @ np.eye(5)[::-1]}
    # Who is nobody's neighbour is in no cycle, not even with itself.
    metrics = [metric for metric in EVERY if metric[0] != "cycle_knn"]
    for score in cs.compare(twins, metrics, intervals=None).scores.values():
        assert score.calibrated[0, 1] == pytest.approx(1.0, abs=1e-9), score.label


@pytest.mark.parametrize("backend", ["native", "array"])
def test_p_values_do_not_depend_on_threads(models, backend):
    if backend == "array":
        runs = [cs.compare(models, EVERY, backend=backend, permutations=20) for _ in range(2)]
    else:
        runs = [cs.compare(models, EVERY, n_threads=t) for t in (1, 3)]
    for label in runs[0].metrics:
        one, other = (m.scores[label] for m in runs)
        for name in ("p_value", "calibrated", "std_error", "null_mean", "null_std"):
            assert_array_equal(getattr(one, name), getattr(other, name))


def test_backends_agree_on_p_values_and_errors(models):
    one, other = (
        cs.compare(models, EVERY, backend=b, permutations=20) for b in ("native", "array")
    )
    for label in one.metrics:
        for name in ("p_value", "calibrated", "std_error", "null_std"):
            ours, theirs = (getattr(m.scores[label], name) for m in (one, other))
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=f"{label} {name}")


def test_a_seed_draws_others(models):
    one, other = (cs.compare(models, [("lcs_knn", {})], seed=s)["lcs_knn"] for s in (0, 1))
    assert_array_equal(one, other)
    first, second = (
        cs.compare(models, [("lcs_knn", {})], seed=s).scores["lcs_knn"] for s in (0, 1)
    )
    assert first.null_mean[0, 1] != second.null_mean[0, 1]


def test_no_null_is_asked_for(models):
    for score in cs.compare(models, EVERY, null=None).scores.values():
        assert score.p_value is None
        assert score.calibrated is None
        assert score.q_value() is None


def test_closed_forms_alone(models):
    m = cs.compare(models, ["mutual_knn", "lcs_knn"], null="closed")
    assert m.p("lcs_knn") is None
    assert m.p("mutual_knn")[0, 1] < 1 / 201  # beyond what 200 draws can say


def test_every_metric_of_pairs_has_a_p_value_when_asked(models):
    pairwise = [name for name, entry in METRICS.items() if entry.kind != "single"]
    m = cs.compare(models, pairwise, null="permutation", permutations=19, intervals=None)
    for label in m.metrics:
        assert m.p(label)[0, 1] == pytest.approx(0.05), label
        assert np.isfinite(m.calibrated(label)[0, 1])
        assert np.isfinite(m.scores[label].null_std[0, 1])


def test_claims_of_draws_are_kept(models):
    for name, entry in METRICS.items():
        if entry.null == "draws":
            score = cs.compare(models, [name]).scores[name]
            assert np.isfinite(score.null_mean[0, 1])
            assert np.isfinite(score.p_value[0, 1])


def test_relabelled_terms_leave_the_first_model_alone(models):
    _, metric = metric_with("cka", {})
    terms = terms_of(models.items(), metric.needs(), [(0, 1)])
    order = permutations(70, 0, 0, 1)[0]
    moved = Relabelled(terms, 1, order)
    view = metric.need.view
    assert moved.values(0, view) is terms.values(0, view)
    assert_array_equal(moved.values(1, view), models["b"][order])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"null": "automatic"}, "`null`"),
        ({"permutations": 0}, "`permutations`"),
        ({"seed": -1}, "`seed`"),
        ({"intervals": "bootstrap"}, "`intervals`"),
    ],
)
def test_bad_options_of_inference(models, options, message):
    with pytest.raises(ValueError, match=message):
        cs.compare(models, ["cka"], **options)
