"""Any torch module and any function can be a model."""

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Samples

SMILES = ["CCO", "C", "CCCC", "OCO", "N"]
SAMPLES = Samples(ids=tuple(f"id-{i}" for i in range(5)), columns={"smiles": SMILES})


def rows_of(model, samples=SAMPLES, **options):
    return np.concatenate([batch.rows for batch in models.embed(model, samples, **options)])


def test_a_function_is_a_model():
    model = models.from_function(
        lambda smiles: [[s.count("C"), s.count("O")] for s in smiles],
        name="counts",
        width=2,
        modality="baseline",
        training_data="nothing",
    )
    expected = [[2, 1], [1, 0], [4, 0], [1, 2], [0, 0]]
    assert rows_of(model, batch_size=2).tolist() == expected
    assert model.facts()["training_data"] == "nothing"
    assert "counts" not in models.MODELS


def test_a_function_of_atoms_or_ids():
    atoms = [Atoms(np.array([8]), np.zeros((1, 3))), Atoms(np.array([6, 1]), np.zeros((2, 3)))]
    samples = Samples(ids=("o", "ch"), columns={"atoms": atoms})
    model = models.from_function(lambda v: [[len(a)] for a in v], name="size", column="atoms")
    assert model.modality == "3D"
    assert rows_of(model, samples).tolist() == [[1], [2]]
    model = models.from_function(lambda v: [[len(i)] for i in v], name="name", column="ids")
    assert rows_of(model, samples).tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda smiles: [1.0 for _ in smiles], r"shape \(5,\), expected \(5, width\)"),
        (lambda smiles: [[1.0]], r"shape \(1, 1\), expected \(5, width\)"),
        (lambda smiles: [[np.nan]] * 5, "NaN or infinity in layer 'rows' for 'id-0'"),
        (lambda smiles: [[1.0, 2.0, 3.0]] * 5, "width 3 for 'id-0', expected 2"),
        (lambda smiles: smiles.nothing, "no attribute 'nothing'"),
    ],
)
def test_a_function_that_gives_something_else_is_refused(function, message):
    model = models.from_function(function, name="odd", width=2)
    with pytest.raises(models.ModelError, match=message):
        rows_of(model)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def encoder(torch):
    """Letters to vectors, two layers, dropout that only evaluation mode turns off."""

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(128, 4)
            self.blocks = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))
            self.dropout = torch.nn.Dropout(0.5)

        def forward(self, letters, scale=1.0):
            states = self.embedding(letters) * scale
            for block in self.blocks:
                states = self.dropout(block(states))
            return states.sum()

    torch.manual_seed(0)
    return Encoder()


def padded(smiles):
    import torch

    longest = max(map(len, smiles))
    return torch.tensor([[*map(ord, s), *[0] * (longest - len(s))] for s in smiles])


def lengths(smiles):
    return [len(s) for s in smiles]


def test_a_module_is_read_where_the_path_says(torch, encoder):
    model = models.from_module(
        encoder, "blocks.1", name="mine", inputs=padded, lengths=lengths, family="letters"
    )
    rows = rows_of(model, batch_size=2)
    with torch.no_grad():
        for smiles, row in zip(SMILES, rows, strict=True):
            states = encoder.embedding(torch.tensor([*map(ord, smiles)]))
            expected = encoder.blocks[1](encoder.blocks[0](states)).mean(0)
            np.testing.assert_allclose(row, expected.numpy(), rtol=1e-5, atol=1e-6)
    facts = model.facts()
    assert facts["family"] == "letters"
    assert facts["architecture"] == "Encoder"
    assert facts["parameters"] == 128 * 4 + 2 * 20


def test_several_paths_are_several_layers_and_the_last_is_the_default(encoder):
    model = models.from_module(
        encoder, ["embedding", "blocks.0"], name="mine", inputs=padded, lengths=lengths
    )
    assert models.layers_of(model) == ("embedding", "blocks.0")
    (batch,) = models.embed_layers(model, SAMPLES)
    np.testing.assert_array_equal(rows_of(model), batch.rows["blocks.0"])
    np.testing.assert_array_equal(rows_of(model, layer="embedding"), batch.rows["embedding"])


def test_arguments_may_be_keywords_or_several(encoder):
    def make(inputs):
        return models.from_module(encoder, "blocks.1", name="m", inputs=inputs, lengths=lengths)

    plain = rows_of(make(padded))
    keywords = rows_of(make(lambda v: {"letters": padded(v), "scale": 1.0}))
    several = rows_of(make(lambda v: (padded(v), 2.0)))
    np.testing.assert_array_equal(keywords, plain)
    assert not np.allclose(several, plain)


def test_tokens_of_all_samples_may_lie_in_one_array(torch, encoder):
    def joined(smiles):
        return torch.tensor([ord(letter) for s in smiles for letter in s])

    model = models.from_module(encoder, "blocks.1", name="m", inputs=joined, lengths=lengths)
    other = models.from_module(encoder, "blocks.1", name="m", inputs=padded, lengths=lengths)
    np.testing.assert_allclose(rows_of(model), rows_of(other), rtol=1e-5, atol=1e-6)
    without = models.from_module(encoder, "blocks.1", name="m", inputs=joined)
    with pytest.raises(models.ModelError, match=r"shape \(12, 4\), expected \(5, width\)"):
        rows_of(without)


def test_a_path_that_is_not_there_names_those_that_are(encoder):
    with pytest.raises(ValueError, match=r"no submodule 'layers.1'; there are: embedding, blocks"):
        models.from_module(encoder, "layers.1", name="m", inputs=padded)
    with pytest.raises(ValueError, match=r"`pooling` must be one of .* got 'max'"):
        models.from_module(encoder, "embedding", name="m", inputs=padded, pooling="max")


def test_a_device_that_is_not_there(torch, encoder):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    model = models.from_module(encoder, "embedding", name="mine", inputs=padded)
    with pytest.raises(models.ModelError, match="mine cannot run on 'cuda': torch sees no CUDA"):
        models.embed(model, SAMPLES, device="cuda")
