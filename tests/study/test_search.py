"""How neighbours are found, from `compare` to the page: nothing approximate goes unsaid."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import consilience as cs
from consilience.backends.base import sampled_rows
from consilience.backends.native import NativeBackend
from consilience.metrics import METRICS, PRESETS
from consilience.study.score_matrix import ScoreMatrix
from consilience.terms import Recall
from engine import native

N = 150


@pytest.fixture
def models():
    rng = np.random.default_rng(3)
    Z = rng.standard_normal((N, 4))
    return {
        name: Z @ rng.standard_normal((4, d)) + 0.4 * rng.standard_normal((N, d))
        for name, d in (("a", 6), ("b", 9), ("c", 5))
    }


@dataclasses.dataclass(frozen=True)
class Forgetful(NativeBackend):
    """Misses the nearest neighbour of every fourth sample, and knows it."""

    def knn_approx(self, X, *, k, distance, seed=0):
        truth = self.knn_exact(X, k=min(k + 1, len(X) - 1), distance=distance)
        missed = np.arange(len(X)) % 4 == seed % 4
        places = np.arange(k)[None, :] + missed[:, None]
        hits = np.tile(np.arange(1, k + 1), (len(X), 1)) - missed[:, None]
        return dataclasses.replace(
            truth,
            indices=np.take_along_axis(truth.indices, places, axis=1),
            distances=np.take_along_axis(truth.distances, places, axis=1),
            recall=Recall.from_hits(hits),
        )


@pytest.fixture
def forgetful():
    return Forgetful(**dataclasses.asdict(native()))


APPROX = ["cknna", "mutual_knn", "cycle_knn", ("twonn", {"method": "mle"})]


# ---- approximate -------------------------------------------------------------------------


def test_every_score_of_approximate_lists_carries_their_recall(models, forgetful, tmp_path):
    m = cs.compare(models, APPROX, neighbors="approx", backend=forgetful)
    m.save(tmp_path / "m.json")
    for found in (m, ScoreMatrix.load(tmp_path / "m.json")):
        assert found.provenance["exact"] is False
        details = found.scores["mutual_knn"].details
        assert details["recall_a"][0, 1] == pytest.approx(1 - 0.1 * 38 / N, rel=1e-12)
        for side in ("a", "b"):
            low, high = details[f"recall_low_{side}"], details[f"recall_high_{side}"]
            assert (low < details[f"recall_{side}"]).all()
            assert (details[f"recall_{side}"] < high).all()
        # Half as many neighbours missed of two as of one more, not of ten.
        assert found.scores["twonn"].details["recall"][0] == pytest.approx(1 - 0.5 * 38 / N)
        assert found.scores["cknna"].settings["neighbors"] == "approx"
        for label in found.metrics:
            text = found.provenance["neighbors"][label]
            assert text.startswith("approximate, least recall of a model 0.")


def test_the_page_says_how_approximate(models, forgetful, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    from consilience.report import write_report

    m = cs.compare(models, ["cknna"], neighbors="approx", backend=forgetful)
    page = write_report(m, tmp_path / "page.html", title="T").read_text(encoding="utf-8")
    assert m.provenance["neighbors"]["cknna"] in page


def test_few_samples_are_searched_exactly_and_said_to_be(models):
    m = cs.compare(models, ["mutual_knn"], neighbors="approx", backend="array")
    assert m.provenance["exact"] is True
    assert m.provenance["neighbors"] == {"mutual_knn": "exact, as there are so few samples"}
    assert not any(name.startswith("recall") for name in m.scores["mutual_knn"].details)
    assert_array_equal(m["mutual_knn"], cs.compare(models, ["mutual_knn"])["mutual_knn"])


def test_exact_scores_say_nothing_of_a_search(models):
    m = cs.compare(models, ["cknna", "mutual_knn"])
    assert m.provenance["exact"] is True
    assert "neighbors" not in m.provenance
    for scores in m.scores.values():
        assert not {"neighbors", "rows", "seed"} & scores.settings.keys()
        assert not any(name.startswith(("recall", "rows_std")) for name in scores.details)


def test_what_a_metric_says_of_itself_stands(models, forgetful):
    asked = [("mutual_knn", {"neighbors": "approx"}), ("jaccard_knn", {"rows": 40}), "lcs_knn"]
    m = cs.compare(models, asked, rows=60, backend=forgetful)
    assert m.scores["mutual_knn"].settings["neighbors"] == "approx"
    assert m.scores["jaccard_knn"].settings["rows"] == 40
    assert m.scores["lcs_knn"].settings["rows"] == 60
    assert m.provenance["exact"] is False


# ---- some rows ---------------------------------------------------------------------------


def test_rows_and_approx_go_where_they_can_and_a_warning_names_the_rest(models, forgetful):
    asked = ["cknna", "cycle_knn", "information_imbalance", "cka", "distance_correlation"]
    m = cs.compare(models, asked, rows=60, neighbors="approx", backend=forgetful)
    how = m.provenance["neighbors"]
    assert how["cknna"] == f"exact, of 60 of {N} rows (seed 0)"
    assert how["cycle_knn"].startswith("approximate")
    assert how["information_imbalance"].startswith("exact, of 60")
    assert how["distance_correlation"] == f"exact, of 60 of {N} rows (seed 0)"
    assert "cka" not in how
    with pytest.warns(UserWarning, match="distance_correlation: it reads all pairs") as caught:
        m = cs.compare(models, asked[3:], neighbors="approx", backend=forgetful)
    (warning,) = caught
    assert "cka" not in str(warning.message)
    assert m.provenance["neighbors"]["distance_correlation"].startswith("exact, of all rows")
    with pytest.warns(UserWarning, match="cycle_knn: CycleKnn takes no `rows`"):
        cs.compare(models, ["cycle_knn"], rows=60)
    with pytest.warns(UserWarning, match="information_imbalance: .* ranks"):
        cs.compare(models, ["information_imbalance"], neighbors="approx", backend=forgetful)


@pytest.mark.parametrize("backend", ["native", "array"])
def test_every_cell_is_the_score_of_those_rows(models, backend):
    names = ["cknna", "jaccard_knn", "information_imbalance", "twonn"]
    names += ["distance_correlation", "rsa"]
    m = cs.compare(models, names, rows=60, seed=4, backend=backend)
    X, Y = models["a"], models["b"]
    for name in names:
        function = METRICS[name].function
        if name == "twonn":
            assert m[name][1] == pytest.approx(function(Y, rows=60, seed=4), rel=1e-12)
            continue
        alone = np.atleast_1d(function(X, Y, rows=60, seed=4))
        assert m[name][0, 1] == pytest.approx(alone[0], rel=1e-12)
        assert m[name][1, 0] == pytest.approx(alone[-1], rel=1e-12)


def test_no_fewer_samples_than_rows_are_scored_in_full(models):
    whole = cs.compare(models, ["cknna"])
    for rows in (N, 20_000):
        m = cs.compare(models, ["cknna"], rows=rows)
        assert_array_equal(m["cknna"], whole["cknna"])
        assert_array_equal(m.p("cknna"), whole.p("cknna"))
        assert "neighbors" not in m.provenance


def test_the_null_that_is_known_and_none_that_is_not(models):
    names = ["cknna", "mutual_knn", "jaccard_knn", "information_imbalance", "rsa"]
    m = cs.compare(models, names, rows=60)
    assert m.scores["rsa"].null_mean[0, 1] == 0.0
    assert m.scores["mutual_knn"].null_mean[0, 1] == 10 / (N - 1)
    assert m.scores["information_imbalance"].null_mean[0, 1] == 1.0
    for scores in m.scores.values():
        assert scores.null_std is None
        assert scores.p_value is None
        assert scores.calibrated is None
    with pytest.raises(ValueError, match="leave `rows` out"):
        cs.compare(models, names, rows=60, null="permutation")


def test_a_preset_is_scored_on_some_rows(models):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        m = cs.compare(models, preset="matter", rows=60)
    assert all("is left out" in str(warning.message) for warning in caught)
    assert "cknna" in m.metrics
    assert {label for label, _, _ in PRESETS["matter"]} >= set(m.metrics)


def test_scores_of_some_rows_are_taken_over_and_not_mixed_with_others(models):
    two = {name: models[name] for name in "ab"}
    first = cs.compare(two, ["mutual_knn"], rows=60)
    m = cs.compare(models, ["mutual_knn"], rows=60, previous=first)
    fresh = cs.compare(models, ["mutual_knn"], rows=60)
    assert_array_equal(m["mutual_knn"], fresh["mutual_knn"])
    error = "rows_std_error"
    assert_array_equal(
        m.scores["mutual_knn"].details[error], fresh.scores["mutual_knn"].details[error]
    )
    other = cs.compare(models, ["mutual_knn"], previous=first)
    assert_array_equal(other["mutual_knn"], cs.compare(models, ["mutual_knn"])["mutual_knn"])


# ---- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mutual_knn", "cknna", "dimension_mle", "information_imbalance"])
def test_the_error_of_the_population_holds_that_of_the_rows(name, models):
    settings = {"k": 6}
    m = cs.compare(models, [(name, settings)], rows=60)
    whole = cs.compare(models, [(name, settings)])
    scores = m.scores[name]
    off = ... if scores.kind == "single" else ~np.eye(3, dtype=bool)
    assert (scores.std_error[off] >= scores.details["rows_std_error"][off]).all()
    assert (scores.std_error[off] > 0.9 * whole.scores[name].std_error[off]).all()


@pytest.mark.parametrize("name", ["mutual_knn", "cknna"])
def test_the_error_of_the_population_is_the_spread_over_new_samples_and_rows(name):
    rng = np.random.default_rng(8)
    mix = rng.standard_normal((3, 5)), rng.standard_normal((3, 4))
    values, errors = [], []
    for seed in range(80):
        Z = rng.standard_normal((200, 3))
        sets = {str(i): Z @ M + 0.5 * rng.standard_normal((200, M.shape[1])) for i, M in
                enumerate(mix)}  # fmt: skip
        m = cs.compare(sets, [(name, {"k": 8})], rows=70, seed=seed, null=None)
        values.append(m[name][0, 1])
        errors.append(m.scores[name].std_error[0, 1])
    assert 0.8 < np.sqrt(np.mean(np.square(errors))) / np.std(values, ddof=1) < 1.25


def test_too_few_rows_for_halves_have_no_error_of_the_population(models):
    m = cs.compare(models, ["mutual_knn"], rows=20, intervals="subsample")
    assert m.scores["mutual_knn"].std_error is None
    assert (m.scores["mutual_knn"].details["rows_std_error"][0, 1:] > 0).all()


def test_halves_of_some_rows_have_the_neighbours_of_their_half(models):
    from consilience._evaluate import metric_with, terms_of
    from consilience._halved import Halved
    from consilience.study._errors import wider_needs

    _, metric = metric_with("mutual_knn", {"rows": 60, "seed": 1})
    needs = (*metric.needs(), *wider_needs([metric], N))
    terms = terms_of(models.items(), needs, [(0, 1)])
    half = np.arange(N) % 2
    graph = Halved(terms, half, 0).graph(0, metric.among(N // 2, N).graph)
    rows = sampled_rows(N, 60, 1)
    assert_array_equal(graph.rows, rows)
    for row, sample in zip(graph.indices, rows, strict=True):
        own = np.flatnonzero(half == half[sample])
        part = cs.neighbors(
            cs.preprocess(models["a"], normalize="l2")[own], k=5, distance="ip"
        ).indices[np.flatnonzero(own == sample)[0]]
        assert_array_equal(row, own[part])
