"""SMILES are cut into the tokens that reaction models were trained on; padding has no part."""

from types import SimpleNamespace

import numpy as np
import pytest

from consilience.models._network import pool_layer
from consilience.models._text_encoder import SMILES_TOKEN, SmilesVocabulary, TextEncoder


@pytest.mark.parametrize(
    ("smiles", "tokens"),
    [
        ("CCO", ["C", "C", "O"]),
        ("ClCBr", ["Cl", "C", "Br"]),
        ("C[C@@H](N)C", ["C", "[C@@H]", "(", "N", ")", "C"]),
        ("c1%12[nH+]%12c1", ["c", "1", "%12", "[nH+]", "%12", "c", "1"]),
        (
            "C/C=C\\C.O>>C#N",
            ["C", "/", "C", "=", "C", "\\", "C", ".", "O", ">>", "C", "#", "N"],
        ),
    ],
)
def test_tokens(smiles, tokens):
    assert SMILES_TOKEN.findall(smiles) == tokens


def test_vocabulary_frames_the_string_and_knows_what_it_does_not_know(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nC\nCl\n")
    tokenize = SmilesVocabulary(tmp_path / "vocab.txt")
    assert tokenize(["CCl", "CX"]) == [[2, 4, 5, 3], [2, 4, 1, 3]]
    assert tokenize.pad == 0


@pytest.fixture
def network():
    torch = pytest.importorskip("torch")

    class Identity:
        """Layer n gives the token id plus 1000 n, a hundred where attention is off."""

        config = SimpleNamespace(num_hidden_layers=2, max_position_embeddings=5)

        def to(self, device):
            return self

        def __call__(self, *, input_ids, attention_mask, output_hidden_states):
            state = torch.where(attention_mask.bool(), input_ids, 100).float()[..., None]
            return SimpleNamespace(hidden_states=(state, state + 1000, state + 2000))

    tokens = {"ab": [50, 1, 2, 60], "c": [50, 5, 60], "long": [50, 1, 2, 3, 4, 60]}
    return TextEncoder(Identity(), lambda values: [tokens[v] for v in values], 99, "cpu")


def test_tokens_leave_out_the_ends_and_the_padding(network):
    states = network.run(["ab", "c"], ["embedding", "layer-2"])
    assert [part[:, 0].tolist() for part in states.layers["embedding"]] == [[1, 2], [5]]
    np.testing.assert_allclose(pool_layer(states, "layer-2", "mean"), [[2001.5], [2005.0]])
    np.testing.assert_allclose(pool_layer(states, "layer-2", "last"), [[2002.0], [2005.0]])


def test_cls_is_the_state_of_the_token_in_front(network):
    states = network.run(["ab", "c"], ["layer-1"])
    np.testing.assert_allclose(pool_layer(states, "layer-1", "cls"), [[1050.0], [1050.0]])


def test_layers_are_those_of_the_network(network):
    assert network.layers == ("embedding", "layer-1", "layer-2")


def test_a_string_that_is_too_long_says_how_long(network):
    with pytest.raises(ValueError, match="a string has 6 tokens, this encoder reads 5"):
        network.run(["ab", "long"], ["layer-1"])
