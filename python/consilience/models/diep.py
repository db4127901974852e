"""DIEP, a network of direct integrals of electronic potentials (package diep).

It passes messages over bonds and angles as M3GNet does: Chen, Ong, Nat. Comput. Sci. 2, 718
(2022). Its data is that of Kaplan et al. 2025, arXiv:2503.04070.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
from consilience.models._elements import MPTRJ
from consilience.models._hooks import Tap, Taps, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder


@model(
    name="diep-r2scan",
    summary="potential with two- and three-body integrals as features, trained on r2SCAN",
    family="DIEP",
    architecture="GNN with angles",
    modality="3D",
    embedding="invariant",
    representation="atoms",
    width=64,
    parameters=403_181,
    training_data="MatPES-r2SCAN",
    training_size=349_107,
    theory="r2SCAN",
    license="BSD-3-Clause",
    weights="package diep 2.0.0",
    package="diep==2.0.0",
    requires=("torch", "torch_geometric", "lightning", "pymatgen", "ase", "pandas", "diep"),
    install=(
        "pip install torch torch_geometric lightning torchmetrics pymatgen ase pandas "
        "&& pip install --no-deps diep==2.0.0"
    ),
    seconds_per_1k=44.0,
    checkpoint="diep_fold1",
    elements=MPTRJ,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Per atom the node features after each block, the last of them before the readout.

    Energies are relative to free atoms.
    """
    from diep.apps.pes import Potential
    from diep.ext.ase import Atoms2Graph

    potential = Potential.load(package_folder("diep") / "pretrained_models" / checkpoint)
    potential = potential.to(device).eval()
    network = potential.model
    taps = {"embedding": Tap("embedding")}
    for number in range(network.n_blocks):
        # A block gives edges, nodes and state, in this order.
        taps[f"layer-{number + 1}"] = Tap(f"graph_layers.{number}", pick=lambda out: out[1])
    to_graph = Atoms2Graph(element_types=network.element_types, cutoff=network.cutoff)
    return _DIEP(potential, Taps(network, taps), to_graph, device)


@dataclass(frozen=True)
class _DIEP:
    potential: Any
    taps: Taps
    to_graph: Any
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch

        states: dict[str, list[Any]] = {layer: [] for layer in layers}
        energies = []
        for atoms in values:
            with torch.no_grad(), self.taps.read(layers) as found:
                energies.append(self._energy(atoms))
            for layer in layers:
                states[layer].append(to_numpy(found[layer]))
        return States(states, {"energy_ev": np.array(energies)})

    def _energy(self, atoms: Atoms) -> float:
        """Return the total energy without the gradients that the library would also make."""
        import torch

        plain = to_ase(atoms)
        # Far from the cell the search for neighbours would visit many images.
        plain.wrap()
        graph, lattice, state = self.to_graph.get_graph(plain)
        graph.pbc_offshift = torch.matmul(graph.pbc_offset, lattice[0])
        graph.pos = graph.frac_coords @ lattice[0]
        graph = graph.to(self.device)
        state = torch.tensor(state, device=self.device)
        potential = self.potential
        energy = potential.data_std * potential.model(g=graph, state_attr=state)
        energy = energy + potential.data_mean + torch.squeeze(potential.element_refs(graph))
        return float(energy)
