"""Transformer encoders: strings in, hidden states of every token out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consilience.models._hooks import split_padded, to_numpy
from consilience.models._network import States

# Atoms in brackets, two-letter halogens and two-digit rings are one token, the rest letters.
SMILES_TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%[0-9]{2}|>>|.")
SEED = 0  # of encoders that have learnt nothing


class SmilesVocabulary:
    """Token ids of a BERT trained on SMILES, from its `vocab.txt`."""

    def __init__(self, path: Path) -> None:
        tokens = path.read_text(encoding="utf-8").splitlines()
        self._id = {token: number for number, token in enumerate(tokens)}
        self.pad = self._id["[PAD]"]

    def __call__(self, smiles: Sequence[str]) -> list[list[int]]:
        """Return the ids of each string between those of [CLS] and [SEP]."""
        first, last, unknown = (self._id[t] for t in ("[CLS]", "[SEP]", "[UNK]"))
        return [
            [first, *(self._id.get(token, unknown) for token in SMILES_TOKEN.findall(s)), last]
            for s in smiles
        ]


def load_encoder(kind: str, folder: Path) -> Any:
    """Load "BertModel" or "AlbertModel" from a local folder; pickles only as plain weights."""
    transformers = _quiet_transformers()
    options = {"local_files_only": True, "weights_only": True, "add_pooling_layer": False}
    return getattr(transformers, kind).from_pretrained(folder, **options).eval()


def untrained_encoder(kind: str, folder: Path, *, seed: int = SEED) -> Any:
    """Build the same network with the random numbers it would start its training from."""
    import torch

    transformers = _quiet_transformers()
    network = getattr(transformers, kind)
    config = network.config_class.from_pretrained(folder, local_files_only=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(config, add_pooling_layer=False).eval()


def _quiet_transformers() -> Any:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


@dataclass(frozen=True)
class TextEncoder:
    """A transformer encoder with one special token at each end of a string.

    Attributes
    ----------
    encoder : transformers.PreTrainedModel
    tokenize : callable
        Takes strings, returns the token ids of each, special ones included.
    pad : int
        Token id of padding.
    device : str
    """

    encoder: Any
    tokenize: Callable[[Sequence[str]], list[list[int]]]
    pad: int
    device: str

    def __post_init__(self) -> None:
        self.encoder.to(self.device)

    @property
    def layers(self) -> tuple[str, ...]:
        """Token embeddings, then each transformer layer."""
        n_layers = self.encoder.config.num_hidden_layers
        return ("embedding", *(f"layer-{number}" for number in range(1, n_layers + 1)))

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        import torch

        token_ids = self.tokenize(values)
        self._check_lengths(token_ids)
        lengths = [len(row) for row in token_ids]
        longest = max(lengths)
        padded = torch.tensor([row + [self.pad] * (longest - len(row)) for row in token_ids])
        inside = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
        with torch.inference_mode():
            hidden = self.encoder(
                input_ids=padded.to(self.device),
                attention_mask=inside.long().to(self.device),
                output_hidden_states=True,
            ).hidden_states
        found = {layer: hidden[self.layers.index(layer)] for layer in layers}
        inner = [length - 2 for length in lengths]
        return States(
            {layer: split_padded(states, inner, start=1) for layer, states in found.items()},
            leading={layer: np.asarray(to_numpy(s[:, 0])) for layer, s in found.items()},
        )

    def _check_lengths(self, token_ids: list[list[int]]) -> None:
        most = self.encoder.config.max_position_embeddings
        longest = max(map(len, token_ids))
        if longest > most:
            raise ValueError(
                f"a string has {longest} tokens, this encoder reads {most}; leave long ones out"
            )
