"""ChemBERTa, RoBERTa on SMILES. References: Chithrananda et al. 2020; Ahmad et al. 2022."""

from __future__ import annotations

from typing import Any

from consilience.models._pretrained import Pretrained, load_pretrained, plain_tokens
from consilience.models._registry import model

COMMON: dict[str, Any] = {
    "family": "ChemBERTa",
    "architecture": "transformer encoder",
    "modality": "string",
    "embedding": "vanilla",
    "representation": "smiles",
    "license": "MIT",
    "requires": ("torch", "transformers"),
    "install": "pip install torch transformers",
    "seconds_per_1k": 15.0,
    "checkpoint": "",
    "takes_weights": True,
}


@model(
    name="chemberta",
    summary="RoBERTa that fills in masked pieces of SMILES from ZINC",
    training_data="ZINC",
    weights="a folder, or seyonec/ChemBERTa-zinc-base-v1 in the cache of huggingface_hub",
    **COMMON,
)
@model(
    name="chemberta-2",
    summary="RoBERTa on 77 million SMILES from PubChem",
    training_data="PubChem",
    training_size=77_000_000,
    weights="a folder, or DeepChem/ChemBERTa-77M-MLM in the cache of huggingface_hub",
    **COMMON,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the encoder without its head; its [CLS] is the leading state."""
    return load_pretrained(
        checkpoint,
        device,
        plain_tokens,
        learnt_positions=True,
        has_leading=True,
        add_pooling_layer=False,
    )
