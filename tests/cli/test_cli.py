"""The command line: what it prints, and one sentence with an exit code on bad input."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import consilience as cs
from consilience import store
from consilience.backends.array import ArrayBackend
from consilience.cli import ALIASES, main
from consilience.metrics import METRICS, PRESETS
from consilience.terms import Recall


@pytest.fixture
def run():
    def call(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return call


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((60, 4))
    return {
        name: np.hstack([shared, rng.standard_normal((60, width))]).astype(np.float32)
        for name, width in (("a", 3), ("b", 5), ("c", 2))
    }


@pytest.fixture
def files(tmp_path, arrays):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return [tmp_path / f"{name}.npy" for name in arrays]


def sentence(result):
    """Return the one line that a failed command says, having made sure it is one."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), "a traceback would have been shown"
    line = result.output.strip()
    assert line.startswith("Error: ")
    assert "\n" not in line
    return line


# ---- score -------------------------------------------------------------------------------


def test_score_reads_files_of_different_formats(run, files, tmp_path, arrays):
    h5py, parquet = pytest.importorskip("h5py"), pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    parquet.write_table(pa.table({"emb": list(arrays["a"])}), tmp_path / "a.parquet")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["layers/last"], file["layers/first"] = arrays["b"], arrays["c"]
    plain = json.loads(run("score", *files[:2], "--json").output)
    asked = (tmp_path / "a.parquet", f"{tmp_path / 'b.h5'}::layers/last")
    result = run("score", *asked, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["scores"] == plain["scores"]
    assert "name the one you mean: b.h5::NAME" in sentence(run("score", asked[0], asked[1][:-13]))


def test_score_does_not_pair_rows_of_different_ids(run, tmp_path):
    pytest.importorskip("pyarrow")
    for name, order in (("a", "xyzw"), ("b", "xzyw")):
        lines = [f"{sample},{i}.5,{i * i}.25" for i, sample in enumerate(order)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,p,q", *lines]))
    said = sentence(run("score", tmp_path / "a.csv", tmp_path / "b.csv", "--metrics", "cka"))
    assert "different ids from row 1 on ('y' and 'z')" in said
    assert "consilience store convert" in said
    result = run("score", tmp_path / "a.csv", tmp_path / "a.csv", "--metrics", "cka")
    assert result.exit_code == 0, result.output


def test_score_prints_a_table(run, files, arrays):
    result = run("score", *files[:2], "--metrics", "cknna,cka,dcor", "--k", 5)
    assert result.exit_code == 0, result.output
    expected = cs.cknna(arrays["a"], arrays["b"], k=5)
    lines = result.output.splitlines()
    assert lines[0].split() == ["metric", "score", "settings"]
    assert lines[1].split() == ["cknna", f"{expected:.4f}", "k=5"]
    assert [line.split()[0] for line in lines[1:]] == ["cknna", "cka", "distance_correlation"]


def test_score_as_json_has_all_digits_and_every_kind(run, files, arrays):
    result = run("score", *files[:2], "--metrics", "cka,ii,twonn,id-correlation", "--json")
    assert result.exit_code == 0, result.output
    X, Y = arrays["a"], arrays["b"]
    said = json.loads(result.output)
    cka, ii, twonn, correlation = said["scores"]
    assert said["n_samples"] == 60
    assert cka["value"] == cs.cka(X, Y)
    assert (ii["x_to_y"], ii["y_to_x"]) == tuple(cs.information_imbalance(X, Y))
    assert (twonn["x"], twonn["y"]) == (cs.twonn(X), cs.twonn(Y))
    assert correlation["value"] == cs.id_correlation(X, Y).value
    assert 0 < correlation["p_value"] <= 1


def test_k_is_given_only_to_metrics_that_count_neighbours(run, files):
    result = run("score", *files[:2], "--metrics", "cka,mutual_knn", "--k", 7, "--json")
    settings = {row["metric"]: row["settings"] for row in json.loads(result.output)["scores"]}
    assert settings == {"cka": {}, "mutual_knn": {"k": 7}}


def test_score_of_some_rows_says_its_error(run, files, arrays):
    arguments = ["--metrics", "cknna,ii,twonn,dcor", "--rows", 40, "--json"]
    result = run("score", *files[:2], *arguments)
    assert result.exit_code == 0, result.output
    cknna, imbalance, twonn, dcor = json.loads(result.output)["scores"]
    X, Y = arrays["a"], arrays["b"]
    assert cknna["value"] == cs.cknna(X, Y, rows=40)
    assert cknna["rows_std_error"] > 0
    assert cknna["settings"] == {"rows": 40}
    assert (imbalance["x_to_y"], imbalance["y_to_x"]) == cs.information_imbalance(X, Y, rows=40)
    assert imbalance["x_to_y rows_std_error"] > 0
    assert twonn["y"] == cs.twonn(Y, rows=40)
    assert dcor["value"] == cs.distance_correlation(X, Y, rows=40)
    assert dcor["rows_std_error"] > 0


def test_score_of_approximate_neighbours_says_their_recall(run, files, monkeypatch):
    def told(self, X, *, k, distance, seed=0):
        graph = self.knn_exact(X, k=k, distance=distance)
        return dataclasses.replace(graph, recall=Recall(0.9, 0.8, 0.95, 20, 0.95))

    monkeypatch.setattr(ArrayBackend, "knn_approx", told)
    arguments = ["--metrics", "mknn,mle", "--neighbors", "approx", "--backend", "array"]
    result = run("score", *files[:2], *arguments)
    assert result.exit_code == 0, result.output
    _, mutual, mle = result.output.splitlines()
    assert "recall_a 0.9000" in mutual
    assert "recall_b 0.9000" in mutual
    assert "neighbors=approx" in mutual
    assert "x recall 0.9000" in mle


def test_matrix_of_some_rows(run, files, tmp_path):
    result = run("matrix", *files, "--metrics", "mknn", "--rows", 40, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    m = cs.load(tmp_path / "out" / "matrix.json")
    assert m.provenance["neighbors"] == {"mutual_knn": "exact, of 40 of 60 rows (seed 0)"}


def test_every_alias_names_a_metric():
    assert set(ALIASES.values()) <= METRICS.keys()
    assert not ALIASES.keys() & METRICS.keys()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--metrics", "cnkna"], "did you mean 'cknna'?"),
        (["--metrics", ","], "names no metric"),
        (["--metrics", "cka", "--k", 5], "none of cka counts neighbours"),
        (["--metrics", "mutual_knn", "--k", 60], "k"),
        (["--metrics", "mutual_knn", "--k", 0], "k"),
        (["--backend", "gpu"], "'gpu'"),
    ],
)
def test_score_refuses_in_one_sentence(run, files, arguments, expected):
    assert expected in sentence(run("score", *files[:2], *arguments))


def test_score_names_the_file_it_cannot_use(run, files, tmp_path):
    np.save(tmp_path / "o.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    assert "o.npy holds pickled" in sentence(run("score", files[0], tmp_path / "o.npy"))
    files[1].write_bytes(files[1].read_bytes()[:300])
    assert "b.npy is truncated" in sentence(run("score", *files[:2]))
    assert "missing.npy does not exist" in sentence(run("score", files[0], "missing.npy"))


def test_score_refuses_rows_that_do_not_match(run, files, arrays):
    np.save(files[1], arrays["b"][:-1])
    line = sentence(run("score", *files[:2]))
    assert "60" in line
    assert "59" in line


def test_debug_shows_the_traceback(run, files):
    result = run("--debug", "score", *files[:2], "--metrics", "cnkna")
    assert isinstance(result.exception, ValueError)


# ---- matrix ------------------------------------------------------------------------------


def test_matrix_writes_scores_and_tables(run, files, tmp_path, arrays):
    output = tmp_path / "study"
    result = run("matrix", *files, "--metrics", "cknna,ii,twonn", "--k", 5, "-o", output)
    assert result.exit_code == 0, result.output
    matrix = cs.load(output / "matrix.json")
    assert matrix.names == ("a", "b", "c")
    label = next(label for label in matrix.metrics if matrix.scores[label].metric == "cknna")
    assert matrix[label][0, 1] == pytest.approx(cs.cknna(arrays["a"], arrays["b"], k=5))
    assert (output / "scores_long.csv").exists()


def test_matrix_writes_a_page_where_it_can(run, files, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    result = run("matrix", *files, "--metrics", "cknna,cka", "-o", tmp_path / "study")
    assert result.exit_code == 0, result.output
    assert "cknna" in (tmp_path / "study" / "report.html").read_text()


def test_matrix_aligns_stores_by_sample_id(run, arrays, tmp_path):
    ids = [f"s{i}" for i in range(60)]
    for name, step in (("a", 1), ("b", -1)):
        rows = [(ids[::step], arrays[name][::step])]
        store.write(tmp_path / name, rows, model=name, dataset={})
    result = run(
        "matrix", tmp_path / "a", tmp_path / "b", "--metrics", "cka", "-o", tmp_path / "study"
    )
    assert result.exit_code == 0, result.output
    matrix = cs.load(tmp_path / "study" / "matrix.json")
    expected = cs.cka(arrays["a"], arrays["b"])
    assert matrix[matrix.metrics[0]][0, 1] == pytest.approx(expected)


def test_matrix_refuses_in_one_sentence(run, files, tmp_path, arrays):
    other = tmp_path / "sub" / "a.npy"
    other.parent.mkdir()
    np.save(other, arrays["a"])
    assert "would both be called 'a'" in sentence(run("matrix", *files, other))
    assert "at least two files" in sentence(run("matrix", files[0]))
    assert "did you mean 'matter'?" in sentence(run("matrix", *files, "--preset", "mater"))
    assert "not both" in sentence(run("matrix", *files, "--preset", "matter", "--metrics", "cka"))
    store.write(tmp_path / "s", [(["x"], arrays["a"][:1])], model="m", dataset={})
    assert "give either stores or arrays" in sentence(run("matrix", tmp_path / "s", *files))


def test_matrix_needs_files(run):
    result = run("matrix")
    assert result.exit_code == 2
    assert "FILES" in result.output


# ---- what there is -----------------------------------------------------------------------


def test_lists_name_everything(run):
    from consilience.datasets import DATASETS
    from consilience.models import MODELS

    for command, names in (("metrics", METRICS), ("models", MODELS), ("datasets", DATASETS)):
        result = run(command)
        assert result.exit_code == 0, result.output
        first = [line.split()[0] for line in result.output.splitlines()[1:]]
        assert first == list(names)


def test_a_device_is_taken_and_a_gpu_that_is_not_there_is_one_sentence(run, files, monkeypatch):
    for module in ("_native", "_cupy"):
        monkeypatch.setattr(f"consilience.backends.cuda.{module}.missing", lambda: "no GPU")
    for where in ("consilience.backends", "consilience.backends._placement"):
        monkeypatch.setattr(f"{where}.torch_missing", lambda: "no GPU")
    result = run("score", *files[:2], "--metrics", "cka", "--device", "cpu")
    assert result.exit_code == 0, result.output
    for command in (("score", *files[:2]), ("matrix", *files)):
        result = run(*command, "--metrics", "cka", "--device", "cuda")
        assert result.exit_code == 1
        assert 'device="cuda" cannot be had here' in result.output
        assert "consilience doctor" in result.output
    assert run("score", *files[:2], "--device", "gpu").exit_code == 2


def test_doctor_speaks_of_backends_and_models(run):
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "backend       native: ready" in result.output
    assert "model random: ready" in result.output


def test_version_and_module_entry():
    command = [sys.executable, "-m", "consilience"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("consilience, version ")
    bad = subprocess.run([*command, "nothing"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "No such command 'nothing'" in bad.stderr


def test_presets_are_offered():
    assert {"matter", "prh"} <= PRESETS.keys()
