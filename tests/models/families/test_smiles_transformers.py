"""ChemBERTa, ChemGPT and MoLFormer on tiny random models of their architectures."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from consilience import models
from consilience.models._registry import find_model
from family_cases import (
    check_against_hand,
    check_batches_do_not_matter,
    rows_of,
    samples_of,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

SMILES = ["CCO", "C", "c1ccccc1O", "CC(=O)N"]
SELFIES = ["[C][C][O]", "[C]", "[N][#C][C][=O]"]


def word_tokenizer(folder, words, pattern, *, wrap):
    """Save a fast tokenizer that knows `words`, as the published ones are saved."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {word: i for i, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    if wrap:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
        )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    fast.save_pretrained(folder)
    return vocabulary


@pytest.fixture
def chemberta(tmp_path):
    torch.manual_seed(0)
    vocabulary = word_tokenizer(tmp_path, list("CNOc1()="), r".", wrap=True)
    config = transformers.RobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
        pad_token_id=1,
    )
    module = transformers.RobertaForMaskedLM(config).eval()
    module.save_pretrained(tmp_path)
    return f"chemberta:{tmp_path}", module.roberta, vocabulary


def test_chemberta_gives_the_states_of_the_smiles_and_not_of_marks_or_padding(chemberta):
    name, module, vocabulary = chemberta

    def tokens(smiles):
        return [0, *(vocabulary[c] for c in smiles), 2], slice(1, len(smiles) + 1)

    samples = check_against_hand(name, "smiles", SMILES, module, tokens)
    check_batches_do_not_matter(name, samples)


def test_the_leading_state_of_chemberta_is_that_of_its_first_mark(chemberta):
    name, module, vocabulary = chemberta
    ids = torch.tensor([[0, vocabulary["C"], vocabulary["O"], 2]])
    with torch.no_grad():
        expected = module(input_ids=ids).last_hidden_state[:, 0].numpy()
    rows = rows_of(name, samples_of("smiles", ["CO"]), pooling="cls")
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_a_smiles_longer_than_the_positions_is_refused_and_not_cut(chemberta):
    name, _, _ = chemberta
    longest = "C" * 16
    assert rows_of(name, samples_of("smiles", [longest])).shape == (1, 16)
    with pytest.raises(models.ModelError, match="19 tokens, the model reads at most 18"):
        rows_of(name, samples_of("smiles", [longest + "C"]))


def test_weights_pickled_with_code_in_them_are_refused_and_do_not_run(chemberta, tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    name, module, _ = chemberta
    (tmp_path / "model.safetensors").unlink()
    torch.save({**module.state_dict(), "more": Runs()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(models.ModelError, match="could not be loaded"):
        rows_of(name, samples_of("smiles", SMILES))
    assert not (tmp_path / "ran").exists()


def test_chemgpt_reads_selfies_and_padding_behind_them_changes_nothing(tmp_path):
    torch.manual_seed(0)
    words = ["[C]", "[O]", "[N]", "[#C]", "[=O]"]
    vocabulary = word_tokenizer(tmp_path, words, r"\[[^\]]*\]", wrap=False)
    config = transformers.GPTNeoConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=4,
        max_position_embeddings=32,
        intermediate_size=32,
    )
    module = transformers.GPTNeoForCausalLM(config).eval()
    module.save_pretrained(tmp_path)
    name = f"chemgpt:{tmp_path}"

    def tokens(selfies):
        found = re.findall(r"\[[^\]]*\]", selfies)
        return [vocabulary[word] for word in found], slice(0, len(found))

    samples = check_against_hand(name, "selfies", SELFIES, module.transformer, tokens)
    check_batches_do_not_matter(name, samples)
    assert rows_of(name, samples_of("selfies", SELFIES), pooling="cls").shape == (3, 16)


CUSTOM = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class TinyConfig(PretrainedConfig):
    model_type = "tiny_molformer"

    def __init__(self, vocab_size=16, hidden_size=8, deterministic_eval=False, **rest):
        super().__init__(**rest)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = 1
        self.deterministic_eval = deterministic_eval


class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.mix = torch.nn.Linear(config.hidden_size, config.hidden_size)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False, **rest):
        if not self.config.deterministic_eval:
            raise RuntimeError("asked to run with random features")
        first = self.words(input_ids)
        last = torch.tanh(self.mix(first))
        return BaseModelOutput(last_hidden_state=last, hidden_states=(first, last))
"""


@pytest.fixture
def molformer(tmp_path):
    """A model whose code lies beside its weights, as MoLFormer's does."""
    word_tokenizer(tmp_path, list("CNOc1()="), r".", wrap=True)
    (tmp_path / "tiny_molformer.py").write_text(CUSTOM)
    config = {
        "model_type": "tiny_molformer",
        "auto_map": {
            "AutoConfig": "tiny_molformer.TinyConfig",
            "AutoModel": "tiny_molformer.TinyModel",
        },
        "vocab_size": 16,
        "hidden_size": 8,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = {
        "words.weight": torch.randn(16, 8),
        "mix.weight": torch.randn(8, 8),
        "mix.bias": torch.randn(8),
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return f"molformer:{tmp_path}", weights


def test_molformer_does_not_run_the_code_beside_its_weights_unless_told_to(molformer, monkeypatch):
    name, _ = molformer
    monkeypatch.delenv("CONSILIENCE_TRUST_REMOTE_CODE", raising=False)
    with pytest.raises(models.ModelError, match="set CONSILIENCE_TRUST_REMOTE_CODE=1"):
        rows_of(name, samples_of("smiles", SMILES))


def test_molformer_runs_with_its_own_code_once_it_is_trusted(molformer, monkeypatch, tmp_path):
    name, weights = molformer
    monkeypatch.setenv("CONSILIENCE_TRUST_REMOTE_CODE", "1")
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "code")
    )
    rows = rows_of(name, samples_of("smiles", ["CC", "CNO"]))
    words = weights["words.weight"][[5, 6, 7]]
    expected = torch.tanh(words @ weights["mix.weight"].T + weights["mix.bias"]).mean(0)
    np.testing.assert_allclose(rows[1], expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["chemberta", "chemberta-2", "chemgpt", "molformer"])
def test_weights_that_are_not_here_are_asked_for_in_one_sentence(name):
    assert "given as" in str(models.available(find_model(name)))
    column = find_model(name).representation
    with pytest.raises(models.ModelError, match="no weights 'nobody/nothing' on this machine"):
        rows_of(f"{name}:nobody/nothing", samples_of(column, SMILES))
