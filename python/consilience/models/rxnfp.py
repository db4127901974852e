"""RXNFP. Reference: Schwaller et al., Nat. Mach. Intell. 3, 144 (2021)."""

from __future__ import annotations

from consilience.datasets import Samples
from consilience.models._registry import Batches, model, package_folder
from consilience.models._text_encoder import SmilesVocabulary, load_encoder, mean_hidden_state


@model(
    name="rxnfp",
    summary="BERT trained on reaction SMILES (masked tokens)",
    family="BERT",
    modality="string",
    representation="smiles",
    width=256,
    parameters=6_608_640,
    license="MIT",
    package="rxnfp==0.1.0",
    requires=("torch", "transformers", "rxnfp"),
    install="pip install torch transformers && pip install --no-deps rxnfp==0.1.0",
    seconds_per_1k=10.0,
    checkpoint="bert_pretrained",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean of the last hidden states over the tokens of the SMILES.

    The package is only looked into, not imported: it pins old versions of its dependencies.
    """
    folder = package_folder("rxnfp") / "models/transformers" / checkpoint
    encoder = load_encoder("BertModel", folder)
    tokenize = SmilesVocabulary(folder / "vocab.txt")
    for ids, smiles in samples.batches("smiles", batch_size):
        yield ids, mean_hidden_state(encoder, tokenize(smiles), tokenize.pad)
