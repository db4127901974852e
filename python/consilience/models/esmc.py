"""ESM Cambrian, a language model of proteins. Reference: ESM Team 2024 (EvolutionaryScale)."""

from __future__ import annotations

from consilience.models._pretrained import Pretrained, load_pretrained, plain_tokens
from consilience.models._registry import model


@model(
    name="esmc",
    summary="fills in masked residues; the successor of ESM-2",
    family="ESMC",
    architecture="transformer encoder",
    modality="sequence",
    embedding="vanilla",
    representation="sequence",
    training_data="UniRef + MGnify + JGI",
    license="as stated with the weights",
    weights="a folder in the layout of transformers, or biohub/ESMC-300M and larger "
    "in the cache of huggingface_hub",
    requires=("torch", "transformers"),
    install="pip install torch 'transformers>=5.20'",
    seconds_per_1k=600.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the encoder without its head; one state a residue, `<cls>` is the leading state."""
    return load_pretrained(checkpoint, device, plain_tokens, has_leading=True)
