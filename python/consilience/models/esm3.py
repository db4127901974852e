"""ESM3, read as a language model of sequences.

Reference: Hayes et al. 2025, doi:10.1126/science.ads0018.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

from consilience.models._hooks import Tap, Taps, split_padded, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._weights import check_version, plain_weights, weights_file

INSTALL = "pip install esm==3.2.1 httpx, in an environment of its own (it pins transformers 4.48)"
HEAD_WIDTH = 64
BLOCK = "transformer.blocks."


@model(
    name="esm3",
    summary="generates sequence, structure and function; given the sequence alone",
    family="ESM3",
    architecture="transformer encoder",
    modality="sequence",
    embedding="vanilla",
    representation="sequence",
    training_data="UniRef + MGnify + JGI + OAS + PDB + AlphaFoldDB + ESMAtlas",
    license="Cambrian non-commercial",
    weights="the file esm3_sm_open_v1.pth",
    package="esm==3.2.1",
    requires=("torch", "esm", "transformers"),
    install=INSTALL,
    seconds_per_1k=10000.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> ESM3:
    """Load plain tensors into a network of the size that they tell."""
    check_version("esm", "3.", INSTALL)
    state = plain_weights(weights_file(checkpoint, "EvolutionaryScale publishes them"))
    return ESM3(_build(state).to(device).eval(), device)


def _build(state: Mapping[str, Any]) -> Any:
    import torch
    from esm.models import esm3
    from esm.tokenization import EsmSequenceTokenizer

    if f"{BLOCK}0.geom_attn.distance_scale_per_head" not in state:
        raise ValueError("these weights are not of ESM3")
    width = state["encoder.sequence_embed.weight"].shape[1]
    n_layers = 1 + max(int(key.split(".")[2]) for key in state if key.startswith(BLOCK))
    with torch.random.fork_rng(devices=[]):
        network = esm3.ESM3(
            d_model=width,
            n_heads=width // HEAD_WIDTH,
            v_heads=len(state[f"{BLOCK}0.geom_attn.distance_scale_per_head"]),
            n_layers=n_layers,
            structure_encoder_fn=_no_structure,
            structure_decoder_fn=_no_structure,
            function_decoder_fn=_no_structure,
            # The other tracks have tokenizers whose data would have to be fetched.
            tokenizers=types.SimpleNamespace(sequence=EsmSequenceTokenizer()),
        )
    network.load_state_dict(state)
    return network


def _no_structure(device: Any) -> Any:
    raise NotImplementedError("only the sequence track of ESM3 is used")


class ESM3:
    """States of every residue; the last layer is behind the final norm."""

    def __init__(self, network: Any, device: str) -> None:
        self._network = network
        self._device = device
        self._tokenizer = network.tokenizers.sequence
        stack = network.transformer
        paths = {f"layer-{i + 1}": f"blocks.{i}" for i in range(len(stack.blocks))}
        self._taps = Taps(
            stack, {layer: Tap(path) for layer, path in {**paths, "norm": "norm"}.items()}
        )
        self.layers = self._taps.layers

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch

        ids = [list(found) for found in self._tokenizer(list(values))["input_ids"]]
        longest = max(map(len, ids))
        pad = self._tokenizer.pad_token_id
        tokens = torch.tensor(
            [row + [pad] * (longest - len(row)) for row in ids], device=self._device
        )
        with torch.no_grad(), self._taps.read(layers) as found:
            # Tokens see those of the same number only: the sample's own.
            self._network(sequence_tokens=tokens, sequence_id=(tokens != pad).long())
        lengths = [len(row) - 2 for row in ids]
        return States(
            {layer: split_padded(found[layer], lengths, start=1) for layer in layers},
            leading={layer: to_numpy(found[layer][:, 0]) for layer in layers},
        )
