"""What holds for every packaged network that reads molecules."""

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Samples
from model_fingerprints import packaged
from model_samples import eight_molecules, rock_salt, turned

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def reads_salt(model):
    return model.periodic and (model.elements is None or {11, 17} <= model.elements)


OF_MOLECULES = packaged("smiles", "selfies", "atoms", "ids")
OF_ATOMS = packaged("atoms")
OF_CRYSTALS = [name for name in OF_ATOMS if reads_salt(models.MODELS[name])]


def run_one_batch(name, samples, **options):
    if sentence := models.available(models.find_model(name)):
        pytest.skip(sentence)
    (batch,) = models.embed_layers(name, samples, **options)
    return batch


def of_atoms(*atoms):
    ids = tuple(f"sample-{number}" for number in range(len(atoms)))
    return Samples(ids=ids, columns={"atoms": list(atoms)})


@pytest.mark.parametrize("name", OF_MOLECULES)
def test_every_layer_says_something_of_its_own(name):
    batch = run_one_batch(name, eight_molecules(range(3)))
    assert tuple(batch.rows) == models.layers_of(name)
    fingerprints = {rows.tobytes() for rows in batch.rows.values()}
    assert len(fingerprints) == len(batch.rows)
    for layer, rows in batch.rows.items():
        assert not np.array_equal(rows[0], rows[1]), layer


@pytest.mark.parametrize("name", OF_MOLECULES)
def test_the_default_is_the_last_layer_with_the_pooling_of_the_model(name):
    samples = eight_molecules(range(3))
    by_layer = run_one_batch(name, samples)
    last = tuple(by_layer.rows)[-1]
    (batch,) = models.embed(name, samples, layer=last, pooling=models.MODELS[name].pooling)
    np.testing.assert_array_equal(batch.rows, by_layer.rows[last])
    (batch,) = models.embed(name, samples)
    np.testing.assert_allclose(batch.rows, by_layer.rows[last], rtol=1e-5, atol=1e-6)
    assert batch.rows.dtype == np.float32


@pytest.mark.parametrize("name", OF_ATOMS)
def test_no_layer_knows_how_a_molecule_lies_in_space(name):
    samples = eight_molecules(range(2))
    batch = run_one_batch(name, samples)
    moved = run_one_batch(name, of_atoms(*map(turned, samples.columns["atoms"])))
    for layer, rows in batch.rows.items():
        scale = np.abs(rows).max()
        np.testing.assert_allclose(moved.rows[layer], rows, atol=2e-4 * scale, err_msg=layer)
    for output, values in batch.outputs.items():
        np.testing.assert_allclose(moved.outputs[output], values, atol=5e-3)


@pytest.mark.parametrize("name", OF_CRYSTALS)
def test_a_crystal_is_the_same_in_any_cell_and_its_energy_grows_with_it(name):
    cells = of_atoms(rock_salt(), rock_salt((2, 1, 1)), turned(rock_salt()))
    batch = run_one_batch(name, cells)
    for layer, rows in batch.rows.items():
        scale = np.abs(rows).max()
        np.testing.assert_allclose(rows[1], rows[0], atol=3e-4 * scale, err_msg=layer)
        np.testing.assert_allclose(rows[2], rows[0], atol=3e-4 * scale, err_msg=layer)
    for one, two, same in batch.outputs.values():
        assert -30 < one < 0
        assert two == pytest.approx(2 * one, rel=1e-4)
        assert same == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("name", OF_ATOMS)
def test_energies_are_total_and_in_ev_whatever_their_zero(name):
    # Bonds are as stiff for every potential: scaling a molecule by 5 % either way costs this.
    samples = eight_molecules(range(3))
    scales = (0.95, 1.0, 1.05)
    scaled = [of_atoms(*(stretched(a, s) for a in samples.columns["atoms"])) for s in scales]
    outputs = [run_one_batch(name, atoms).outputs for atoms in scaled]
    if models.MODELS[name].modality == "baseline":
        assert outputs == [{}, {}, {}]
        return
    less, here, more = (output["energy_ev"] for output in outputs)
    n_atoms = np.array([len(atoms) for atoms in samples.columns["atoms"]])
    cost = (less + more - 2 * here) / n_atoms
    assert (cost > 0.12).all()
    assert (cost < 0.19).all()


def stretched(atoms, scale):
    return Atoms(atoms.numbers, atoms.positions * scale)
