"""ChemNet. Reference: Preuer et al., J. Chem. Inf. Model. 58, 1736 (2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model

TAPS = {
    "conv-1": Tap("2", pick=lambda states: states.transpose(1, 2)),
    "conv-2": Tap("5", pick=lambda states: states.transpose(1, 2)),
    # The first LSTM reads from the end of the string to its start.
    "lstm-1": Tap("9", pick=lambda states: states.flip(1)),
    "lstm-2": Tap("13"),
}
TOKENS_PER_STEP = {"conv-1": 2, "conv-2": 4, "lstm-1": 4}
VERSION = "v0.13"


@model(
    name="chemnet",
    summary="convolutions and LSTM over SMILES, trained to predict bioactivities",
    family="ChemNet",
    architecture="LSTM",
    modality="string",
    embedding="vanilla",
    representation="smiles",
    width=512,
    parameters=1_406_336,
    training_data="ChEMBL, ZINC and PubChem bioassays",
    license="LGPL-3.0",
    weights="package fcd 1.2.2",
    package="fcd==1.2.2",
    requires=("torch", "rdkit", "fcd"),
    install="pip install torch fcd==1.2.2",
    seconds_per_1k=2.6,
    checkpoint=VERSION,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Last step of the last LSTM layer, which has read the whole string: one vector.

    Earlier layers have a state for every few characters.
    """
    from fcd import load_ref_model

    if checkpoint != VERSION:
        raise ValueError(f"`checkpoint` must be {VERSION!r}, got {checkpoint!r}")
    network = load_ref_model().to(device)
    return _ChemNet(network, Taps(network, TAPS), device)


@dataclass(frozen=True)
class _ChemNet:
    network: Any
    taps: Taps
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch
        from fcd.utils import SmilesDataset, tokenize

        # Alone, so that a long string does not change the padding of the others.
        inputs = [SmilesDataset([smiles])[0].T.astype(np.float32) for smiles in values]
        states: dict[str, list[Any]] = {layer: [] for layer in layers}
        for first, last in _runs_of_equal_length(inputs):
            batch = torch.tensor(np.stack(inputs[first:last]), device=self.device)
            with torch.inference_mode(), self.taps.read(layers) as found:
                self.network(batch)
            n_tokens = [len(tokenize(smiles)) + 1 for smiles in values[first:last]]
            for layer in layers:
                states[layer] += _per_sample(layer, found[layer], n_tokens)
        return States(states)


def _runs_of_equal_length(inputs: list[Any]) -> list[tuple[int, int]]:
    edges = [i for i in range(1, len(inputs)) if inputs[i].shape != inputs[i - 1].shape]
    return list(zip([0, *edges], [*edges, len(inputs)], strict=True))


def _per_sample(layer: str, states: Any, n_tokens: list[int]) -> list[Any]:
    if layer not in TOKENS_PER_STEP:
        return split_rows(states, [1] * len(n_tokens))
    per_step = TOKENS_PER_STEP[layer]
    steps = [-(-n // per_step) for n in n_tokens]
    return [row[:n] for row, n in zip(to_numpy(states), steps, strict=True)]
