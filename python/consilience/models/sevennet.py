"""SevenNet-0. Reference: Park et al., J. Chem. Theory Comput. 20, 4857 (2024)."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.datasets import Samples
from consilience.models._registry import Batches, model

PACKAGE = "sevenn==0.13.0"


@model(
    name="sevennet-0",
    summary="equivariant interatomic potential trained on inorganic crystals (MPtrj)",
    family="SevenNet",
    modality="3D",
    representation="atoms",
    width=128,
    parameters=842_623,
    license="MIT",
    package=PACKAGE,
    requires=("torch", "torch_geometric", "e3nn", "ase", "sevenn"),
    install=f"pip install torch {PACKAGE}",
    seconds_per_1k=60.0,
    checkpoint="7net-0",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean over atoms of the node features after the last gate, all of them scalars."""
    import ase
    import sevenn._keys as keys
    import torch
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph
    from torch_geometric.data import Batch
    from torch_geometric.utils import scatter

    network = _without_forces(checkpoint)
    captured: dict[str, Any] = {}

    def keep(module: Any, inputs: Any, output: Any) -> None:
        captured["nodes"] = output[keys.NODE_FEATURE].detach()

    _last_gate(network).register_forward_hook(keep)
    for ids, molecules in samples.batches("atoms", batch_size):
        graphs = [
            AtomGraphData.from_numpy_dict(
                unlabeled_atoms_to_graph(
                    ase.Atoms(numbers=atoms.numbers, positions=atoms.positions),
                    network.cutoff,
                )
            )
            for atoms in molecules
        ]
        batch = Batch.from_data_list(graphs)
        with torch.no_grad():
            network(batch)
        rows = scatter(captured["nodes"], batch.batch, dim_size=len(molecules), reduce="mean")
        yield ids, rows.numpy().astype(np.float32)


def _without_forces(checkpoint: str) -> Any:
    """Load the network and take off the force output, which would need gradients."""
    from sevenn.util import load_checkpoint

    network = load_checkpoint(checkpoint).build_model().eval()
    network.delete_module_by_key("force_output")
    network.key_grad = None
    network.set_is_batch_data(True)
    return network


def _last_gate(network: Any) -> Any:
    name = [name for name in network._modules if name.endswith("equivariant_gate")][-1]
    return network._modules[name]
