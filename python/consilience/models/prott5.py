"""ProstT5, a translator between protein sequence and structure.

Reference: Heinzinger et al. 2024, doi:10.1093/nargab/lqae150.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from consilience.models._pretrained import Pretrained, Tokenize, Tokens, load_pretrained
from consilience.models._registry import model

# Tells the model that amino acids follow, not the letters of the structure alphabet 3Di.
AMINO_ACIDS_FOLLOW = "<AA2fold>"
RARE = re.compile("[UZOB]")


@model(
    name="prostt5",
    summary="encoder of ProtT5, tuned to translate sequence into structure and back",
    family="ProtT5",
    architecture="transformer encoder",
    modality="sequence",
    embedding="vanilla",
    representation="sequence",
    training_data="BFD + UniRef50 + AlphaFoldDB",
    license="MIT",
    weights="a folder, or Rostlab/ProstT5 in the cache of huggingface_hub",
    requires=("torch", "transformers"),
    install="pip install torch transformers sentencepiece protobuf",
    seconds_per_1k=6000.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the encoder half; one state a residue, the prefix and the end mark left out."""
    return load_pretrained(checkpoint, device, _residues, auto_class="T5EncoderModel")


def _residues(tokenizer: Any) -> Tokenize:
    prefix = tokenizer.convert_tokens_to_ids(AMINO_ACIDS_FOLLOW)
    if prefix in (None, tokenizer.unk_token_id):
        raise ValueError(
            f"the tokenizer does not know {AMINO_ACIDS_FOLLOW!r}; are these weights of ProstT5?"
        )

    def tokenize(values: Sequence[str]) -> list[Tokens]:
        spaced = [" ".join(RARE.sub("X", sequence.upper())) for sequence in values]
        found = tokenizer(spaced, add_special_tokens=False)["input_ids"]
        for sequence, ids in zip(values, found, strict=True):
            if len(ids) != len(sequence):
                raise ValueError(
                    f"{sequence[:30]!r} gave {len(ids)} tokens for {len(sequence)} residues"
                )
        return [
            Tokens([prefix, *ids, tokenizer.eos_token_id], list(range(1, len(ids) + 1)))
            for ids in found
        ]

    return tokenize
