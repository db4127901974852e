"""SMILES are cut into the tokens that reaction models were trained on; padding has no part."""

import numpy as np
import pytest

from consilience.models._text_encoder import SMILES_TOKEN, SmilesVocabulary, mean_hidden_state


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


def test_mean_leaves_out_the_ends_and_the_padding():
    torch = pytest.importorskip("torch")

    class Identity:
        """Returns the token id, a hundred where attention is off."""

        def __call__(self, *, input_ids, attention_mask):
            state = torch.where(attention_mask.bool(), input_ids, 100).float()
            return type("Output", (), {"last_hidden_state": state[..., None]})

    rows = mean_hidden_state(Identity(), [[50, 1, 2, 60], [50, 5, 60]], pad=99)
    np.testing.assert_allclose(rows, [[1.5], [5.0]])
