"""ESM3 on a tiny random network, saved as tensors alone."""

from __future__ import annotations

import importlib.metadata
import types

import numpy as np
import pytest

from consilience import models
from family_cases import check_batches_do_not_matter, rows_of, samples_of

torch = pytest.importorskip("torch", reason="torch is not installed")
try:
    VERSION = importlib.metadata.version("esm")
except importlib.metadata.PackageNotFoundError:
    VERSION = "none"
if not VERSION.startswith("3."):
    pytest.skip(f"needs esm 3, found {VERSION}", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")

SEQUENCES = ["MKTAYIAKQR", "GAVL", "WWPXDDEEKL"]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    from esm.models.esm3 import ESM3
    from esm.tokenization import EsmSequenceTokenizer

    torch.manual_seed(0)
    network = ESM3(
        d_model=128,
        n_heads=2,
        v_heads=4,
        n_layers=3,
        structure_encoder_fn=None,
        structure_decoder_fn=None,
        function_decoder_fn=None,
        tokenizers=types.SimpleNamespace(sequence=EsmSequenceTokenizer()),
    ).eval()
    path = tmp_path_factory.mktemp("esm3") / "tiny.pth"
    torch.save(network.state_dict(), path)
    return f"esm3:{path}", network


def test_the_embedding_is_the_mean_over_the_residues(case):
    name, network = case
    rows = rows_of(name, samples_of("sequence", SEQUENCES))
    for row, sequence in zip(rows, SEQUENCES, strict=True):
        ids = torch.tensor([network.tokenizers.sequence.encode(sequence)])
        assert ids.shape == (1, len(sequence) + 2)
        with torch.no_grad():
            before = network(sequence_tokens=ids).embeddings
            expected = network.transformer.norm(before)[0, 1:-1].mean(0).numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-4)


def test_batches_do_not_matter_and_all_layers_are_there(case):
    name, _ = case
    samples = samples_of("sequence", SEQUENCES)
    check_batches_do_not_matter(name, samples)
    (batch,) = models.embed_layers(name, samples)
    assert tuple(batch.rows) == ("layer-1", "layer-2", "layer-3", "norm")


def test_other_weights_are_refused(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(models.ModelError, match="not of ESM3"):
        models.layers_of(f"esm3:{tmp_path / 'other.pth'}")
