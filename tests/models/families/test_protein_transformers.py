"""ESM-2, ESM C and ProstT5 on tiny random models of their architectures."""

from __future__ import annotations

import pytest

from consilience import models
from consilience.models._registry import find_model
from family_cases import check_against_hand, check_batches_do_not_matter, rows_of, samples_of

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

SEQUENCES = ["MKTAYIAKQR", "GAVL", "WWPXDDEEKLNNQQ"]
ESM2_TOKENS = [
    *("<cls>", "<pad>", "<eos>", "<unk>"),
    *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
    *("<null_1>", "<mask>"),
]


@pytest.fixture
def esm2(tmp_path):
    torch.manual_seed(0)
    (tmp_path / "vocab.txt").write_text("\n".join(ESM2_TOKENS))
    transformers.EsmTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.EsmConfig(
        vocab_size=len(ESM2_TOKENS),
        mask_token_id=ESM2_TOKENS.index("<mask>"),
        pad_token_id=1,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        position_embedding_type="rotary",
        emb_layer_norm_before=False,
        token_dropout=True,
    )
    module = transformers.EsmForMaskedLM(config).eval()
    module.save_pretrained(tmp_path)
    return f"esm2:{tmp_path}", module.esm


def esm2_tokens(sequence):
    ids = [0, *(ESM2_TOKENS.index(letter) for letter in sequence), 2]
    return ids, slice(1, len(sequence) + 1)


def test_esm2_gives_the_states_of_the_residues_in_every_layer(esm2):
    name, module = esm2
    samples = check_against_hand(name, "sequence", SEQUENCES, module, esm2_tokens)
    check_batches_do_not_matter(name, samples)


def test_esm2_reads_long_chains(esm2):
    name, _ = esm2
    assert rows_of(name, samples_of("sequence", ["MKTAY" * 400])).shape == (1, 16)


def test_esmc_gives_the_states_of_the_residues_in_every_layer(tmp_path):
    torch.manual_seed(0)
    tokenizer = transformers.EsmcTokenizer()
    tokenizer.save_pretrained(tmp_path)
    config = transformers.EsmcConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    module = transformers.EsmcForMaskedLM(config).eval()
    module.save_pretrained(tmp_path)

    def tokens(sequence):
        return tokenizer(sequence)["input_ids"], slice(1, len(sequence) + 1)

    name = f"esmc:{tmp_path}"
    samples = check_against_hand(name, "sequence", SEQUENCES, module.esmc, tokens)
    check_batches_do_not_matter(name, samples)


def save_t5(folder, *, extra):
    """Save a tiny T5 encoder; residues are words of their own, as in ProtT5."""
    residues = [f"▁{letter}" for letter in "ALGVSREDTIPKFQNYMHWCXBOUZ"]
    pieces = ["<pad>", "</s>", "<unk>", *residues, *extra]
    tokenizer = transformers.T5Tokenizer(
        vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0
    )
    tokenizer.add_tokens(list(extra))
    tokenizer.save_pretrained(folder)
    config = transformers.T5Config(
        vocab_size=len(tokenizer) + 8,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=1,
    )
    module = transformers.T5EncoderModel(config).eval()
    module.save_pretrained(folder)
    return {piece: tokenizer.convert_tokens_to_ids(piece) for piece in pieces}, module


def test_prostt5_leaves_out_the_prefix_and_the_end_and_reads_rare_residues_as_x(tmp_path):
    torch.manual_seed(0)
    ids, module = save_t5(tmp_path, extra=["<AA2fold>", "<fold2AA>"])
    name = f"prostt5:{tmp_path}"

    def tokens(sequence):
        letters = [ids[f"▁{letter}"] for letter in sequence.replace("U", "X").replace("Z", "X")]
        return [ids["<AA2fold>"], *letters, ids["</s>"]], slice(1, len(sequence) + 1)

    sequences = [*SEQUENCES, "MUZK"]
    samples = check_against_hand(name, "sequence", sequences, module, tokens)
    check_batches_do_not_matter(name, samples)


def test_a_t5_that_is_not_prostt5_is_found_out(tmp_path):
    save_t5(tmp_path, extra=[])
    with pytest.raises(models.ModelError, match="are these weights of ProstT5"):
        models.layers_of(f"prostt5:{tmp_path}")


@pytest.mark.parametrize("name", ["esm2", "esmc", "prostt5"])
def test_weights_that_are_not_here_are_asked_for_in_one_sentence(name):
    assert "given as" in str(models.available(find_model(name)))
    with pytest.raises(models.ModelError, match="no weights 'nobody/nothing' on this machine"):
        rows_of(f"{name}:nobody/nothing", samples_of("sequence", SEQUENCES))
