"""ESM-IF1 on a tiny random network, saved with settings and tensors as the project saves them."""

from __future__ import annotations

import argparse
import importlib.metadata

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Backbone, Samples
from consilience.models._scatter import stand_in_for_torch_scatter
from consilience.models.esm_if1 import _old_name_in_biotite

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torch_geometric", reason="torch_geometric is not installed")
try:
    importlib.metadata.version("fair-esm")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("fair-esm is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = argparse.Namespace(
    arch="vt_medium_with_invariant_gvp",
    encoder_embed_dim=16,
    encoder_layers=2,
    encoder_attention_heads=2,
    encoder_ffn_embed_dim=32,
    decoder_embed_dim=16,
    decoder_layers=1,
    decoder_attention_heads=2,
    decoder_ffn_embed_dim=32,
    dropout=0.1,
    attention_dropout=0.1,
    gvp_node_hidden_dim_scalar=16,
    gvp_node_hidden_dim_vector=4,
    gvp_edge_hidden_dim_scalar=8,
    gvp_edge_hidden_dim_vector=1,
    gvp_num_encoder_layers=2,
    gvp_top_k_neighbors=5,
    gvp_dropout=0.1,
)


def chain(n_residues, seed):
    """A random walk of residues with atoms near their CA."""
    rng = np.random.default_rng(seed)
    alpha = np.cumsum(rng.normal(size=(n_residues, 1, 3)) * 2.2, axis=0)
    coordinates = alpha + rng.normal(size=(n_residues, 4, 3)) * 0.8
    return Backbone("A" * n_residues, coordinates.astype(np.float32))


CHAINS = (chain(12, 0), chain(7, 1), chain(20, 2))


def samples_of(*chains):
    return Samples(
        ids=tuple(f"s{i}" for i in range(len(chains))), columns={"structure": list(chains)}
    )


def rows_of(name, *chains, **options):
    return np.concatenate([b.rows for b in models.embed(name, samples_of(*chains), **options)])


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    stand_in_for_torch_scatter()
    _old_name_in_biotite()
    import esm
    from esm.inverse_folding.gvp_transformer import GVPTransformerModel

    torch.manual_seed(0)
    alphabet = esm.Alphabet.from_architecture(SETTINGS.arch)
    network = GVPTransformerModel(SETTINGS, alphabet).eval()
    path = tmp_path_factory.mktemp("if1") / "esm_if1_tiny.pt"
    torch.save({"args": SETTINGS, "model": network.state_dict()}, path)
    return f"esm-if1:{path}", network, alphabet


def test_the_embedding_is_the_mean_of_the_encoder_output_of_the_library(case):
    from esm.inverse_folding.util import get_encoder_output

    name, network, alphabet = case
    rows = rows_of(name, *CHAINS)
    for row, backbone in zip(rows, CHAINS, strict=True):
        coordinates = backbone.coordinates[:, :3]
        with torch.no_grad():
            centered = coordinates - coordinates.mean((0, 1))
            expected = get_encoder_output(network, alphabet, centered)
        assert expected.shape == (len(backbone), 16)
        np.testing.assert_allclose(row, expected.mean(0).numpy(), rtol=1e-3, atol=1e-4)


def test_batches_turns_and_shifts_do_not_matter(case):
    from scipy.spatial.transform import Rotation

    name, _, _ = case
    one = rows_of(name, *CHAINS, batch_size=1)
    np.testing.assert_allclose(rows_of(name, *CHAINS), one, rtol=1e-3, atol=1e-4)
    turn = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix().astype(np.float32)
    turned = [Backbone(c.sequence, c.coordinates @ turn.T + np.float32(5)) for c in CHAINS]
    np.testing.assert_allclose(rows_of(name, *turned), one, rtol=1e-2, atol=1e-3)
    assert np.abs(one[0] - one[1]).max() > 1e-2


def test_all_layers_are_there(case):
    name, _, _ = case
    (batch,) = models.embed_layers(name, samples_of(*CHAINS))
    assert tuple(batch.rows) == ("layer-1", "layer-2", "norm")
    np.testing.assert_allclose(batch.rows["norm"], rows_of(name, *CHAINS), rtol=1e-5)


def test_a_file_with_code_in_it_is_refused(case, tmp_path):
    class Runs:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"args": SETTINGS, "model": {}, "more": Runs()}, tmp_path / "bad.pt")
    with pytest.raises(models.ModelError, match="UnpicklingError"):
        models.layers_of(f"esm-if1:{tmp_path / 'bad.pt'}")
    assert not (tmp_path / "ran").exists()
