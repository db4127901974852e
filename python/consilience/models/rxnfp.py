"""RXNFP. Reference: Schwaller et al., Nat. Mach. Intell. 3, 144 (2021)."""

from __future__ import annotations

from consilience.models._network import Network
from consilience.models._registry import model, package_folder
from consilience.models._text_encoder import (
    SmilesVocabulary,
    TextEncoder,
    load_encoder,
    untrained_encoder,
)

UNTRAINED = "untrained"
FACTS = {
    "family": "RXNFP",
    "architecture": "transformer encoder",
    "representation": "smiles",
    "width": 256,
    "parameters": 6_608_640,
    "license": "MIT",
    "package": "rxnfp==0.1.0",
    "requires": ("torch", "transformers", "rxnfp"),
    "install": "pip install torch transformers && pip install --no-deps rxnfp==0.1.0",
    "seconds_per_1k": 2.9,
}
TRAINED = {
    **FACTS,
    "modality": "string",
    "embedding": "vanilla",
    "weights": "package rxnfp 0.1.0",
    "training_data": "Pistachio reactions",
}


@model(
    name="rxnfp-random",
    summary="the network of rxnfp with random weights",
    modality="baseline",
    embedding="baseline",
    weights="random numbers of a fixed seed",
    checkpoint=UNTRAINED,
    **FACTS,
)
@model(
    name="rxnfp-10k",
    summary="rxnfp trained further to classify 10,000 reactions into 50 classes",
    checkpoint="bert_ft_10k_25s",
    **TRAINED,
)
@model(
    name="rxnfp-ft",
    summary="rxnfp trained further to classify reactions",
    checkpoint="bert_ft",
    **TRAINED,
)
@model(
    name="rxnfp",
    summary="BERT trained on reaction SMILES (masked tokens)",
    checkpoint="bert_pretrained",
    **TRAINED,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Read SMILES token by token.

    The package is only looked into, not imported: it pins old versions of its dependencies.
    """
    home = package_folder("rxnfp") / "models/transformers"
    if checkpoint == UNTRAINED:
        folder = home / "bert_pretrained"
        encoder = untrained_encoder("BertModel", folder)
    else:
        folder = home / checkpoint
        encoder = load_encoder("BertModel", folder)
    tokenize = SmilesVocabulary(folder / "vocab.txt")
    return TextEncoder(encoder, tokenize, tokenize.pad, device)
