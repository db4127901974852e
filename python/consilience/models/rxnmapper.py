"""RXNMapper. Reference: Schwaller et al., Sci. Adv. 7, eabe4166 (2021)."""

from __future__ import annotations

from consilience.datasets import Samples
from consilience.models._registry import Batches, model, package_folder
from consilience.models._text_encoder import SmilesVocabulary, load_encoder, mean_hidden_state


@model(
    name="rxnmapper",
    summary="ALBERT that maps atoms in reactions, trained on reaction SMILES",
    family="ALBERT",
    modality="string",
    representation="smiles",
    width=256,
    parameters=701_824,
    license="MIT",
    package="rxnmapper==0.4.3",
    requires=("torch", "transformers", "rxnmapper"),
    install="pip install torch transformers && pip install --no-deps rxnmapper==0.4.3",
    seconds_per_1k=10.0,
    checkpoint="albert_heads_8_uspto_all_1310k",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean of the last hidden states over the tokens of the SMILES.

    The package is only looked into, not imported: it pins old versions of its dependencies.
    """
    folder = package_folder("rxnmapper") / "models/transformers" / checkpoint
    encoder = load_encoder("AlbertModel", folder)
    tokenize = SmilesVocabulary(folder / "vocab.txt")
    for ids, smiles in samples.batches("smiles", batch_size):
        yield ids, mean_hidden_state(encoder, tokenize(smiles), tokenize.pad)
