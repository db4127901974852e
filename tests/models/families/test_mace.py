"""MACE on a tiny random network saved as the library saves its own."""

from __future__ import annotations

import os

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms
from family_atoms import (
    ICE,
    METHANOL,
    WATER,
    check_batches_do_not_matter,
    check_invariance,
    check_layers,
    rows_of,
    samples_of,
)

pytest.importorskip("mace", reason="mace-torch is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def network():
    from e3nn import o3
    from mace import modules

    torch.manual_seed(0)
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    network = modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=interaction,
        interaction_cls_first=interaction,
        num_interactions=2,
        num_elements=3,
        hidden_irreps=o3.Irreps("8x0e+8x1o"),
        MLP_irreps=o3.Irreps("4x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.array([-13.6, -1030.0, -2040.0]),
        avg_num_neighbors=4.0,
        atomic_numbers=[1, 6, 8],
        correlation=2,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    return network.eval()


@pytest.fixture
def name(network, tmp_path, monkeypatch):
    monkeypatch.setenv("CONSILIENCE_TRUST_PICKLE", "1")
    torch.save(network, tmp_path / "tiny.model")
    return f"mace-off:{tmp_path / 'tiny.model'}"


def test_the_embedding_is_the_mean_of_the_descriptors_of_the_library(name, network):
    from mace.calculators import MACECalculator

    calculator = MACECalculator(models=network, device="cpu", default_dtype="float32")
    rows, outputs = rows_of(name, samples_of(METHANOL, ICE))
    import ase

    for row, energy, atoms in zip(rows, outputs["energy_ev"], (METHANOL, ICE), strict=True):
        plain = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        descriptors = calculator.get_descriptors(plain, invariants_only=True)
        np.testing.assert_allclose(row, descriptors.mean(0), rtol=1e-4, atol=1e-5)
        plain.calc = calculator
        np.testing.assert_allclose(energy, plain.get_potential_energy(), rtol=1e-5)


def test_batches_turns_and_the_order_of_atoms_do_not_matter(name):
    check_batches_do_not_matter(name, samples_of(WATER, METHANOL, ICE))
    check_invariance(name, METHANOL)
    check_invariance(name, ICE)


def test_all_layers_are_invariants_and_the_default_is_all_of_them(name):
    samples = samples_of(WATER, METHANOL, ICE)
    assert check_layers(name, samples) == ("layer-1", "layer-2", "descriptors")
    (batch,) = models.embed_layers(name, samples)
    side_by_side = np.hstack([batch.rows["layer-1"], batch.rows["layer-2"]])
    np.testing.assert_array_equal(batch.rows["descriptors"], side_by_side)
    assert batch.rows["layer-1"].shape == (3, 8)


def test_a_pickle_is_refused_until_the_user_trusts_it(name, monkeypatch):
    monkeypatch.delenv("CONSILIENCE_TRUST_PICKLE")
    with pytest.raises(models.ModelError, match="set CONSILIENCE_TRUST_PICKLE=1"):
        models.layers_of(name)


def test_mace_does_not_leave_torch_unpickling_for_everyone(name, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", raising=False)
    rows_of(name, samples_of(WATER))
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


def test_an_element_that_the_weights_do_not_know_is_named(name):
    ammonia = Atoms(np.array([7, 1]), np.array([[0.0, 0, 0], [0, 0, 1.0]]))
    with pytest.raises(models.ModelError, match=r"atomic numbers \[7\]"):
        rows_of(name, samples_of(ammonia))


def test_a_head_that_is_not_there_is_answered_with_those_that_are(name):
    with pytest.raises(models.ModelError, match="have the heads Default; give 'PATH#HEAD'"):
        models.layers_of(f"{name}#r2scan")
    assert models.layers_of(f"{name}#Default") == models.layers_of(name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(models.ModelError, match=r"none\.model' is no file"):
        models.layers_of(f"mace-mp:{tmp_path / 'none.model'}")
