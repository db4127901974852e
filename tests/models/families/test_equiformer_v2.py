"""EquiformerV2 and the first eSEN on tiny random networks, saved as fairchem-core 1 does."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from consilience import models
from consilience.models._atomistic import to_ase
from consilience.models._scatter import stand_in_for_torch_scatter
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

torch = pytest.importorskip("torch", reason="torch is not installed")
try:
    VERSION = importlib.metadata.version("fairchem-core")
except importlib.metadata.PackageNotFoundError:
    VERSION = "none"
if not VERSION.startswith("1."):
    pytest.skip(f"needs fairchem-core 1, found {VERSION}", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")

EQUIFORMER = {
    "name": "hydra",
    "backbone": {
        "model": "equiformer_v2_backbone",
        "use_pbc": True,
        "regress_forces": True,
        "max_radius": 4.0,
        "max_neighbors": 100,
        "num_layers": 2,
        "sphere_channels": 8,
        "attn_hidden_channels": 8,
        "num_heads": 2,
        "attn_alpha_channels": 4,
        "attn_value_channels": 4,
        "ffn_hidden_channels": 8,
        "lmax_list": [2],
        "mmax_list": [1],
        "grid_resolution": 8,
        "edge_channels": 8,
        "num_distance_basis": 16,
        "alpha_drop": 0.0,
        "drop_path_rate": 0.0,
        "avg_num_nodes": 10.0,
        "avg_degree": 10.0,
    },
    "heads": {
        "energy": {"module": "equiformer_v2_energy_head"},
        "forces": {"module": "equiformer_v2_force_head"},
    },
    "pass_through_head_outputs": True,
}
ESEN = {
    "name": "hydra",
    "backbone": {
        "model": "esen_backbone",
        "sphere_channels": 8,
        "lmax": 2,
        "mmax": 2,
        "cutoff": 4.0,
        "max_neighbors": 100,
        "edge_channels": 8,
        "num_layers": 2,
        "hidden_channels": 8,
        "num_distance_basis": 16,
        "direct_forces": False,
        "regress_forces": True,
        "regress_stress": False,
        "use_pbc": True,
        "max_num_elements": 100,
    },
    "heads": {"mlp_efs": {"module": "esen_mlp_efs_head"}},
    "pass_through_head_outputs": True,
}
MEAN, RMSD = -2.0, 3.0


def build(description):
    stand_in_for_torch_scatter()
    import fairchem.core.models.equiformer_v2.equiformer_v2
    import fairchem.core.models.esen.esen  # noqa: F401
    from fairchem.core.models.base import HydraModel

    torch.manual_seed(0)
    parts = {key: value for key, value in description.items() if key != "name"}
    parts["backbone"] = {**parts["backbone"], "otf_graph": True}
    return HydraModel(**parts, otf_graph=True).eval()


def saved(path, description, **changes):
    network = build(description)
    references = torch.linspace(-1, -20, 119)
    checkpoint = {
        "epoch": 1,
        "state_dict": {f"module.{key}": value for key, value in network.state_dict().items()},
        "config": {"model": description, "trainer": "equiformerv2_forces"},
        "normalizers": {"energy": {"mean": torch.tensor(MEAN), "rmsd": torch.tensor(RMSD)}},
        "elementrefs": {"energy": {"element_references": references}},
        "ema": None,
        **changes,
    }
    torch.save(checkpoint, path)
    return network, references


@pytest.fixture(params=["equiformer-v2-omat", "esen-oam"])
def case(request, tmp_path):
    description = ESEN if request.param.startswith("esen") else EQUIFORMER
    network, references = saved(tmp_path / "tiny.pt", description)
    return f"{request.param}:{tmp_path / 'tiny.pt'}", network, references


def test_rows_and_energies_are_those_of_the_library(case):
    from fairchem.core.datasets import data_list_collater
    from fairchem.core.preprocessing import AtomsToGraphs

    name, network, references = case
    rows, outputs = rows_of(name, samples_of(ICE))
    convert = AtomsToGraphs(r_energy=False, r_forces=False, r_pbc=True, r_edges=False)
    batch = data_list_collater([convert.convert(to_ase(ICE))], otf_graph=True)
    torch.manual_seed(0)
    nodes = network.backbone(batch)["node_embedding"]
    nodes = getattr(nodes, "embedding", nodes)[:, 0, :]
    np.testing.assert_allclose(rows[0], nodes.mean(0).detach().numpy(), rtol=1e-3, atol=1e-4)
    torch.manual_seed(0)
    energy = float(network(batch)["energy"].detach()) * RMSD + MEAN
    energy += float(references[torch.tensor(ICE.numbers)].sum())
    np.testing.assert_allclose(outputs["energy_ev"], energy, rtol=1e-4)


def test_batches_turns_and_the_order_of_atoms_do_not_matter(case):
    name, _, _ = case
    samples = samples_of(WATER, METHANOL, ICE)
    # The frames of the edges are drawn anew, and activations on a grid see a little of them.
    check_batches_do_not_matter(name, samples, rtol=1e-2, atol=1e-2)
    check_invariance(name, METHANOL, rtol=1e-2, atol=1e-2)
    check_invariance(name, ICE, rtol=1e-2, atol=1e-2)


def test_all_layers_are_there_and_two_runs_agree(case):
    name, _, _ = case
    samples = samples_of(WATER, METHANOL, ICE)
    assert check_layers(name, samples) == ("layer-1", "layer-2", "norm")
    np.testing.assert_array_equal(rows_of(name, samples)[0], rows_of(name, samples)[0])


def test_a_checkpoint_cannot_have_other_classes_built(tmp_path):
    description = {**EQUIFORMER, "backbone": {**EQUIFORMER["backbone"]}}
    saved(tmp_path / "bad.pt", description)
    checkpoint = torch.load(tmp_path / "bad.pt", weights_only=True)
    checkpoint["config"]["model"]["heads"]["energy"]["module"] = "subprocess.Popen"
    torch.save(checkpoint, tmp_path / "bad.pt")
    with pytest.raises(models.ModelError, match=r"'subprocess\.Popen', which is no model"):
        models.layers_of(f"equiformer-v2-omat:{tmp_path / 'bad.pt'}")


def test_a_checkpoint_cannot_run_code_when_it_is_read(tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    saved(tmp_path / "bad.pt", EQUIFORMER, optimizer=Runs())
    models.layers_of(f"equiformer-v2-omat:{tmp_path / 'bad.pt'}")
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_not_here_are_named(tmp_path):
    with pytest.raises(models.ModelError, match=r"no file.*facebook/OMAT24"):
        models.layers_of(f"equiformer-v2-oam:{tmp_path / 'none.pt'}")
