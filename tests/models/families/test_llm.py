"""Causal language models in three ways of asking, on tiny random ones of four families."""

from __future__ import annotations

import numpy as np
import pytest

from consilience import models
from consilience.models import llm
from family_atoms import ICE, METHANOL, WATER
from family_cases import (
    check_against_hand,
    check_batches_do_not_matter,
    hand_states,
    rows_of,
    samples_of,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("ase", reason="ase is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

SMILES = ["CCO", "C", "c1ccccc1O", "CC(=O)N"]
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "today is {{ strftime_now('%Y-%m-%d') }}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
)
DEAF = "{{ bos_token }}<|user|>{{ messages[-1].content[-18:] }}<|end|>"


def save_tokenizer(folder, chat_template=None):
    """Save a byte-level tokenizer with a mark of the beginning, as most of these have."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<|system|>", "<|user|>", "<|end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet, "CC"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("C", "C")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=special[3:],
    )
    fast.chat_template = chat_template
    fast.save_pretrained(folder)
    return fast


def save_network(folder, kind, tokenizer):
    torch.manual_seed(0)
    config = {
        "Llama": transformers.LlamaConfig,
        "Qwen3": transformers.Qwen3Config,
        "Gemma3": transformers.Gemma3TextConfig,
        "GptOss": transformers.GptOssConfig,
        "DeepseekV3": transformers.DeepseekV3Config,
    }[kind]
    extra = {
        "GptOss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 8},
        "Gemma3": {"sliding_window": 8},
        "DeepseekV3": {
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "moe_intermediate_size": 8,
            "first_k_dense_replace": 1,
            "kv_lora_rank": 8,
            "q_lora_rank": 8,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "num_key_value_heads": 2,
        },
    }.get(kind, {})
    sizes = {**SIZES, "vocab_size": len(tokenizer), **extra}
    if kind == "DeepseekV3":
        sizes.pop("head_dim")
    prefix = "Gemma3" if kind == "Gemma3" else kind
    module = getattr(transformers, f"{prefix}ForCausalLM")(config(**sizes)).eval()
    module.save_pretrained(folder)
    return module.model


@pytest.mark.parametrize("kind", ["Llama", "Qwen3", "Gemma3", "GptOss", "DeepseekV3"])
def test_the_blank_mode_gives_the_states_of_the_text_alone(kind, tmp_path):
    tokenizer = save_tokenizer(tmp_path)
    module = save_network(tmp_path, kind, tokenizer)
    name = f"llm-blank:{tmp_path}"

    def tokens(text):
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == 0
        return ids, slice(1, len(ids))

    samples = check_against_hand(name, "smiles", SMILES, module, tokens)
    check_batches_do_not_matter(name, samples)


@pytest.fixture(params=[None, CHAT, NO_SYSTEM], ids=["no chat", "chat", "no system role"])
def asked(request, tmp_path):
    tokenizer = save_tokenizer(tmp_path, request.param)
    module = save_network(tmp_path, "Qwen3", tokenizer)
    system, before = "<|system|>", "<|end|><|user|>"
    prompt = {
        None: f"<s>{llm.SYSTEM}\n\n",
        CHAT: f"<s>{system}{llm.SYSTEM}{before}",
        NO_SYSTEM: f"<s><|user|>{llm.SYSTEM}\n\n",
    }[request.param]
    return f"llm:{tmp_path}", module, tokenizer, prompt


def test_the_system_mode_pools_the_sample_behind_the_prompt_and_not_the_prompt(asked):
    name, module, tokenizer, prompt = asked
    rows = rows_of(name, samples_of("smiles", SMILES))
    for smiles, row in zip(SMILES, rows, strict=True):
        ids = tokenizer(prompt + smiles, add_special_tokens=False)["input_ids"]
        n_before = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        assert ids.count(0) == 1
        expected = hand_states(module, ids)[-1][n_before:].mean(0)
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-4)
    check_batches_do_not_matter(name, samples_of("smiles", SMILES))
    blank = rows_of(name.replace("llm:", "llm-blank:"), samples_of("smiles", SMILES))
    assert np.abs(rows - blank).max() > 1e-3, "the prompt changes what is thought of a sample"


def test_the_day_does_not_change_a_prompt(tmp_path):
    today = "{{ bos_token }}today {{ strftime_now('%Y-%m-%d') }}"
    dated = CHAT.replace("{{ bos_token }}", today)
    tokenizer = save_tokenizer(tmp_path, dated)
    before, complete = llm._before(tokenizer)
    assert complete
    assert before.startswith(f"<s>today {llm.DATE}<|system|>")


def test_a_chat_template_that_drops_the_prompt_is_refused(tmp_path):
    tokenizer = save_tokenizer(tmp_path, DEAF)
    save_network(tmp_path, "Llama", tokenizer)
    with pytest.raises(models.ModelError, match="use llm-blank"):
        models.layers_of(f"llm:{tmp_path}")


def test_atoms_are_read_as_the_text_that_makes_them_in_ase(tmp_path):
    import ase

    tokenizer = save_tokenizer(tmp_path)
    module = save_network(tmp_path, "Llama", tokenizer)
    name = f"llm-atoms:{tmp_path}"
    rows = rows_of(name, samples_of("atoms", [WATER, METHANOL, ICE]))
    for atoms, row in zip((WATER, METHANOL, ICE), rows, strict=True):
        text = llm.atoms_as_text(atoms)
        ids = tokenizer(text)["input_ids"]
        expected = hand_states(module, ids)[-1][1:].mean(0)
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-4)
        made = eval(text, {"Atoms": ase.Atoms})
        np.testing.assert_array_equal(made.numbers, atoms.numbers)
        np.testing.assert_allclose(made.positions, atoms.positions, atol=5e-4)
        assert made.pbc.tolist() == list(atoms.pbc)


def test_the_three_modes_are_three_models_of_one_family():
    names = ("llm", "llm-blank", "llm-atoms")
    assert {models.MODELS[name].family for name in names} == {"LLM"}
    assert [models.MODELS[name].representation for name in names] == ["smiles", "smiles", "atoms"]
