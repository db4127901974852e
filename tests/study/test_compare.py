import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience.metrics import METRICS, PRESETS


@pytest.fixture
def models(rng):
    Z = rng.standard_normal((120, 4))
    return {
        name: (Z @ rng.standard_normal((4, d)) + 0.3 * rng.standard_normal((120, d))).astype(dtype)
        for name, d, dtype in (("a", 6, "f4"), ("b", 9, "f8"), ("c", 3, "f2"))
    }


EVERY = [name for name, entry in METRICS.items() if entry.kind != "single"]


def test_every_cell_is_the_score_of_its_pair(models):
    m = cs.compare(models, EVERY, n_threads=2)
    names = list(models)
    for label in EVERY:
        entry = METRICS[label]
        options = {"permutations": 0} if label == "id_correlation" else {}
        for i, a in enumerate(names):
            for j, b in enumerate(names):
                alone = entry.function(models[a], models[b], **options)
                alone = alone[0] if isinstance(alone, tuple) else alone
                assert m[label][i, j] == pytest.approx(alone, rel=1e-9, abs=1e-12), (label, a, b)


def test_metrics_of_one_model(models):
    m = cs.compare(models, ["twonn", ("dimension_mle", {"k": 5}), "gride"])
    assert_allclose(m["twonn"], [cs.twonn(X) for X in models.values()])
    assert_allclose(m["dimension_mle"], [cs.dimension_mle(X, k=5) for X in models.values()])
    assert m["gride"].shape == (3,)


def test_the_same_metric_with_other_settings_gets_a_label(models):
    m = cs.compare(models, ["mutual_knn", ("mutual_knn", {"k": 3, "normalize": "none"})])
    assert m.metrics == ("mutual_knn", "mutual_knn[k=3,normalize=none]")
    assert m.scores["mutual_knn"].settings["k"] == 10


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(models, preset):
    larger = {name: np.vstack([X, -X, 2 * X, 0.5 * X, 3 * X]) for name, X in models.items()}
    if preset == "prh":  # svcca wants 10 dimensions of each
        larger = {name: np.tanh(X @ np.ones((X.shape[1], 1)) * np.arange(1, 15)) + 0.1 * np.sin(
            np.arange(14)[None, :] * X[:, :1]) for name, X in larger.items()}  # fmt: skip
    m = cs.compare(larger, preset=preset)
    assert m.metrics == tuple(label for label, _, _ in PRESETS[preset])
    for label in m.metrics:
        assert np.isfinite(m[label]).all()


def test_a_preset_leaves_out_what_the_samples_do_not_suffice_for(models):
    with pytest.warns(UserWarning, match="is left out"):
        m = cs.compare(models, preset="matter")
    assert "information_imbalance[k=200]" not in m.metrics
    assert "information_imbalance[k=50]" in m.metrics
    assert set(m.provenance["skipped"]) == {
        "information_imbalance[k=200]",
        "information_imbalance[k=500]",
    }


def test_a_metric_asked_for_by_name_is_not_left_out(models):
    with pytest.raises(ValueError, match="k=200"):
        cs.compare(models, [("information_imbalance", {"k": 200})])


def test_settings_may_break_the_symmetry_of_a_metric(models):
    m = cs.compare(models, [("cknna", {"variant": "prh-code", "k": 5})])
    scores = m.scores["cknna"]
    assert not scores.symmetric
    assert scores.values[0, 1] != scores.values[1, 0]


def test_no_null_for_a_model_with_itself(models):
    scores = cs.compare(models, ["cknna"]).scores["cknna"]
    assert np.isnan(np.diag(scores.null_mean)).all()
    assert np.isfinite(scores.null_mean[0, 1:]).all()


def test_details_of_a_and_b_change_places_below_the_diagonal(models):
    wide = {**models, "d": np.hstack([models["b"], models["b"]])}
    details = cs.compare(wide, ["cca"]).scores["cca"].details
    assert_array_equal(details["dropped_a"], details["dropped_b"].T)
    assert details["dropped_a"][3, 0] == 9.0


def test_same_bits_for_any_number_of_threads(models):
    metrics = [*EVERY, ("cka", {"kernel": "rbf"}), "twonn"]
    one, three = (cs.compare(models, metrics, n_threads=t) for t in (1, 3))
    for label in one.metrics:
        assert_array_equal(one[label], three[label])


def test_adding_a_model_changes_no_score_of_the_others(models):
    metrics = ["cknna", "distance_correlation", "id_correlation", "information_imbalance"]
    few = cs.compare({name: models[name] for name in "ab"}, metrics)
    all_three = cs.compare(models, metrics)
    for label in metrics:
        assert_allclose(all_three[label][:2, :2], few[label], rtol=1e-12)


def test_a_saved_comparison_comes_back(models, tmp_path):
    m = cs.compare(models, ["cknna", "twonn", ("information_imbalance", {"k": 3})])
    m.save(tmp_path / "m.json")
    back = cs.load(tmp_path / "m.json")
    assert back.names == m.names
    for label in m.metrics:
        assert_array_equal(back[label], m[label])
    assert back.provenance == m.provenance


def test_a_bar_counts_all_the_work(models, capsys):
    cs.compare(models, ["cknna", "cka"], progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"metrics": "cknna"}, TypeError, "list of metrics"),
        ({"metrics": []}, ValueError, "empty"),
        ({"metrics": ["cka", "cka"]}, ValueError, "twice"),
        ({"metrics": ["cka"], "preset": "prh"}, ValueError, "not both"),
        ({"preset": "mater"}, ValueError, "did you mean 'matter'"),
    ],
)
def test_bad_requests(models, request_, error, message):
    with pytest.raises(error, match=message):
        cs.compare(models, **request_)


# ---- an earlier comparison ---------------------------------------------------------------

SOME = ["cknna", ("information_imbalance", {"k": 5}), "lcs_knn", "cca", "id_correlation", "twonn"]
ARRAYS = ("values", "null_mean", "null_std", "std_error", "p_value", "calibrated")


@pytest.fixture
def counted(monkeypatch):
    """The pairs that are scored, by metric."""
    seen = []
    for entry in {METRICS[m if isinstance(m, str) else m[0]] for m in SOME}:
        settings = entry.settings_type
        score = settings.score

        def count(self, terms, *models, score=score, name=entry.name):
            if terms.n_samples == 120:  # not the subsets that errors come from
                seen.append((name, *(terms.name(m) for m in models)))
            return score(self, terms, *models)

        monkeypatch.setattr(settings, "score", count)
    return seen


def test_only_pairs_with_a_new_model_are_scored(models, counted):
    earlier = cs.compare({name: models[name] for name in "ab"}, SOME)
    counted.clear()
    m = cs.compare({name: models[name] for name in "acb"}, SOME, previous=earlier)
    assert counted
    assert all("c" in scored[1:] for scored in counted)
    assert counted.count(("twonn", "c")) == 1
    assert sorted(s[1:] for s in counted if s[0] == "cca") == [("a", "c"), ("c", "b"), ("c", "c")]
    assert len([s for s in counted if s[0] == "information_imbalance"]) == 5
    whole = cs.compare({name: models[name] for name in "acb"}, SOME)
    for label in whole.metrics:
        for name in ARRAYS:
            old, new = (getattr(x.scores[label], name) for x in (whole, m))
            assert (old is None) == (new is None)
            if old is not None:
                assert_allclose(new, old, rtol=1e-9, atol=1e-12, err_msg=f"{label} {name}")
        for name, array in whole.scores[label].details.items():
            assert_allclose(m.scores[label].details[name], array, rtol=1e-9)


def test_nothing_is_scored_if_all_is_known_even_from_a_file(models, counted, tmp_path):
    cs.compare(models, SOME).save(tmp_path / "m.json")
    counted.clear()
    earlier = cs.load(tmp_path / "m.json")
    m = cs.compare(models, SOME, previous=earlier, progress=True)
    assert counted == []
    for label in m.metrics:
        for name in ARRAYS:
            assert_array_equal(getattr(m.scores[label], name), getattr(earlier.scores[label], name))


@pytest.mark.parametrize(
    "change",
    [{"null": "closed"}, {"permutations": 50}, {"seed": 1}, {"intervals": None}],
    ids=lambda change: next(iter(change)),
)
def test_scores_with_other_nulls_are_not_taken_over(models, counted, change):
    earlier = cs.compare(models, ["cca"])
    counted.clear()
    cs.compare(models, ["cca"], previous=earlier, **change)
    assert len(counted) == 6


def test_other_settings_or_widths_are_not_taken_over(models, counted):
    earlier = cs.compare(models, ["cca"])
    counted.clear()
    again = {**models, "a": models["a"][:, :4]}
    cs.compare(again, ["cca"], previous=earlier)
    assert sorted(s[1:] for s in counted) == [("a", "a"), ("a", "b"), ("a", "c")]
    counted.clear()
    cs.compare(models, [("cca", {"rcond": 1e-5})], previous=earlier)
    assert len(counted) == 6


def test_scores_of_other_samples_are_refused(models):
    earlier = cs.compare(models, ["cca"])
    fewer = {name: X[:100] for name, X in models.items()}
    with pytest.raises(ValueError, match="of 120 samples, the models have 100"):
        cs.compare(fewer, ["cca"], previous=earlier)


def test_a_subset_of_an_earlier_matrix_leaves_a_changed_model_out(models, counted):
    earlier = cs.compare(models, ["cca", "twonn"]).subset(["c", "a"])
    assert earlier.names == ("c", "a")
    assert earlier.dims == (3, 6)
    counted.clear()
    cs.compare(models, ["cca", "twonn"], previous=earlier)
    assert all("b" in scored[1:] for scored in counted)
