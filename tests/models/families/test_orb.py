"""Orb with random weights: small networks for the numbers, a real one for the way of loading."""

from __future__ import annotations

import numpy as np
import pytest

from consilience import models
from consilience.models import orb
from consilience.models._registry import Model
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

pytest.importorskip("orb_models", reason="orb-models is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


def small(kind, **options):
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.atomic_system import SystemConfig

    torch.manual_seed(0)
    build = getattr(pretrained, f"orb_v3_{kind}_architecture")
    return build(
        latent_dim=16,
        base_mlp_hidden_dim=16,
        head_mlp_hidden_dim=16,
        num_message_passing_steps=2,
        device="cpu",
        system_config=SystemConfig(radius=6.0, max_num_neighbors=120),
        **options,
    )


def registered(network):
    """A model as the adapter makes it, around a network that is here already."""
    facts = dict(vars(models.MODELS["orb-v3-direct-inf-omat"]))
    facts.update(
        name="orb-small",
        width=16,
        takes_weights=False,
        load=lambda *, checkpoint, device: orb.Orb(network, device),
    )
    return Model(**facts)


@pytest.mark.parametrize("kind", ["conservative", "direct"])
def test_rows_and_energies_are_those_of_the_library(kind):
    from orb_models.forcefield.calculator import ORBCalculator

    network = small(kind)
    calculator = ORBCalculator(network, device="cpu")
    rows, outputs = rows_of(registered(network), samples_of(WATER, METHANOL, ICE))
    for row, energy, atoms in zip(rows, outputs["energy_ev"], (WATER, METHANOL, ICE), strict=True):
        plain = orb.to_ase(atoms)
        graph = orb.Orb(network, "cpu")._graph(atoms)
        with torch.no_grad():
            expected = network.model(graph)["node_features"].mean(0).numpy()
        np.testing.assert_allclose(row, expected, rtol=2e-4, atol=2e-5)
        plain.calc = calculator
        np.testing.assert_allclose(energy, plain.get_potential_energy(), rtol=1e-4)


def test_batches_do_not_matter_and_all_layers_are_there():
    model = registered(small("direct"))
    samples = samples_of(WATER, METHANOL, ICE)
    check_batches_do_not_matter(model, samples)
    assert check_layers(model, samples) == ("embedding", "layer-1", "layer-2")


def test_no_symmetry_is_built_in():
    rows, _ = rows_of(registered(small("direct")), samples_of(METHANOL, turned(METHANOL)))
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_weights_for_molecules_read_the_charge():
    from consilience.datasets import Atoms

    ion = Atoms(WATER.numbers, WATER.positions, charge=1)
    model = registered(small("direct", has_charge_spin_cond=True, has_stress=False))
    rows, _ = rows_of(model, samples_of(WATER, ion))
    assert np.abs(rows[0] - rows[1]).max() > 1e-4


@pytest.mark.parametrize("name", ["orb-v2", "orb-v3-direct-20-mpa", "orb-v3-conservative-omol"])
def test_weights_saved_as_the_project_saves_them_are_loaded_from_a_path(name, tmp_path):
    from orb_models.forcefield import pretrained

    torch.manual_seed(1)
    if name == "orb-v2":
        network = pretrained.orb_v2_architecture(device="cpu")
    elif "omol" in name:
        network = pretrained.orb_v3_conservative_architecture(
            device="cpu", has_charge_spin_cond=True, has_stress=False
        )
    else:
        network = pretrained.orb_v3_direct_architecture(device="cpu")
    path = tmp_path / "random.ckpt"
    torch.save(network.state_dict(), path)
    rows, outputs = rows_of(f"{name}:{path}", samples_of(WATER, METHANOL))
    assert rows.shape == (2, 256)
    assert outputs["energy_ev"].shape == (2,)
    graph = orb.Orb(models.MODELS[name].load(checkpoint=str(path), device="cpu")._network, "cpu")
    with torch.no_grad():
        expected = network.eval().model(graph._graph(WATER))["node_features"].mean(0).numpy()
    np.testing.assert_allclose(rows[0], expected, rtol=2e-4, atol=2e-5)


def test_weights_that_are_not_here_are_named_with_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr("cached_path.common.CACHE_DIRECTORY", tmp_path)
    with pytest.raises(models.ModelError, match=r"is no file.*orb-v2-20241011\.ckpt"):
        models.layers_of("orb-v2:nothing.ckpt")
    with pytest.raises(models.ModelError, match="no such weights in its cache"):
        models.layers_of("orb-v2:cache")


def test_every_name_is_one_of_the_library():
    from orb_models.forcefield.pretrained import ORB_PRETRAINED_MODELS

    assert set(orb.WEIGHTS) <= set(ORB_PRETRAINED_MODELS)
