"""PET on a tiny random network, saved as a checkpoint and as an exported model."""

from __future__ import annotations

import numpy as np
import pytest

from consilience import models
from consilience.models._atomistic import to_ase
from family_atoms import (
    ICE,
    METHANOL,
    WATER,
    check_batches_do_not_matter,
    check_layers,
    rows_of,
    samples_of,
    turned,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("metatrain", reason="upet is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def network():
    from metatrain.pet import PET
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info

    torch.manual_seed(0)
    hypers = get_default_hypers("pet")["model"]
    hypers.update(d_pet=8, d_node=8, d_head=8, d_feedforward=8, num_heads=2, num_gnn_layers=2)
    target = get_energy_target_info("energy", {"quantity": "energy", "unit": "eV"})
    info = DatasetInfo(length_unit="angstrom", atomic_types=[1, 6, 8], targets={"energy": target})
    return PET(hypers, info).eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("pet") / "tiny.pt"
    network.export().save(str(path))
    return f"pet-mad:{path}"


def test_energies_are_those_of_the_calculator_of_the_library(exported):
    from metatomic_ase import MetatomicCalculator

    _, outputs = rows_of(exported, samples_of(WATER, METHANOL, ICE))
    calculator = MetatomicCalculator(exported.partition(":")[2])
    for energy, atoms in zip(outputs["energy_ev"], (WATER, METHANOL, ICE), strict=True):
        plain = to_ase(atoms)
        plain.calc = calculator
        np.testing.assert_allclose(energy, plain.get_potential_energy(), rtol=1e-4, atol=1e-5)


def test_the_last_layer_gives_the_energy_by_a_linear_map(exported):
    """The energy is linear in the sum of the last features, if they are what they should be."""
    rng = np.random.default_rng(0)
    moved = [
        type(METHANOL)(METHANOL.numbers, METHANOL.positions + rng.normal(size=(6, 3)) * 0.1)
        for _ in range(80)
    ]
    rows, outputs = rows_of(exported, samples_of(*moved), pooling="sum")
    X = np.column_stack([rows.astype(np.float64), np.ones(len(rows))])
    y = outputs["energy_ev"]
    left = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert X.shape[1] < len(y) - 10
    assert np.abs(left).max() < 1e-3 * np.ptp(y)


def test_batches_do_not_matter_and_no_symmetry_is_built_in(exported):
    samples = samples_of(WATER, METHANOL, ICE)
    check_batches_do_not_matter(exported, samples)
    assert check_layers(exported, samples) == ("features", "last-layer")
    rows, _ = rows_of(exported, samples_of(METHANOL, turned(METHANOL)))
    assert np.abs(rows[0] - rows[1]).max() > 1e-4


def test_a_checkpoint_gives_the_same_once_it_is_trusted(network, exported, tmp_path, monkeypatch):
    path = tmp_path / "tiny.ckpt"
    torch.save(network.get_checkpoint(), path)
    samples = samples_of(WATER, METHANOL)
    monkeypatch.delenv("CONSILIENCE_TRUST_PICKLE", raising=False)
    with pytest.raises(models.ModelError, match="set CONSILIENCE_TRUST_PICKLE=1"):
        rows_of(f"pet-mad:{path}", samples)
    monkeypatch.setenv("CONSILIENCE_TRUST_PICKLE", "1")
    found, _ = rows_of(f"pet-mad:{path}", samples)
    np.testing.assert_allclose(found, rows_of(exported, samples)[0], rtol=1e-4, atol=1e-5)
