import json
import math
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from consilience.study.score_matrix import (
    COLUMNS,
    ScoreMatrix,
    Scores,
    load,
    write_atomically,
)

NAN = math.nan


def pair_scores(label="cknna", **changes):
    given = {
        "label": label,
        "metric": "cknna",
        "kind": "pair",
        "settings": {"k": 25},
        "bounds": (0.0, 1.0),
        "symmetric": True,
        "values": [[1.0, 0.5, 0.02], [0.5, 1.0, 0.99], [0.02, 0.99, 1.0]],
        "null_mean": [[NAN, 0.1, 0.1], [0.1, NAN, 0.1], [0.1, 0.1, NAN]],
        "null_std": [[NAN, 0.2, 0.2], [0.2, NAN, 0.0], [0.2, 0.0, NAN]],
        "std_error": [[NAN, 0.1, 0.1], [0.1, NAN, 0.1], [0.1, 0.1, NAN]],
        "details": {"p_value": [[NAN, 0.01, 0.5], [0.01, NAN, 0.01], [0.5, 0.01, NAN]]},
    }
    return Scores(**(given | changes))


def directed_scores():
    values = [[0.1, 0.2, 0.3], [0.4, 0.1, 0.5], [0.6, 0.7, 0.1]]
    return Scores("ii[k=1]", "information_imbalance", "directed", {"k": 1}, (0, 2), False, values)


def single_scores():
    return Scores("twonn", "twonn", "single", {}, (0, math.inf), True, [2.0, 3.0, 4.5])


@pytest.fixture
def matrix():
    scores = (pair_scores(), directed_scores(), single_scores())
    return ScoreMatrix(
        names=("A", "B", "C <i>"),
        n_samples=100,
        dims=(4, 8, 16),
        scores={s.label: s for s in scores},
        provenance={"version": "0.1", "threads": np.int64(1)},
    )


# ---- what it answers --------------------------------------------------------------------


def test_labels_keep_the_order_asked_for(matrix):
    assert matrix.metrics == ("cknna", "ii[k=1]", "twonn")
    assert "twonn" in matrix
    assert "cka" not in matrix


def test_item_is_the_array_of_scores(matrix):
    assert matrix["cknna"][1, 2] == 0.99
    assert matrix["cknna"].dtype == np.float64


def test_arrays_cannot_be_changed(matrix):
    with pytest.raises(ValueError, match="read-only"):
        matrix["cknna"][0, 1] = 0.0


def test_a_later_change_of_the_input_does_not_reach_the_matrix():
    values = np.eye(3)
    scores = pair_scores(values=values)
    values[0, 1] = 7.0
    assert scores.values[0, 1] == 0.0


@pytest.mark.parametrize("question", ["__getitem__", "z", "interval", "pairs"])
def test_unknown_label_names_the_nearest(matrix, question):
    with pytest.raises(KeyError, match="did you mean 'cknna'"):
        list(getattr(matrix, question)("cknn"))


def test_unknown_label_of_an_empty_matrix_says_so():
    empty = ScoreMatrix(("A",), 10, (3,), {})
    with pytest.raises(KeyError, match="holds no scores"):
        empty["cknna"]
    assert repr(empty) == "ScoreMatrix: 1 models, 10 samples, 0 metrics"


def test_z_counts_standard_deviations_of_the_null(matrix):
    z = matrix.z("cknna")
    assert z[0, 1] == pytest.approx((0.5 - 0.1) / 0.2)
    assert z[0, 2] == pytest.approx(-0.4)


def test_z_is_nan_where_the_null_is_undefined_or_has_no_spread(matrix):
    z = matrix.z("cknna")
    assert np.isnan(np.diagonal(z)).all()
    assert np.isnan(z[1, 2])


def test_z_and_interval_are_none_without_a_null_and_an_error(matrix):
    assert matrix.z("twonn") is None
    assert matrix.interval("twonn") is None


def test_interval_is_the_normal_one_clipped_to_the_bounds(matrix):
    low, high = matrix.interval("cknna")
    assert low[0, 1] == pytest.approx(0.5 - 0.1 * 1.959963984540054)
    assert high[0, 1] == pytest.approx(0.5 + 0.1 * 1.959963984540054)
    assert low[0, 2] == 0.0
    assert high[1, 2] == 1.0
    assert np.isnan(low[0, 0])


def test_interval_takes_a_level(matrix):
    low, _ = matrix.interval("cknna", level=0.5)
    assert low[0, 1] == pytest.approx(0.5 - 0.1 * 0.6744897501960817)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 95.0, NAN])
def test_interval_rejects_an_impossible_level(matrix, level):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        matrix.interval("cknna", level=level)


def test_pairs_come_once_if_symmetric_and_both_ways_if_directed(matrix):
    assert list(matrix.pairs("cknna")) == [
        ("A", "B", 0.5),
        ("A", "C <i>", 0.02),
        ("B", "C <i>", 0.99),
    ]
    both = list(matrix.pairs("ii[k=1]"))
    assert len(both) == 6
    assert ("A", "B", 0.2) in both
    assert ("B", "A", 0.4) in both


def test_pairs_of_single_scores_are_refused(matrix):
    with pytest.raises(ValueError, match="has no pairs"):
        list(matrix.pairs("twonn"))


def test_dataframe_is_in_long_form(matrix):
    pytest.importorskip("pandas", reason="to_dataframe returns a pandas DataFrame")
    frame = matrix.to_dataframe()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 3 + 6 + 3
    row = frame.set_index(["metric", "model_a", "model_b"]).loc[("cknna", "A", "B")]
    assert row["score"] == 0.5
    assert row["z"] == pytest.approx(2.0)
    assert row["ci_low"] == pytest.approx(0.5 - 0.196, abs=1e-4)
    single = frame[frame["metric"] == "twonn"]
    assert single["score"].tolist() == [2.0, 3.0, 4.5]
    assert single["model_b"].isna().all()
    assert single["null_mean"].isna().all()


def test_repr_shows_every_metric_with_its_range(matrix):
    text = repr(matrix)
    assert text.splitlines()[0] == "ScoreMatrix: 3 models, 100 samples, 3 metrics"
    assert "B ~ C <i>" in text
    assert "C <i> → B" in text
    for label in matrix.metrics:
        assert label in text


def test_html_repr_escapes_names_and_labels():
    evil = "<script>alert(1)</script>"
    scores = pair_scores(label=evil)
    page = ScoreMatrix((evil, "B", "C"), 9, (1, 1, 1), {evil: scores})._repr_html_()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3


def test_importing_it_loads_nothing_heavy():
    heavy = ("pandas", "plotly", "jinja2", "torch")
    code = (
        "import sys, consilience.study.score_matrix;"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


# ---- what it refuses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pairs"}, "`kind` must be one of"),
        ({"values": [1.0, 2.0]}, r"must be \(n_models, n_models\)"),
        ({"values": np.ones((2, 3))}, r"must be \(n_models, n_models\)"),
        ({"kind": "single"}, r"must be \(n_models,\)"),
        ({"values": [[1, NAN, 0], [0, 1, 0], [0, 0, 1]]}, r"got nan at \(0, 1\)"),
        ({"values": [["x"] * 3] * 3}, "must be an array of numbers"),
        ({"null_mean": np.ones((2, 2))}, r"`null_mean` must have the shape"),
        ({"details": {"p_value": [1.0]}}, r"`p_value` must have the shape"),
        ({"std_error": -np.ones((3, 3))}, "`std_error` must not be negative"),
        ({"bounds": (1.0, 0.0)}, r"`bounds` must be \(low, high\)"),
        ({"bounds": (NAN, 1.0)}, r"`bounds` must be \(low, high\)"),
    ],
)
def test_wrong_scores_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        pair_scores(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("A", "A", "B")}, "'A' more than once"),
        ({"names": ()}, "at least one model"),
        ({"dims": (1, 2)}, "one width per model, 3, got 2"),
        ({"n_samples": 0}, "at least 1, got 0"),
        ({"scores": {"other": pair_scores()}}, "'cknna' are filed under 'other'"),
        (
            {"names": ("A", "B"), "dims": (1, 2)},
            "there are 2 models, but `values` has 3 rows",
        ),
    ],
)
def test_wrong_matrix_is_refused(matrix, changes, message):
    given = {
        "names": matrix.names,
        "n_samples": 5,
        "dims": matrix.dims,
        "scores": matrix.scores,
    }
    with pytest.raises(ValueError, match=message):
        ScoreMatrix(**(given | changes))


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="must be a str, got int"):
        ScoreMatrix((1,), 5, (1,), {})


# ---- on disk ----------------------------------------------------------------------------


def awkward_numbers(rng, size):
    """Floats whose decimal text is long, tiny, huge or signed zero."""
    numbers = rng.standard_normal(size) * 10.0 ** rng.integers(-300, 300, size)
    numbers[:4] = [5e-324, -0.0, np.nextafter(1.0, 2.0), 0.1 + 0.2]
    return numbers


def test_every_bit_survives_the_disk(tmp_path):
    rng = np.random.default_rng(0)
    n_models = 7
    values = awkward_numbers(rng, n_models**2).reshape(n_models, n_models)
    null = values.copy()
    null[2, 3] = NAN
    null[3, 2] = math.inf
    scores = pair_scores(
        values=values, null_mean=null, null_std=None, std_error=abs(values), details={}
    )
    saved = ScoreMatrix(tuple("ABCDEFG"), 10, (1,) * n_models, {"cknna": scores})
    read = load(saved.save(tmp_path / "m.json"))
    found = read.scores["cknna"]
    assert found.values.tobytes() == values.tobytes()
    assert found.std_error.tobytes() == abs(values).tobytes()
    assert_array_equal(found.null_mean, null)
    assert found.null_std is None


def test_everything_else_survives_the_disk(matrix, tmp_path):
    read = ScoreMatrix.load(matrix.save(tmp_path / "deep" / "folder" / "m.json"))
    assert read.names == matrix.names
    assert read.dims == matrix.dims
    assert read.n_samples == 100
    assert read.metrics == matrix.metrics
    assert read.provenance == {"version": "0.1", "threads": 1}
    assert read.scores["twonn"].bounds == (0.0, math.inf)
    assert read.scores["ii[k=1]"].symmetric is False
    assert read.scores["cknna"].settings == {"k": 25}
    assert_array_equal(
        read.scores["cknna"].details["p_value"], matrix.scores["cknna"].details["p_value"]
    )
    assert repr(read) == repr(matrix)


def test_the_file_is_strict_json_with_null_for_nan(matrix, tmp_path):
    text = matrix.save(tmp_path / "m.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))
    assert content["version"] == 2
    assert content["body"]["scores"][0]["null_mean"][0] == [None, 0.1, 0.1]


def test_names_in_any_script_survive(tmp_path):
    names = ("模型", "µ-ANI 🧪", 'quote " and \\')
    saved = ScoreMatrix(names, 5, (1, 1, 1), {"cknna": pair_scores()})
    assert load(saved.save(tmp_path / "m.json")).names == names


def test_what_json_cannot_hold_is_refused_and_nothing_is_written(matrix, tmp_path):
    wrong = ScoreMatrix(("A",), 5, (1,), {}, provenance={"when": object()})
    with pytest.raises(TypeError, match="must be JSON-able"):
        wrong.save(tmp_path / "m.json")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(matrix, tmp_path, monkeypatch):
    path = matrix.save(tmp_path / "m.json")
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, "half a")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', '{"format": "other", "version": 1}'])
def test_a_file_of_others_is_refused(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"m\.json is not a"):
        load(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(b"\x80\x04\x95\xff")
    with pytest.raises(ValueError, match="not a whole JSON file"):
        load(path)


def test_a_truncated_file_is_refused_wherever_it_ends(matrix, tmp_path):
    path = matrix.save(tmp_path / "m.json")
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a whole JSON file"):
            load(path)


def test_a_changed_digit_is_noticed(matrix, tmp_path):
    path = matrix.save(tmp_path / "m.json")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("0.99", "0.98"), encoding="utf-8")
    with pytest.raises(ValueError, match="does not match its checksum"):
        load(path)


def test_a_newer_format_is_refused_with_the_remedy(matrix, tmp_path):
    path = matrix.save(tmp_path / "m.json")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"version":2', '"version":3', 1), encoding="utf-8")
    with pytest.raises(ValueError, match=r"of format 3.*up to 2: upgrade consilience"):
        load(path)


def test_a_whole_file_with_a_missing_part_is_refused(matrix, tmp_path, monkeypatch):
    import consilience.study.score_matrix as module

    encode = module.encode_scores
    monkeypatch.setattr(
        module,
        "encode_scores",
        lambda s: {k: v for k, v in encode(s).items() if k != "bounds"},
    )
    path = matrix.save(tmp_path / "m.json")
    with pytest.raises(ValueError, match=r"damaged score matrix \(lacks 'bounds'\)"):
        load(path)


# ---- what chance would give --------------------------------------------------------------


def test_p_q_and_calibrated(matrix):
    p = [[NAN, 0.01, 0.04], [0.01, NAN, 0.03], [0.04, 0.03, NAN]]
    calibrated = [[NAN, 0.4, 0.0], [0.4, NAN, 0.9], [0.0, 0.9, NAN]]
    scores = pair_scores(p_value=p, calibrated=calibrated)
    m = ScoreMatrix(("A", "B", "C"), 100, (4, 8, 16), {"cknna": scores})
    assert_array_equal(m.p("cknna"), p)
    assert_array_equal(m.calibrated("cknna"), calibrated)
    # Three pairs, each once: 3 · 0.01, then 0.04 for the others.
    expected = [[NAN, 0.03, 0.04], [0.03, NAN, 0.04], [0.04, 0.04, NAN]]
    np.testing.assert_allclose(m.q("cknna"), expected)
    record = next(iter(m.records("cknna")))
    assert (record["p"], record["calibrated"]) == (0.01, 0.4)
    assert record["q"] == pytest.approx(0.03)


def test_q_of_a_directed_score_counts_both_ways():
    scores = directed_scores()
    p = [[NAN, 0.01, 0.5], [0.5, NAN, 0.5], [0.5, 0.5, NAN]]
    q = type(scores)(**{**vars(scores), "p_value": p}).q_value()
    assert q[0, 1] == pytest.approx(0.06)


def test_a_score_without_a_null_has_no_p(matrix):
    assert matrix.p("twonn") is None
    assert matrix.q("twonn") is None
    assert matrix.calibrated("twonn") is None


@pytest.mark.parametrize("name", ["p_value", "calibrated"])
def test_shares_outside_0_and_1_are_refused(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be in \[0, 1\]"):
        pair_scores(**{name: [[NAN, 1.1, 0.0], [1.1, NAN, 0.0], [0.0, 0.0, NAN]]})


def test_p_and_calibrated_are_kept_in_the_file(matrix, tmp_path):
    p = [[NAN, 0.01, 1 / 3], [0.01, NAN, 0.03], [1 / 3, 0.03, NAN]]
    m = ScoreMatrix(("A", "B", "C"), 9, (1, 1, 1), {"cknna": pair_scores(p_value=p)})
    back = load(m.save(tmp_path / "m.json"))
    assert_array_equal(back.p("cknna"), m.p("cknna"))
    assert back.calibrated("cknna") is None


def test_a_file_of_version_1_is_read(matrix, tmp_path):
    from consilience.study._score_file import digest, dumps

    path = matrix.save(tmp_path / "m.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    for entry in content["body"]["scores"]:
        del entry["p_value"], entry["calibrated"]
    content["version"] = 1
    content["sha256"] = digest(dumps(content["body"]))
    path.write_text(json.dumps(content), encoding="utf-8")
    back = load(path)
    assert back.p("cknna") is None
    assert_array_equal(back["cknna"], matrix["cknna"])


def test_a_subset_keeps_what_is_known_of_the_models_in_it(matrix):
    part = matrix.subset(["C <i>", "A"])
    assert part.names == ("C <i>", "A")
    assert part.dims == (16, 4)
    assert part["cknna"].tolist() == [[1.0, 0.02], [0.02, 1.0]]
    assert part["ii[k=1]"].tolist() == [[0.1, 0.6], [0.3, 0.1]]
    assert part["twonn"].tolist() == [4.5, 2.0]
    assert part.scores["cknna"].details["p_value"][0, 1] == 0.5


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [(["A", "D"], KeyError, "no model 'D'"), (["A", "A"], ValueError, "more than once"),
     ([], ValueError, "at least one model")],
)  # fmt: skip
def test_a_subset_of_unknown_models_is_refused(matrix, names, error, message):
    with pytest.raises(error, match=message):
        matrix.subset(names)
