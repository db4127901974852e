"""D-MPNN of ADMET-AI. Reference: Swanson et al., Bioinformatics 40, btae416 (2024).

The network is that of Yang et al., J. Chem. Inf. Model. 59, 3370 (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consilience.models._hooks import split_rows
from consilience.models._inert import read_inert
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder

PACKAGE = "admet-ai==2.0.1"
FACTS = {
    "family": "D-MPNN",
    "architecture": "message-passing GNN",
    "modality": "graph",
    "embedding": "vanilla",
    "representation": "smiles",
    "width": 300,
    "license": "MIT",
    "weights": "package admet-ai 2.0.1, first of five networks",
    "package": PACKAGE,
    "requires": ("torch", "rdkit", "chemprop", "admet_ai"),
    "install": f"pip install torch {PACKAGE}",
    "seconds_per_1k": 2.0,
}


@model(
    name="dmpnn-admet-classification",
    summary="directed messages along bonds, trained on 31 absorption and toxicity classes",
    parameters=327_331,
    training_data="TDC ADMET classification",
    checkpoint="admet_classification/model_0.pt",
    **FACTS,
)
@model(
    name="dmpnn-admet-regression",
    summary="directed messages along bonds, trained on 10 properties of drugs in the body",
    parameters=321_010,
    training_data="TDC ADMET regression",
    checkpoint="admet_regression/model_0.pt",
    **FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Message passing of the first network of the ensemble, with one state per atom."""
    from chemprop.featurizers import SimpleMoleculeMolGraphFeaturizer
    from chemprop.nn import BondMessagePassing

    path = package_folder("admet_ai") / "resources" / "models" / checkpoint
    saved = read_inert(path, mappings=("lightning.fabric.utilities.data.AttributeDict",))
    settings = saved["hyper_parameters"]["message_passing"]
    passing = BondMessagePassing(
        **{name: settings[name] for name in ("d_v", "d_e", "d_h", "bias", "depth", "undirected")}
    )
    prefix = "message_passing."
    weights = saved["state_dict"].items()
    passing.load_state_dict({k.removeprefix(prefix): v for k, v in weights if prefix in k})
    return BondMessages(passing.to(device).eval(), SimpleMoleculeMolGraphFeaturizer(), device)


@dataclass(frozen=True)
class BondMessages:
    """Messages along directed bonds, read at the atoms where they arrive.

    Layer "messages-t" is, for each atom v, the sum of the bond states h_wv after t steps; an
    atom without bonds has zeros. "atoms" is what the readout is given.
    """

    passing: Any
    featurize: Any
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (*(f"messages-{t}" for t in range(self.passing.depth)), "atoms")

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch
        from chemprop.data import BatchMolGraph

        graph = BatchMolGraph([self.featurize(_molecule(smiles)) for smiles in values])
        graph.to(self.device)
        counts = torch.bincount(graph.batch, minlength=len(values)).tolist()
        with torch.inference_mode():
            found = dict(self._states(graph))
        return States({layer: split_rows(found[layer], counts) for layer in layers})

    def _states(self, graph: Any) -> Any:
        passing = self.passing
        start = passing.initialize(graph)
        bonds = passing.tau(start)
        for step in range(passing.depth):
            if step:
                bonds = passing.update(passing.message(bonds, graph), start)
            arriving = bonds.new_zeros(len(graph.V), bonds.shape[1])
            arriving.index_add_(0, graph.edge_index[1], bonds)
            yield f"messages-{step}", arriving
        yield "atoms", passing.finalize(arriving, graph.V, None)


def _molecule(smiles: str) -> Any:
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise ValueError(f"{smiles!r} is no SMILES that RDKit can read")
    return molecule
