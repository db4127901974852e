"""Embedding from the command line, with models that need no package, and the demo's care."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from consilience import datasets, models, store
from consilience.cli import main
from consilience.datasets import Samples
from consilience.study import demo
from consilience.study.embed import embed_to_store, find_cached


@pytest.fixture
def numbers(monkeypatch):
    """A dataset without any package: ids alone."""

    def load(n=None, seed=0):
        return Samples(ids=tuple(f"{seed}-{i}" for i in range(n or 50)), columns={})

    entry = datasets.Dataset(
        name="numbers",
        summary="",
        modality="",
        columns=(),
        license="",
        package="",
        requires=(),
        citation="",
        takes_path=False,
        load=load,
    )
    monkeypatch.setitem(datasets.DATASETS, "numbers", entry)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def embed_random(folder, *more):
    return run("embed", "--model", "random", "--data", "numbers", "-o", folder, *more)


def test_embed_writes_a_store(numbers, tmp_path):
    result = embed_random(tmp_path / "r", "--n", 20, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "wrote 20 x 256 float32" in result.output
    stored = store.open(tmp_path / "r")
    stored.verify()
    assert stored.ids[0] == "3-0"
    assert stored.manifest.dataset["seed"] == 3
    assert stored.manifest.extra["seconds"] >= 0
    assert "numpy" in stored.manifest.versions


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "randm", "--data", "numbers"), "did you mean 'random'?"),
        (("--model", "random", "--data", "number"), "did you mean 'numbers'?"),
        (("--model", "morgan", "--data", "numbers"), "morgan needs 'smiles'"),
        (("--model", "random", "--data", "numbers", "--n", 0), "`n` must be at least 1"),
    ],
)
def test_embed_refuses_in_one_sentence(numbers, tmp_path, arguments, expected):
    result = run("embed", *arguments, "-o", tmp_path / "x")
    assert result.exit_code == 1
    assert expected in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_embed_overwrites_only_when_asked(numbers, tmp_path):
    assert embed_random(tmp_path / "r", "--n", 5).exit_code == 0
    again = embed_random(tmp_path / "r", "--n", 6)
    assert again.exit_code == 1
    assert "already has a store" in again.output
    assert embed_random(tmp_path / "r", "--n", 6, "--overwrite").exit_code == 0
    assert store.open(tmp_path / "r").shape == (6, 256)


def test_the_cache_is_used_only_for_the_same_question(numbers, tmp_path):
    path = tmp_path / "r"
    assert find_cached("random", "numbers", path, n=9, seed=0) is None
    embed_to_store("random", "numbers", path, n=9, seed=0)
    assert find_cached("random", "numbers", path, n=9, seed=0).shape == (9, 256)
    assert find_cached("random", "numbers", path, n=8, seed=0) is None
    assert find_cached("random", "numbers", path, n=9, seed=1) is None
    assert find_cached("morgan", "numbers", path, n=9, seed=0) is None


def test_the_cache_is_not_used_for_other_weights_or_damaged_files(numbers, tmp_path):
    path = tmp_path / "r"
    stored = embed_to_store("random", "numbers", path, n=9, seed=0)
    manifest = path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["extra"]["checkpoint"] = "1"
    manifest.write_text(json.dumps(content))
    assert find_cached("random", "numbers", path, n=9, seed=0) is None
    content["extra"]["checkpoint"] = "0"
    manifest.write_text(json.dumps(content))
    assert find_cached("random", "numbers", path, n=9, seed=0)
    shard = path / stored.manifest.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-1])
    assert find_cached("random", "numbers", path, n=9, seed=0) is None


# ---- demo --------------------------------------------------------------------------------


@pytest.fixture
def qm9():
    if sentence := datasets.missing(datasets.DATASETS["qm9"]):
        pytest.skip(sentence)


def test_demo_compares_what_runs_and_reports_what_does_not(qm9, tmp_path, monkeypatch):
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    absent = replace(
        models.MODELS["random"],
        name="absent",
        requires=("no_such_package",),
        install="pip install no-such-package",
    )
    monkeypatch.setitem(models.MODELS, "absent", absent)
    said = []
    names = ["random", "absent", "morgan"]
    matrix = demo.run_demo(tmp_path, n=60, models=names, say=said.append)
    assert matrix.names == ("random", "morgan")
    assert matrix.n_samples == 60
    page = (tmp_path / "report.html").read_text()
    assert "pip install no-such-package" in page
    assert (tmp_path / "matrix.json").exists()
    assert any("absent: skipped, absent needs no_such_package" in line for line in said)

    said.clear()
    again = demo.run_demo(tmp_path, n=60, models=names, say=said.append)
    assert sum("reused" in line for line in said) == 2
    for label in matrix.metrics:
        np.testing.assert_array_equal(again[label], matrix[label])


def test_demo_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "missing", lambda entry: "qm9 needs qm9pack: pip install it")
    result = run("demo", "-o", tmp_path)
    assert result.exit_code == 1
    assert result.output == "Error: qm9 needs qm9pack: pip install it\n"


def test_demo_refuses_few_molecules_and_unknown_models(qm9, tmp_path):
    assert "at least 8" in run("demo", "--n", 3, "-o", tmp_path).output
    assert "did you mean 'morgan'?" in run("demo", "--models", "morgen", "-o", tmp_path).output


def test_a_model_that_dies_is_a_note_and_not_an_end(qm9, tmp_path, monkeypatch):
    monkeypatch.setattr(demo.sys, "executable", "/bin/false")
    said = []
    with pytest.raises(ValueError, match="needs two models, 0 ran: random ended with code 1"):
        demo.run_demo(tmp_path, n=20, models=["random", "morgan"], say=said.append)
