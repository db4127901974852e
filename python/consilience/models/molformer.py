"""MoLFormer, linear attention on SMILES.

Reference: Ross et al. 2022, doi:10.1038/s42256-022-00580-7.
"""

from __future__ import annotations

from consilience.models._pretrained import Pretrained, load_pretrained, plain_tokens
from consilience.models._registry import model


@model(
    name="molformer",
    summary="fills in masked pieces of SMILES with linear attention; its code comes with the "
    "weights",
    family="MoLFormer",
    architecture="transformer encoder, linear attention",
    modality="string",
    embedding="vanilla",
    representation="smiles",
    training_data="ZINC + PubChem",
    license="Apache-2.0",
    weights="a folder, or ibm-research/MoLFormer-XL-both-10pct in the cache of "
    "huggingface_hub; set CONSILIENCE_TRUST_REMOTE_CODE=1 to let its code run",
    requires=("torch", "transformers"),
    install="pip install torch transformers",
    seconds_per_1k=20.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> Pretrained:
    """Load the encoder with its own code, if the user trusts it; `<bos>` is the leading state."""
    return load_pretrained(
        checkpoint, device, plain_tokens, has_leading=True, deterministic_eval=True
    )
