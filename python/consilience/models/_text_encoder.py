"""Transformer encoders: token ids in, mean of the last hidden states out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Atoms in brackets, two-letter halogens and two-digit rings are one token, the rest letters.
SMILES_TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%[0-9]{2}|>>|.")


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
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    options = {"local_files_only": True, "weights_only": True, "add_pooling_layer": False}
    return getattr(transformers, kind).from_pretrained(folder, **options).eval()


def mean_hidden_state(encoder: Any, token_ids: list[list[int]], pad: int) -> NDArray[np.float32]:
    """Average the last hidden states over the tokens between the first and the last one.

    The first and last token are [CLS] and [SEP]; padding is masked out.
    """
    import torch

    longest = max(map(len, token_ids))
    padded = torch.tensor([row + [pad] * (longest - len(row)) for row in token_ids])
    lengths = torch.tensor([len(row) for row in token_ids])[:, None]
    position = torch.arange(longest)[None]
    with torch.inference_mode():
        hidden = encoder(
            input_ids=padded, attention_mask=(position < lengths).long()
        ).last_hidden_state
        inner = ((position > 0) & (position < lengths - 1))[..., None].to(hidden.dtype)
        mean = (hidden * inner).sum(1) / inner.sum(1)
    return np.asarray(mean.numpy(), dtype=np.float32)
