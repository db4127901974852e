"""What is said of each model and dataset is so, and a model that fails says why."""

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consilience import datasets, models
from consilience.datasets import Samples

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "python" / "consilience"


def samples(n=5):
    return Samples(
        ids=tuple(f"id-{i}" for i in range(n)),
        columns={"smiles": ["C" * (i + 1) for i in range(n)]},
    )


def pinned(text):
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {line for line in lines if "==" in line}


@pytest.mark.parametrize("room", ["models", "datasets"])
def test_every_file_is_registered(room):
    files = {f.stem for f in (SOURCES / room).glob("*.py") if not f.stem.startswith("_")}
    table = {"models": models.MODELS, "datasets": datasets.DATASETS}[room]
    functions = [getattr(entry, "function", None) or entry.load for entry in table.values()]
    assert {function.__module__.rpartition(".")[2] for function in functions} == files


def test_packages_are_those_of_the_requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = pinned("\n".join(project["optional-dependencies"]["models"]))
    wanted |= pinned((ROOT / "requirements" / "models-nodeps.txt").read_text())
    said = {entry.package for entry in (*models.MODELS.values(), *datasets.DATASETS.values())}
    assert said - {""} <= wanted
    for model in models.MODELS.values():
        assert model.package in model.install


@pytest.mark.parametrize("name", models.MODELS)
def test_facts_are_complete(name):
    model = models.MODELS[name]
    assert model.name == name
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    assert model.representation in ("smiles", "atoms", "ids")
    assert model.modality in ("string", "language", "graph", "3D", "baseline")
    assert model.license
    assert model.summary
    assert model.install or not model.requires
    assert {"name", "width", "license"} <= model.facts().keys()


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("rxnmaper", "rxnmapper"), ("chgnet-030", "chgnet-0.3.0")],
)
def test_an_unknown_model_suggests_the_nearest(wrong, near):
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        models.find_model(wrong)


def test_a_missing_package_gives_one_sentence():
    model = replace(
        models.MODELS["random"], requires=("no_such_package",), install="pip install it"
    )
    assert models.available(model) == "random needs no_such_package: pip install it"
    with pytest.raises(models.ModelError, match="pip install it"):
        models.embed(model, samples())


def test_samples_without_the_representation_are_refused():
    with pytest.raises(ValueError, match="aimnet2 needs 'atoms'"):
        models.embed("aimnet2", samples())
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        models.embed("random", samples(), batch_size=0)


def test_random_rows_depend_on_the_id_alone():
    whole = dict(pair for pair in one_by_one("random", samples(9)))
    few = Samples(ids=("id-7", "id-2"), columns={})
    for sample, row in one_by_one("random", few):
        np.testing.assert_array_equal(row, whole[sample])
    rows = np.stack(list(whole.values()))
    assert abs(rows.mean()) < 0.1
    assert abs(rows.std() - 1) < 0.1


def one_by_one(name, wanted):
    for ids, rows in models.embed(name, wanted, batch_size=2):
        yield from zip(ids, rows, strict=True)


def broken(kind):
    def embed(wanted, *, checkpoint, batch_size):
        good = np.zeros((1, 256), np.float32)
        yield wanted.ids[:1], good
        if kind == "raises":
            raise KeyError("layer\nmissing")
        if kind == "not finite":
            yield wanted.ids[1:2], good * np.nan
        if kind == "wrong width":
            yield wanted.ids[1:2], good[:, :9]
        if kind == "wrong type":
            yield wanted.ids[1:2], good.astype(np.float64)
        if kind == "out of order":
            yield wanted.ids[2:3], good

    return replace(models.MODELS["random"], function=embed)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raises", r"random failed after 1 of 5 samples: KeyError: 'layer\\nmissing'"),
        ("not finite", "NaN or infinity for 'id-1'"),
        ("wrong width", r"shape \(1, 9\), expected float32 of shape \(1, 256\)"),
        ("wrong type", "float64"),
        ("out of order", "out of order"),
        ("too few", "gave 1 embeddings for 5 samples"),
    ],
)
def test_a_model_that_fails_says_where_in_one_line(kind, message):
    with pytest.raises(models.ModelError, match=message) as caught:
        list(models.embed(broken(kind), samples()))
    assert "\n" not in str(caught.value)


def test_the_network_is_kept_out_while_a_model_runs():
    seen = []

    def embed(wanted, *, checkpoint, batch_size):
        seen.append(os.environ.get("HF_HUB_OFFLINE"))
        yield wanted.ids, np.zeros((len(wanted), 256), np.float32)

    before = dict(os.environ)
    list(models.embed(replace(models.MODELS["random"], function=embed), samples()))
    assert seen == ["1"]
    assert dict(os.environ) == before
