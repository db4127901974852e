"""Orb v2 and v3. References: Neumann et al., arXiv:2410.22570; Rhodes et al., arXiv:2504.06231."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import lowest_multiplicity, to_ase
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._weights import weights_file

CACHE = "cache"
MPA = {"training_data": "MPtrj + Alexandria", "theory": "PBE(+U)"}
OMAT = {"training_data": "OMat24", "training_size": 100_824_585, "theory": "PBE(+U)"}
OMOL = {"training_data": "OMol25", "theory": "wB97M-V"}
MPTRJ_ONLY = {"training_data": "MPtrj", "training_size": 1_580_395, "theory": "PBE(+U)"}
V2 = "predicts forces directly, 20 neighbours at most"
NEIGHBORS = {"20": ", 20 neighbours at most", "inf": ""}
# Name, what is special about it, what it learnt from: as `orb_models` names them.
WEIGHTS: dict[str, tuple[str, dict[str, Any]]] = {
    "orb-v2": (V2, MPA),
    "orb-mptraj-only-v2": (V2, MPTRJ_ONLY),
    **{
        f"orb-v3-{kind}-{neighbors}-{data}": (how + NEIGHBORS[neighbors], facts)
        for kind, how in (
            ("conservative", "forces are gradients of its energy"),
            ("direct", "predicts forces directly"),
        )
        for neighbors in NEIGHBORS
        for data, facts in (("mpa", MPA), ("omat", OMAT))
    },
    "orb-v3-conservative-omol": ("forces are gradients of its energy; reads the charge", OMOL),
    "orb-v3-direct-omol": ("predicts forces directly; reads the charge", OMOL),
}


def load_as(name: str) -> Callable[..., Orb]:
    """Return the loader of the weights that `orb_models` calls `name`."""

    def load(*, checkpoint: str, device: str) -> Orb:
        """Load weights as plain tensors into the architecture that the name stands for."""
        from orb_models.forcefield.pretrained import ORB_PRETRAINED_MODELS

        build = ORB_PRETRAINED_MODELS[name]
        path = _cached(build) if checkpoint == CACHE else weights_file(checkpoint, _place(build))
        network = build(weights_path=str(path), device=device, compile=False)
        return Orb(network, device)

    return load


for _name, (_how, _data) in WEIGHTS.items():
    model(
        name=_name,
        summary=f"graph network; {_how}",
        family="Orb",
        architecture="GNN, unconstrained",
        modality="3D",
        embedding="vanilla",
        representation="atoms",
        width=256,
        license="Apache-2.0",
        weights=f"a .ckpt file, or {_name}:{CACHE} if orb-models has it in its cache",
        package="orb-models==0.5.5",
        requires=("torch", "orb_models", "ase"),
        install="pip install orb-models==0.5.5",
        seconds_per_1k=100.0,
        checkpoint="",
        takes_weights=True,
        **_data,
    )(load_as(_name))


def _place(build: Any) -> str:
    return f"it can be had from {inspect.signature(build).parameters['weights_path'].default}"


def _cached(build: Any) -> Any:
    from cached_path import find_latest_cached

    found = find_latest_cached(inspect.signature(build).parameters["weights_path"].default)
    if found is None:
        raise FileNotFoundError(f"orb-models has no such weights in its cache: {_place(build)}")
    return found


class Orb:
    """Features of every atom behind each step of message passing, and the energy."""

    def __init__(self, network: Any, device: str) -> None:
        self._network = network.eval()
        self._device = device
        self._taps = Taps(
            network.model,
            {
                "embedding": Tap("_encoder"),
                **{
                    f"layer-{number}": Tap(f"gnn_stacks.{number - 1}")
                    for number in range(1, len(network.model.gnn_stacks) + 1)
                },
            },
        )
        self.layers = self._taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch
        from orb_models.forcefield.base import batch_graphs

        batch = batch_graphs([self._graph(atoms) for atoms in values])
        with torch.no_grad(), self._taps.read(layers) as found:
            nodes = self._network.model(batch)["node_features"]
            energy = self._energy(nodes, batch)
        counts = [len(atoms) for atoms in values]
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": to_numpy(energy).reshape(-1).astype(np.float64)},
        )

    def _energy(self, nodes: Any, batch: Any) -> Any:
        """Read out the energy alone: forces would need gradients."""
        energy = self._network.heads["energy"].predict(nodes, batch)
        if self._network.pair_repulsion:
            energy = energy + self._network.pair_repulsion_fn(batch)["energy"]
        return energy

    def _graph(self, atoms: Atoms) -> Any:
        from orb_models.forcefield.atomic_system import ase_atoms_to_atom_graphs

        known = {}
        if self._network.model.conditioner is not None:
            known = {"charge": float(atoms.charge), "spin": float(lowest_multiplicity(atoms))}
        return ase_atoms_to_atom_graphs(
            to_ase(atoms, **known),
            system_config=self._network.system_config,
            device=self._device,
            half_supercell=False,
        )
