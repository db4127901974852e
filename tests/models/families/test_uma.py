"""UMA and eSEN on tiny random networks, saved as checkpoints of fairchem-core 2."""

from __future__ import annotations

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
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

pytest.importorskip("fairchem.core.units.mlip_unit", reason="fairchem-core 2 is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

BACKBONE = {
    "model": "fairchem.core.models.uma.escn_moe.eSCNMDMoeBackbone",
    "max_num_elements": 100,
    "sphere_channels": 8,
    "lmax": 2,
    "mmax": 2,
    "otf_graph": True,
    "cutoff": 5.0,
    "edge_channels": 8,
    "num_distance_basis": 8,
    "direct_forces": False,
    "regress_forces": True,
    "regress_stress": False,
    "num_layers": 2,
    "hidden_channels": 8,
    "always_use_pbc": False,
}


def checkpoint_of(path, datasets, n_experts):
    """Write what the library writes: configurations that say how to build, and weights."""
    import hydra
    from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint

    head = {"module": "fairchem.core.models.uma.escn_md.MLP_EFS_Head"}
    if n_experts:
        head = {
            "module": "fairchem.core.models.uma.escn_moe.DatasetSpecificMoEWrapper",
            "head_cls": "fairchem.core.models.uma.escn_md.MLP_EFS_Head",
            "head_kwargs": {"wrap_property": False},
            "dataset_names": list(datasets),
        }
    config = {
        "_target_": "fairchem.core.models.base.HydraModel",
        "backbone": {
            **BACKBONE,
            "num_experts": n_experts,
            "use_composition_embedding": bool(n_experts),
            "use_dataset_embedding": bool(n_experts),
            "dataset_list": list(datasets),
        },
        "heads": {"efs": head},
        "pass_through_head_outputs": True,
        **({"model_id": "UMA-1.2.1"} if n_experts else {}),
    }
    tasks = [
        {
            "_target_": "fairchem.core.units.mlip_unit.mlip_unit.Task",
            "name": f"{data}_energy" if n_experts else "energy",
            "level": "system",
            "property": "energy",
            "out_spec": {
                "_target_": "fairchem.core.units.mlip_unit.mlip_unit.OutputSpec",
                "dim": [1],
                "dtype": "float32",
            },
            "normalizer": {
                "_target_": "fairchem.core.modules.normalization.normalizer.Normalizer",
                "mean": -3.0,
                "rmsd": 2.0,
            },
            "datasets": [data],
        }
        for data in datasets
    ]
    torch.manual_seed(0)
    network = hydra.utils.instantiate(config)
    averaged = torch.optim.swa_utils.AveragedModel(network)
    torch.save(
        MLIPInferenceCheckpoint(
            model_config=config,
            model_state_dict=network.state_dict(),
            ema_state_dict=averaged.state_dict(),
            tasks_config=tasks,
        ),
        path,
    )
    return str(path)


@pytest.fixture(scope="module")
def uma(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("uma") / "tiny.pt", ("omat", "omol"), 4)


@pytest.fixture(scope="module")
def esen(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("esen") / "tiny.pt", ("omol",), 0)


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    monkeypatch.setenv("CONSILIENCE_TRUST_PICKLE", "1")


def test_the_embedding_is_the_mean_of_the_scalars_of_the_backbone(uma):
    from fairchem.core import FAIRChemCalculator
    from fairchem.core.datasets.atomic_data import AtomicData, atomicdata_list_to_batch
    from fairchem.core.units.mlip_unit import load_predict_unit

    rows, outputs = rows_of(f"uma-omol:{uma}", samples_of(WATER, METHANOL))
    unit = load_predict_unit(uma, inference_settings="batch", device="cpu")
    for row, energy, atoms in zip(rows, outputs["energy_ev"], (WATER, METHANOL), strict=True):
        plain = to_ase(atoms, charge=0, spin=1)
        plain.calc = FAIRChemCalculator(unit, task_name="omol")
        np.testing.assert_allclose(energy, plain.get_potential_energy(), rtol=1e-4)
        graph = atomicdata_list_to_batch(
            [AtomicData.from_ase(plain, task_name="omol", r_data_keys=["charge", "spin"])]
        )
        nodes = unit.model.module.backbone(graph)["node_embedding"]
        expected = nodes[:, 0, :].mean(0).detach().numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["uma-omol", "uma-omat", "esen-omol"])
def test_batches_turns_and_the_order_of_atoms_do_not_matter(name, uma, esen):
    full = f"{name}:{esen if name.startswith('esen') else uma}"
    samples = samples_of(WATER, METHANOL, ICE)
    check_batches_do_not_matter(full, samples)
    check_invariance(full, METHANOL)
    assert check_layers(full, samples) == ("embedding", "layer-1", "layer-2", "norm")


def test_the_tasks_of_uma_see_the_same_atoms_differently(uma):
    materials, _ = rows_of(f"uma-omat:{uma}", samples_of(WATER))
    molecules, _ = rows_of(f"uma-omol:{uma}", samples_of(WATER))
    assert np.abs(materials - molecules).max() > 1e-4


def test_charge_reaches_the_weights_for_molecules(uma):
    ion = Atoms(WATER.numbers, WATER.positions, charge=1)
    rows, _ = rows_of(f"uma-omol:{uma}", samples_of(WATER, ion))
    assert np.abs(rows[0] - rows[1]).max() > 1e-5


def test_a_task_that_the_weights_lack_is_answered_with_those_they_have(uma):
    with pytest.raises(models.ModelError, match="answer for omat, omol, asked for oc20"):
        models.layers_of(f"uma-oc20:{uma}")


def test_a_pickle_is_refused_until_the_user_trusts_it(uma, monkeypatch):
    monkeypatch.delenv("CONSILIENCE_TRUST_PICKLE")
    with pytest.raises(models.ModelError, match="set CONSILIENCE_TRUST_PICKLE=1"):
        models.layers_of(f"uma-omat:{uma}")


def test_weights_that_are_not_here_are_named(tmp_path):
    with pytest.raises(models.ModelError, match=r"no file.*facebook/UMA"):
        models.layers_of(f"uma-omat:{tmp_path / 'none.pt'}")
    with pytest.raises(models.ModelError, match="hf download facebook/UMA"):
        models.layers_of("uma-omat:uma-s-1p1")
