"""The datasets that are installed are what they are said to be."""

from collections import Counter

import numpy as np
import pytest

from consilience import datasets
from consilience.datasets import DATASETS, compositions, load_samples

CRYSTALS = {
    "alexandria": 1000,
    "mptrj": 1000,
    "mptrj-stress": 1000,
    "mpf-tp": 1069,
    "random-tp": 693,
}


def load(name, **options):
    if sentence := datasets.missing(DATASETS[name]):
        pytest.skip(sentence)
    return load_samples(name, **options)


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if not entry.takes_path])
def test_a_draw_is_reproducible_and_has_what_is_promised(name):
    samples, again = load(name, n=12, seed=2), load(name, n=8, seed=2)
    assert len(samples) == 12
    assert samples.ids[:8] == again.ids
    assert tuple(samples.columns) == DATASETS[name].columns
    assert load(name, n=12, seed=3).ids != samples.ids
    for values in samples.labels.values():
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals_repeat_and_have_total_energies(name):
    samples = load(name)
    assert len(samples) == CRYSTALS[name]
    assert samples.n_skipped == 0
    for atoms in samples.columns["atoms"]:
        assert atoms.pbc == (True, True, True)
        assert abs(np.linalg.det(atoms.cell)) > 1.0
    _, counts = compositions(samples)
    per_atom = samples.labels["energy_ev"] / counts.sum(axis=1)
    assert -15 < per_atom.min() < np.median(per_atom) < -3
    if name != "random-tp":  # whose cells are all of 16 atoms
        # A total energy goes with the number of atoms, an energy per atom does not.
        assert np.corrcoef(counts.sum(axis=1), samples.labels["energy_ev"])[0, 1] < -0.6


def test_an_id_stays_with_its_crystal():
    whole = load("alexandria")
    place = {name: k for k, name in enumerate(whole.ids)}
    part = load("alexandria", n=20, seed=9)
    for name, atoms, energy in zip(
        part.ids, part.columns["atoms"], part.labels["energy_ev"], strict=True
    ):
        k = place[name]
        np.testing.assert_array_equal(atoms.positions, whole.columns["atoms"][k].positions)
        assert energy == whole.labels["energy_ev"][k]


def test_a_component_is_the_same_molecule_in_every_representation():
    samples = load("ccd", n=60, seed=1)
    from rdkit import Chem

    for name, smiles, atoms in zip(
        samples.ids, samples.columns["smiles"], samples.columns["atoms"], strict=True
    ):
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        elements = Counter(atom.GetAtomicNum() for atom in molecule.GetAtoms())
        assert elements == Counter(atoms.numbers.tolist()), name
        assert Chem.GetFormalCharge(molecule) == atoms.charge, name
        distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1)
        assert 0.5 < distances[distances > 0].min() < 1.7, name
    assert all(samples.columns["name"])


def test_known_components_have_known_structures():
    load("ccd", n=1)
    from consilience.datasets._components import components
    from consilience.datasets._smiles import canonical

    table = components()
    place = {str(name): k for k, name in enumerate(table.ids)}
    known = {
        "ALA": "C[C@H](N)C(=O)O",
        "DAL": "C[C@@H](N)C(=O)O",
        "ACT": None,  # four heavy atoms
        "CFF": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
        "GLC": "OC[C@H]1O[C@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
        "HEM": None,  # iron
    }
    for name, smiles in known.items():
        if smiles is None:
            assert name not in place
        else:
            assert table.smiles(place[name]) == canonical(smiles)
    assert table.names[place["CFF"]] == "CAFFEINE"


def test_a_component_with_an_atom_missing_is_no_molecule():
    load("ccd", n=1)
    from dataclasses import replace

    from consilience.datasets._components import components

    table = components()
    spans = table.atom_spans[:20].copy()
    spans[:, 1] -= 1
    broken = replace(table, atom_spans=spans)
    assert [broken.smiles(i) for i in range(20)] == [None] * 20


def test_moses_ids_are_the_lines_of_its_files():
    samples = load("moses", n=40)
    import gzip
    import importlib.util
    from pathlib import Path

    from consilience.datasets._smiles import canonical

    (folder,) = importlib.util.find_spec("moses").submodule_search_locations
    lines = {
        part: gzip.decompress((Path(folder) / f"dataset/data/{part}.csv.gz").read_bytes()).split()
        for part in ("train", "test", "test_scaffolds")
    }
    for name, smiles in zip(samples.ids, samples.columns["smiles"], strict=True):
        _, part, number = name.split("-")
        assert smiles == canonical(lines[part][1 + int(number)].decode())
    assert sum(map(len, lines.values())) - 3 == 1_936_962


def test_proteins_have_the_geometry_of_proteins():
    samples = load("pdb-chains")
    assert len(samples) == 50
    assert samples.n_skipped == 0
    for name, sequence, structure in zip(
        samples.ids, samples.columns["sequence"], samples.columns["structure"], strict=True
    ):
        assert sequence == structure.sequence
        assert 79 <= len(sequence) <= 173, name
        assert set(sequence) <= set("ACDEFGHIKLMNPQRSTVWY"), name
        n, ca, c, o = structure.coordinates.transpose(1, 0, 2)
        for a, b, length in ((n, ca, 1.46), (ca, c, 1.52), (c, o, 1.23)):
            assert abs(np.linalg.norm(a - b, axis=1) - length).max() < 0.2, name
        bonded = np.linalg.norm(n[1:] - c[:-1], axis=1) < 1.5
        assert bonded.mean() > 0.9, name
