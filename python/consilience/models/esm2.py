"""ESM-2, a language model of proteins. Reference: Lin et al. 2023, doi:10.1126/science.ade2574."""

from __future__ import annotations

from consilience.models._pretrained import Pretrained, load_pretrained, plain_tokens
from consilience.models._registry import model


@model(
    name="esm2",
    summary="fills in masked residues of 65 million protein sequences",
    family="ESM2",
    architecture="transformer encoder",
    modality="sequence",
    embedding="vanilla",
    representation="sequence",
    training_data="UniRef50",
    training_size=65_000_000,
    license="MIT",
    weights="a folder, or facebook/esm2_t6_8M_UR50D and larger in the cache of huggingface_hub",
    requires=("torch", "transformers"),
    install="pip install torch transformers",
    seconds_per_1k=150.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the encoder without its head; one state a residue, `<cls>` is the leading state."""
    return load_pretrained(
        checkpoint, device, plain_tokens, has_leading=True, add_pooling_layer=False
    )
