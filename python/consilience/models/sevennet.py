"""SevenNet. Reference: Park et al., J. Chem. Theory Comput. 20, 4857 (2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._elements import MPTRJ
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model

UNTRAINED = "untrained"
SEED = 0
FUNCTIONAL = "PBE"  # of those that a network of several functionals can answer for
PACKAGE = "sevenn==0.13.0"
FACTS = {
    "family": "SevenNet",
    "architecture": "equivariant GNN",
    "representation": "atoms",
    "width": 128,
    "license": "MIT",
    "package": PACKAGE,
    "requires": ("torch", "torch_geometric", "e3nn", "ase", "sevenn"),
    "install": f"pip install torch {PACKAGE}",
    "elements": MPTRJ,
}
TRAINED = {
    **FACTS,
    "modality": "3D",
    "embedding": "equivariant",
    "weights": "package sevenn 0.13.0 (a pickle of its own, read by its own loader)",
}
MPTRJ_FACTS = {
    **TRAINED,
    "training_data": "MPtrj",
    "training_size": 1_580_395,
    "theory": "PBE(+U)",
}


@model(
    name="sevennet-random",
    summary="the network of SevenNet-0 with random weights",
    modality="baseline",
    embedding="baseline",
    weights="random numbers of a fixed seed",
    parameters=842_623,
    seconds_per_1k=30.0,
    checkpoint=UNTRAINED,
    **FACTS,
)
@model(
    name="sevennet-mf-0",
    summary="SevenNet trained on two functionals at once, asked for PBE",
    parameters=846_168,
    training_data="Materials Project PBE(+U) + r2SCAN",
    theory="PBE(+U) and r2SCAN",
    seconds_per_1k=30.0,
    checkpoint="7net-mf-0",
    **TRAINED,
)
@model(
    name="sevennet-l3i5",
    summary="SevenNet with features up to l = 3",
    parameters=1_171_327,
    seconds_per_1k=80.0,
    checkpoint="7net-l3i5",
    **MPTRJ_FACTS,
)
@model(
    name="sevennet-0-22may2024",
    summary="the first release of SevenNet-0",
    parameters=842_623,
    seconds_per_1k=30.0,
    checkpoint="7net-0_22may2024",
    **MPTRJ_FACTS,
)
@model(
    name="sevennet-0",
    summary="equivariant interatomic potential trained on inorganic crystals (MPtrj)",
    parameters=842_623,
    seconds_per_1k=30.0,
    checkpoint="7net-0",
    **MPTRJ_FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Per atom the scalar features after each gate; after the last one there are no others.

    The library unpickles the file that its own package ships.
    """
    network = _untrained() if checkpoint == UNTRAINED else _trained(checkpoint)
    network = _without_forces(network).to(device)
    return _SevenNet(network, _taps(network), device, checkpoint != UNTRAINED)


def _trained(checkpoint: str) -> Any:
    from sevenn.util import load_checkpoint

    return load_checkpoint(checkpoint).build_model()


def _untrained() -> Any:
    import torch
    from sevenn.model_build import build_E3_equivariant_model
    from sevenn.util import load_checkpoint

    checkpoint = load_checkpoint("7net-0")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build_E3_equivariant_model(checkpoint.config)
    # The number of neighbours that sums are divided by was measured, not learnt.
    measured = checkpoint.model_state_dict.items()
    denominators = {key: value for key, value in measured if key.endswith("denominator")}
    network.load_state_dict(denominators, strict=False)
    return network


def _without_forces(network: Any) -> Any:
    """Take off the force output, which would need gradients."""
    network = network.eval()
    network.delete_module_by_key("force_output")
    network.key_grad = None
    network.set_is_batch_data(True)
    return network


def _taps(network: Any) -> Taps:
    gates = [name for name in network._modules if name.endswith("equivariant_gate")]
    paths = {"embedding": "onehot_to_feature_x"}
    paths |= {f"layer-{number}": name for number, name in enumerate(gates, start=1)}
    return Taps(network, {layer: Tap(path, pick=_features) for layer, path in paths.items()})


def _features(data: Any) -> Any:
    """Take the scalars of the node features; they come first, vectors and tensors behind."""
    import sevenn._keys as keys

    return data[keys.NODE_FEATURE][:, : FACTS["width"]]


@dataclass(frozen=True)
class _SevenNet:
    network: Any
    taps: Taps
    device: str
    predicts: bool

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import sevenn._keys as keys
        import torch
        from torch_geometric.data import Batch

        batch = Batch.from_data_list([self._graph(atoms) for atoms in values]).to(self.device)
        with torch.no_grad(), self.taps.read(layers) as found:
            result = self.network(batch)
        counts = [len(atoms) for atoms in values]
        energy = to_numpy(result[keys.PRED_TOTAL_ENERGY]).reshape(-1).astype(np.float64)
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": energy} if self.predicts else {},
        )

    def _graph(self, atoms: Atoms) -> Any:
        import ase
        import sevenn._keys as keys
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph

        plain = ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        graph = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(plain, self.network.cutoff))
        if self.network.modal_map is not None:
            graph[keys.DATA_MODALITY] = FUNCTIONAL
        return graph
