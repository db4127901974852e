"""RXNMapper. Reference: Schwaller et al., Sci. Adv. 7, eabe4166 (2021)."""

from __future__ import annotations

from consilience.models._network import Network
from consilience.models._registry import model, package_folder
from consilience.models._text_encoder import SmilesVocabulary, TextEncoder, load_encoder


@model(
    name="rxnmapper",
    summary="ALBERT that maps atoms in reactions, trained on reaction SMILES",
    family="RXNMapper",
    architecture="transformer encoder",
    modality="string",
    embedding="vanilla",
    representation="smiles",
    width=256,
    parameters=701_824,
    training_data="USPTO reactions",
    license="MIT",
    weights="package rxnmapper 0.4.3",
    package="rxnmapper==0.4.3",
    requires=("torch", "transformers", "rxnmapper"),
    install="pip install torch transformers && pip install --no-deps rxnmapper==0.4.3",
    seconds_per_1k=2.9,
    checkpoint="albert_heads_8_uspto_all_1310k",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Read SMILES token by token; all layers share their weights.

    The package is only looked into, not imported: it pins old versions of its dependencies.
    """
    folder = package_folder("rxnmapper") / "models/transformers" / checkpoint
    tokenize = SmilesVocabulary(folder / "vocab.txt")
    encoder = load_encoder("AlbertModel", folder)
    return TextEncoder(encoder, tokenize, tokenize.pad, device)
