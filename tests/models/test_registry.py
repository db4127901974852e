"""What is said of each model and dataset is so, and a model that fails says why."""

import json
import os
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from consilience import datasets, models
from consilience.datasets import Atoms, Samples
from consilience.models import States
from consilience.models._registry import EmbeddingType, Modality

REPRESENTATIONS = ("smiles", "selfies", "name", "atoms", "sequence", "structure", "ids")
TABLE = {
    "name",
    "modality",
    "family",
    "architecture",
    "embedding",
    "training_data",
    "training_size",
    "theory",
    "parameters",
    "license",
    "weights",
    "package",
    "width",
    "summary",
    "checkpoint",
    "pooling",
}
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
    assert {entry.load.__module__.rpartition(".")[2] for entry in table.values()} == files


def test_packages_are_those_of_the_requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = pinned("\n".join([*extras["models"], *extras["models-heavy"]]))
    wanted |= pinned((SOURCES / "models" / "nodeps.txt").read_text())
    ours = [
        entry
        for entry in models.MODELS.values()
        # what is under the GPL is for users to install, and in no list of ours
        if not (entry.takes_weights or entry.license.startswith("GPL"))
    ]
    said = {entry.package for entry in (*ours, *datasets.DATASETS.values())}
    assert said - {""} <= wanted
    for model in models.MODELS.values():
        assert model.package in model.install


@pytest.mark.parametrize("name", models.MODELS)
def test_facts_are_complete(name):
    model = models.MODELS[name]
    assert model.name == name
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    assert model.representation in REPRESENTATIONS
    assert model.modality in get_args(Modality)
    assert model.embedding in get_args(EmbeddingType)
    assert (model.modality == "baseline") == (model.embedding == "baseline")
    assert model.modality == "baseline" or model.training_data or model.takes_weights
    assert model.license
    assert model.weights
    assert model.summary
    assert model.install or not model.requires
    assert model.width or model.takes_weights
    facts = json.loads(json.dumps(model.facts()))
    assert facts.keys() >= TABLE
    assert facts["name"] == name


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
    for ids, rows, _ in models.embed(name, wanted, batch_size=2):
        yield from zip(ids, rows, strict=True)


class Constant:
    """Two tokens of the same number in each of two layers."""

    layers = ("early", "late")

    def __init__(self, change=lambda states, values: states):
        self.change = change

    def run(self, values, layers):
        tokens = {"early": np.ones((2, 3)), "late": np.full((2, 2), 2.0)}
        states = States(
            {layer: [tokens[layer] for _ in values] for layer in layers},
            {"energy_ev": np.arange(len(values))},
        )
        return self.change(states, values)


def of(network, **facts):
    def load(*, checkpoint, device):
        return network

    known = {"name": "mine", "representation": "smiles", "width": 2}
    return replace(models.MODELS["random"], load=load, **{**known, **facts})


def test_layers_and_pooling_are_chosen():
    run = models.embed(of(Constant()), samples(3))
    (batch,) = run
    assert run.layers == ("late",)
    assert batch.ids == samples(3).ids
    assert batch.rows.tolist() == [[2.0, 2.0]] * 3
    assert batch.outputs["energy_ev"].tolist() == [0.0, 1.0, 2.0]
    (batch,) = models.embed(of(Constant()), samples(3), layer="early", pooling="sum")
    assert batch.rows.tolist() == [[2.0] * 3] * 3
    (batch,) = models.embed(of(Constant(), pooling="sum"), samples(3))
    assert batch.rows.tolist() == [[4.0, 4.0]] * 3


def test_all_layers_come_from_one_run():
    seen = []

    def change(states, values):
        seen.append(values)
        return states

    network = Constant(change)
    batches = list(models.embed_layers(of(network), samples(3), batch_size=2))
    assert seen == [["C", "CC"], ["CCC"]]
    assert [batch.rows["early"].shape for batch in batches] == [(2, 3), (1, 3)]
    assert [batch.rows["late"].shape for batch in batches] == [(2, 2), (1, 2)]
    (batch,) = models.embed_layers(of(network), samples(3), layers="early")
    assert tuple(batch.rows) == ("early",)
    assert models.layers_of(of(network)) == ("early", "late")


def test_an_unknown_layer_or_pooling_names_those_there_are():
    with pytest.raises(ValueError, match="no layer 'later'; from the input on: early, late"):
        models.embed(of(Constant()), samples(), layer="later")
    with pytest.raises(ValueError, match="`layers` is empty; mine has early, late"):
        models.embed_layers(of(Constant()), samples(), layers=[])
    with pytest.raises(ValueError, match=r"`pooling` must be one of .*'mean'.* got 'max'"):
        models.embed(of(Constant()), samples(), pooling="max")


def atoms(number, *, periodic=False):
    cell = np.eye(3) if periodic else None
    return Atoms(np.array([number]), np.zeros((1, 3)), cell=cell, pbc=(periodic,) * 3)


def test_samples_that_a_model_cannot_read_are_left_out_and_named():
    some = Samples(
        ids=("h", "he", "crystal", "o"),
        columns={"atoms": [atoms(1), atoms(2), atoms(1, periodic=True), atoms(8)]},
    )
    facts = {"representation": "atoms", "elements": frozenset({1, 8})}
    run = models.embed(of(Constant(), **facts), some, batch_size=2)
    assert run.skipped == ("he",)
    assert run.n_samples == 3
    assert [batch.ids for batch in run] == [("h", "crystal"), ("o",)]
    run = models.embed(of(Constant(), **facts, periodic=False), some)
    assert run.skipped == ("he", "crystal")
    with pytest.raises(models.ModelError, match="none of the 1 samples: they have elements"):
        models.embed(of(Constant(), **facts), some.subset([1]))


def test_samples_that_could_not_be_written_are_left_out():
    some = Samples(ids=("a", "b"), columns={"selfies": ["[C]", None]})
    model = of(Constant(), representation="selfies")
    run = models.embed(model, some)
    assert run.skipped == ("b",)
    assert [batch.ids for batch in run] == [("a",)]
    with pytest.raises(models.ModelError, match="none of the 1 samples: not one could be written"):
        models.embed(model, some.subset([1]))


def test_weights_of_the_user_come_after_a_colon(monkeypatch):
    seen = []

    def load(*, checkpoint, device):
        seen.append((checkpoint, device))
        return Constant()

    model = replace(of(Constant()), load=load, takes_weights=True, checkpoint="", weights="a path")
    monkeypatch.setitem(models.MODELS, "mine", model)
    assert models.available(model) == "mine needs weights, given as 'mine:WEIGHTS'; a path"
    found = models.find_model("mine:/some/where:else")
    assert (found.name, found.checkpoint) == ("mine:/some/where:else", "/some/where:else")
    assert models.available(found) is None
    list(models.embed("mine:hub/name", samples(2), device="cpu"))
    assert seen == [("hub/name", "cpu")]
    with pytest.raises(models.ModelError, match="mine needs weights"):
        models.embed("mine", samples(2))
    with pytest.raises(ValueError, match="no weights after the colon"):
        models.find_model("mine:")
    with pytest.raises(ValueError, match="random has weights of its own, got 'random:0'"):
        models.find_model("random:0")


def test_a_name_is_taken_once():
    facts = {f.name: getattr(models.MODELS["random"], f.name) for f in fields(models.Model)}
    load = facts.pop("load")
    with pytest.raises(ValueError, match="there is a model 'random' already"):
        models.model(**facts)(load)


def raises(states, values):
    raise KeyError("layer\nmissing")


def changed(**tokens):
    """Return what exchanges the states of the second sample of a batch."""

    def change(states, values):
        for layer, array in tokens.items():
            states.layers[layer][1] = np.array(array)
        return states

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (raises, r"mine failed after 0 of 5 samples: KeyError: 'layer\\nmissing'"),
        (changed(late=[[np.nan, 0.0]]), "NaN or infinity in layer 'late' for 'id-1'"),
        (changed(late=np.zeros((2, 3))), r"near 'id-0': layer 'late' gave shape \(2, 3\)"),
        (changed(late=np.zeros((0, 2))), r"gave shape \(0, 2\) for sample 1 of a batch"),
        (lambda s, v: States({"late": s.layers["late"][:1]}), "gave 1 embeddings for 2 samples"),
        (lambda s, v: States({}), "gave no states of layer 'late'"),
        (lambda s, v: States(s.layers, {"energy_ev": [1.0]}), r"'energy_ev' of shape \(1,\)"),
        (
            lambda s, v: States(s.layers, {"energy_ev": [1.0, np.inf]}),
            "NaN or infinity in 'energy_ev' for 'id-1'",
        ),
    ],
)
def test_a_model_that_fails_says_where_in_one_line(change, message):
    with pytest.raises(models.ModelError, match=message) as caught:
        list(models.embed(of(Constant(change)), samples(), batch_size=2))
    assert "\n" not in str(caught.value)


def test_a_model_of_another_width_is_refused():
    with pytest.raises(models.ModelError, match="mine gave width 2 for 'id-0', expected 9"):
        list(models.embed(of(Constant(), width=9), samples()))
    list(models.embed(of(Constant(), width=9), samples(), layer="early"))


def test_a_model_that_cannot_be_loaded_says_so():
    def load(*, checkpoint, device):
        raise FileNotFoundError("no such file")

    model = replace(of(Constant()), load=load)
    message = "mine could not be loaded: FileNotFoundError: no such file"
    with pytest.raises(models.ModelError, match=message):
        models.embed(model, samples())


def test_the_network_is_kept_out_while_a_model_loads_and_runs():
    seen = []

    def change(states, values):
        seen.append(os.environ.get("HF_HUB_OFFLINE"))
        return states

    def load(*, checkpoint, device):
        seen.append(os.environ.get("HF_HUB_OFFLINE"))
        return Constant(change)

    before = dict(os.environ)
    list(models.embed(replace(of(Constant()), load=load), samples()))
    assert seen == ["1", "1"]
    assert dict(os.environ) == before
