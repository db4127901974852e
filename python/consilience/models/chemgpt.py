"""ChemGPT, GPT-Neo on SELFIES. Reference: Frey et al. 2023, doi:10.1038/s42256-023-00740-3."""

from __future__ import annotations

from consilience.models._pretrained import Pretrained, load_pretrained, plain_tokens
from consilience.models._registry import model


@model(
    name="chemgpt",
    summary="GPT-Neo that continues SELFIES of 10 million molecules from PubChem",
    family="ChemGPT",
    architecture="transformer decoder",
    modality="string",
    embedding="vanilla",
    representation="selfies",
    training_data="PubChem",
    training_size=10_000_000,
    license="as stated with the weights",
    weights="a folder, or ncfrey/ChemGPT-4.7M, -19M or -1.2B in the cache of huggingface_hub",
    requires=("torch", "transformers"),
    install="pip install torch transformers selfies",
    seconds_per_1k=15.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the decoder without its head; padding behind a sample is never seen by it."""
    return load_pretrained(checkpoint, device, plain_tokens, learnt_positions=True, is_causal=True)
