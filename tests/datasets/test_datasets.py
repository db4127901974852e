"""Samples keep their ids, whatever part of a dataset is asked for."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from consilience import datasets
from consilience.datasets import load_samples


@pytest.fixture
def qm9():
    if sentence := datasets.missing(datasets.DATASETS["qm9"]):
        pytest.skip(sentence)


@pytest.fixture
def rdkit():
    return pytest.importorskip("rdkit")


def test_qm9_gives_molecules_in_every_representation(qm9):
    samples = load_samples("qm9", n=25)
    assert len(samples) == 25
    for smiles, atoms in zip(*(samples.columns[c] for c in ("smiles", "atoms")), strict=True):
        heavy = int((atoms.numbers > 1).sum())
        assert 1 <= heavy <= 9
        assert sum(smiles.upper().count(letter) for letter in "CNOF") == heavy
        distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
        assert 0.8 < distances[distances > 0].min() < 1.3
    assert (samples.labels["energy_0k_hartree"] < -40).all()
    np.testing.assert_allclose(
        samples.labels["energy_ev"] / samples.labels["energy_0k_hartree"], 27.2113862, rtol=1e-8
    )
    assert (samples.labels["gap_hartree"] > 0).all()


def test_qm9_samples_of_one_seed_begin_alike(qm9):
    small, large = (load_samples("qm9", n=n, seed=3) for n in (5, 12))
    assert large.ids[:5] == small.ids
    assert large.columns["smiles"][:5] == small.columns["smiles"]
    assert load_samples("qm9", n=12, seed=4).ids != large.ids


def test_qm9_ids_are_the_numbers_of_qm9(qm9):
    samples = load_samples("qm9", n=20)
    folder = Path(importlib.util.find_spec("qm9pack").submodule_search_locations[0]) / "data"
    text = "".join((folder / f"qm9_part{part}.csv").read_text() for part in (1, 2, 3))
    for sample, energy, gap in zip(
        samples.ids,
        samples.labels["energy_0k_hartree"],
        samples.labels["gap_hartree"],
        strict=True,
    ):
        line = re.search(f"dsgdb9nsd_{sample.removeprefix('qm9-')}.*", text).group()
        numbers = [float(field) for field in line.rsplit('"', 1)[1].split(",")[1:]]
        assert energy in numbers
        assert gap in numbers


def test_more_molecules_than_there_are(qm9):
    with pytest.raises(ValueError, match="QM9 has 130831 molecules, 200000 were asked for"):
        load_samples("qm9", n=200_000)


def test_smiles_file(rdkit, tmp_path):
    file = tmp_path / "mine.smi"
    file.write_text("# mine\nOCC ethanol\n\nC1CC\nc1ccccc1\nCC\tethane one\n")
    samples = load_samples(f"smiles_file:{file}")
    assert samples.ids == ("ethanol", "mine-000005", "ethane one")
    assert samples.columns["smiles"] == ["CCO", "c1ccccc1", "CC"]
    assert samples.n_skipped == 1
    assert set(load_samples(f"smiles_file:{file}", n=2).ids) < set(samples.ids)


@pytest.mark.parametrize(
    ("content", "n", "message"),
    [
        ("C a\nCC a\n", None, "'a' comes twice"),
        ("C\n", 2, "has 1 readable molecules, 2 were asked for"),
        ("C1CC\n", None, "no readable molecule"),
        (b"\xff\xfe", None, "cannot read"),
        (None, None, "cannot read"),
    ],
)
def test_smiles_files_that_cannot_serve(rdkit, tmp_path, content, n, message):
    file = tmp_path / "a.smi"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        load_samples(f"smiles_file:{file}", n=n)


@pytest.mark.parametrize(
    ("source", "n", "message"),
    [
        ("qm", 5, "did you mean 'qm9'"),
        ("smiles_file", 5, "'smiles_file:PATH'"),
        ("qm9:file", 5, "must be given as 'qm9'"),
    ],
)
def test_unknown_sources(source, n, message):
    with pytest.raises(ValueError, match=message):
        load_samples(source, n=n)


def test_no_samples_at_all(qm9):
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        load_samples("qm9", n=0)
