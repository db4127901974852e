"""Embedding from the command line, with models that need no package, and the demo's care."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from consilience import datasets, models, store
from consilience.cli import main
from consilience.datasets import Samples
from consilience.models import States, from_function
from consilience.study import embed as embed_module
from consilience.study.demo import demo_plan
from consilience.study.embed import embed_layers_to_stores, embed_to_store, find_cached, open_layers


@pytest.fixture
def numbers(monkeypatch):
    """A dataset without any package: ids, and numbers to read."""

    def load(n=None, seed=0):
        ids = tuple(f"{seed}-{i}" for i in range(n or 50))
        return Samples(ids=ids, columns={"number": list(range(len(ids)))})

    entry = datasets.Dataset(
        name="numbers",
        summary="",
        modality="",
        columns=("number",),
        license="",
        package="",
        requires=(),
        archive="",
        no_deps=False,
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
        (("--model", "random", "--data", "numbers", "--pooling", "meen"), "did you mean 'mean'?"),
        (("--model", "random", "--data", "numbers", "--layer", "x"), "has no layer 'x'"),
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
    assert find_cached("random", "numbers", path, n=9, seed=0, pooling="sum") is None
    assert find_cached("morgan", "numbers", path, n=9, seed=0) is None


def test_the_cache_is_not_used_for_other_weights_or_damaged_files(numbers, tmp_path):
    path = tmp_path / "r"
    stored = embed_to_store("random", "numbers", path, n=9, seed=0)
    manifest = path / "manifest.json"
    content = json.loads(manifest.read_text())
    right = content["question"]["checkpoint"]
    for checkpoint, found in (("other", False), (right, True)):
        content["question"]["checkpoint"] = checkpoint
        manifest.write_text(json.dumps(content))
        assert bool(find_cached("random", "numbers", path, n=9, seed=0)) is found
    shard = path / stored.manifest.shards[0].file
    shard.write_bytes(shard.read_bytes()[:-1])
    assert find_cached("random", "numbers", path, n=9, seed=0) is None


# ---- going on after an interruption ------------------------------------------------------


@pytest.fixture
def squares(monkeypatch):
    """A model that notes what it is asked, and may die."""
    seen, state = [], {"dies_at": None}

    def function(values):
        for value in values:
            if value == state["dies_at"]:
                raise KeyboardInterrupt
            seen.append(value)
        return np.array([[v, v * v] for v in values], np.float32)

    made = from_function(function, name="squares", width=2, column="number")
    monkeypatch.setitem(models.MODELS, "squares", made)
    monkeypatch.setattr(embed_module, "Writer", partial(store.Writer, seconds=0.0))
    return seen, state


def test_an_interrupted_run_goes_on_where_it_was(numbers, squares, tmp_path):
    seen, state = squares
    state["dies_at"] = 17
    with pytest.raises(KeyboardInterrupt):
        embed_to_store("squares", "numbers", tmp_path / "s", n=30, batch_size=4)
    assert seen[-1] == 16
    left = store.open(tmp_path / "s")
    assert not left.complete
    assert left.unfinished == "16 of 30 samples are there, in 4 finished shards"
    assert find_cached("squares", "numbers", tmp_path / "s", n=30, seed=0) is None
    state["dies_at"] = None
    seen.clear()
    stored = embed_to_store("squares", "numbers", tmp_path / "s", n=30, batch_size=4)
    assert seen == list(range(16, 30))
    assert stored.manifest.extra["n_resumed"] == 16
    whole = embed_to_store("squares", "numbers", tmp_path / "t", n=30, batch_size=4)
    assert stored.ids == whole.ids
    np.testing.assert_array_equal(stored.array(), whole.array())
    assert stored.complete
    assert stored.unfinished == ""
    assert [file.name for file in (tmp_path / "s").glob("manifest*")] == ["manifest.json"]


def test_a_changed_question_begins_anew(numbers, squares, tmp_path):
    seen, state = squares
    state["dies_at"] = 8
    with pytest.raises(KeyboardInterrupt):
        embed_to_store("squares", "numbers", tmp_path / "s", n=30, batch_size=4)
    state["dies_at"] = None
    seen.clear()
    stored = embed_to_store("squares", "numbers", tmp_path / "s", n=20, batch_size=4)
    assert seen == list(range(20))
    assert stored.shape == (20, 2)


def test_samples_of_a_damaged_shard_are_made_again_in_their_place(numbers, squares, tmp_path):
    seen, state = squares
    state["dies_at"] = 25
    with pytest.raises(KeyboardInterrupt):
        embed_to_store("squares", "numbers", tmp_path / "s", n=30, batch_size=5)
    shard = tmp_path / "s" / store.open(tmp_path / "s").manifest.shards[1].file
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    state["dies_at"] = None
    seen.clear()
    with pytest.warns(UserWarning, match=f"{shard.name} is changed .* its 5 samples are made"):
        stored = embed_to_store("squares", "numbers", tmp_path / "s", n=30, batch_size=5)
    assert seen == [*range(5, 10), *range(25, 30)]
    whole = embed_to_store("squares", "numbers", tmp_path / "t", n=30, batch_size=5)
    assert stored.ids == whole.ids
    np.testing.assert_array_equal(stored.array(), whole.array())


# ---- layers ------------------------------------------------------------------------------


class Three:
    """Layers that multiply."""

    layers = ("one", "two", "three")

    def run(self, values, layers):
        by = {"one": 1, "two": 2, "three": 3}
        return States({n: [np.full((1, 2), v * by[n], np.float32) for v in values] for n in layers})


def test_all_layers_of_a_model_in_one_pass(numbers, monkeypatch, tmp_path):
    base = from_function(lambda values: None, name="three", width=2, column="number")
    made = replace(base, load=lambda *, checkpoint, device: Three())
    monkeypatch.setitem(models.MODELS, "three", made)
    embed_layers_to_stores("three", "numbers", tmp_path / "l", n=5)
    found = open_layers(tmp_path / "l")
    assert list(found) == ["one", "two", "three"]
    for factor, stored in enumerate(found.values(), start=1):
        np.testing.assert_array_equal(stored.array()[:, 0], factor * np.arange(5))
    last = embed_to_store("three", "numbers", tmp_path / "last", n=5)
    np.testing.assert_array_equal(last.array(), found["three"].array())
    second = embed_to_store("three", "numbers", tmp_path / "second", n=5, layer="two")
    np.testing.assert_array_equal(second.array(), found["two"].array())
    result = run("embed", "--model", "three", "--data", "numbers", "--n", 5, "--layer", "all")
    assert result.exit_code == 2  # -o is missing
    result = run(
        *("embed", "--model", "three", "--data", "numbers", "--n", 5, "--layer", "all"),
        *("-o", tmp_path / "cli"),
    )
    assert result.output.count("wrote") == 3


def test_layers_of_an_interrupted_pass_are_none(numbers, monkeypatch, tmp_path):
    base = from_function(lambda values: None, name="three", width=2, column="number")
    made = replace(base, load=lambda *, checkpoint, device: Three())
    monkeypatch.setitem(models.MODELS, "three", made)
    embed_layers_to_stores("three", "numbers", tmp_path / "l", n=5)
    (last,) = (tmp_path / "l").glob("002-*")
    (last / "manifest.json").unlink()
    store.Writer(last, model="three", dataset={}).__enter__().append(["x"], np.zeros((1, 2)))
    assert open_layers(tmp_path / "l") == {}


# ---- demo --------------------------------------------------------------------------------


def test_the_demo_asks_for_models_and_data_that_there_are():
    plan = demo_plan()
    assert {part.name for part in plan.parts} >= {"molecules", "materials", "proteins"}
    assert plan.regimes


def test_demo_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "consilience.study.run.missing", lambda entry: "qm9 needs qm9pack: pip install it"
    )
    result = run("demo", "-o", tmp_path)
    assert result.exit_code == 1
    assert result.output == "Error: qm9 needs qm9pack: pip install it\n"
