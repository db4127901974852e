"""Geom2Vec on tiny random networks; its library is in no package and has to be cloned."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms
from consilience.models._scatter import stand_in_for_torch_scatter
from family_atoms import ICE, METHANOL, WATER, samples_of, turned

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torch_geometric", reason="torch_geometric is not installed")
pytest.importorskip("geom2vec", reason="geom2vec is not installed: it is in no package")
pytestmark = pytest.mark.filterwarnings("ignore")

SIZES = ["visnet_l6_h16_rbf8_r75", "tensornet_l2_h16_rbf8_r5", "et_l2_h16_rbf8_r75"]


def radius_graph(x, r, batch=None, loop=False, max_num_neighbors=32, **rest):
    """All pairs closer than r within a sample; torch_cluster needs a compiler."""
    batch = torch.zeros(len(x), dtype=torch.long) if batch is None else batch
    near = (torch.cdist(x, x) <= r) & (batch[:, None] == batch[None])
    if not loop:
        near &= ~torch.eye(len(x), dtype=torch.bool)
    assert int(near.sum(1).max()) <= max_num_neighbors
    return near.nonzero().T.flip(0)


@pytest.fixture(scope="module", autouse=True)
def torch_cluster():
    if importlib.util.find_spec("torch_cluster") is None:
        module = types.ModuleType("torch_cluster")
        module.__spec__ = importlib.machinery.ModuleSpec("torch_cluster", None)
        module.radius_graph = radius_graph
        sys.modules["torch_cluster"] = module
        import torch_geometric.nn.pool as pool

        pool.radius_graph = radius_graph
        import torch_geometric.nn

        torch_geometric.nn.radius_graph = radius_graph


@pytest.fixture(params=SIZES)
def case(request, tmp_path):
    stand_in_for_torch_scatter()
    from geom2vec.models.factory import create_model, infer_checkpoint_config

    path = tmp_path / f"{request.param}.pth"
    torch.manual_seed(0)
    network = create_model(**infer_checkpoint_config(str(path)), device="cpu").eval()
    torch.save(network.state_dict(), path)
    return f"geom2vec:{path}", network


def rows_of(name, *atoms, **options):
    return np.concatenate([b.rows for b in models.embed(name, samples_of(*atoms), **options)])


def test_the_embedding_is_the_mean_of_the_scalars_of_the_library(case):
    name, network = case
    for atoms, row in zip((WATER, METHANOL), rows_of(name, WATER, METHANOL), strict=True):
        with torch.no_grad():
            scalars = network(
                torch.tensor(atoms.numbers),
                torch.tensor(atoms.positions, dtype=torch.float32),
                torch.zeros(len(atoms), dtype=torch.long),
            )[0]
        np.testing.assert_allclose(row, scalars.mean(0).numpy(), rtol=1e-3, atol=1e-4)


def test_turns_and_batches_do_not_matter_and_crystals_are_left_out(case):
    name, _ = case
    one = rows_of(name, WATER, METHANOL, batch_size=1)
    np.testing.assert_allclose(rows_of(name, WATER, METHANOL), one, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        rows_of(name, turned(WATER), turned(METHANOL)), one, rtol=1e-3, atol=1e-4
    )
    run = models.embed(name, samples_of(WATER, ICE))
    assert run.skipped == ("s1",)
    moved = Atoms(WATER.numbers, WATER.positions * 1.1)
    assert np.abs(rows_of(name, moved) - one[0]).max() > 1e-4


def test_a_renamed_file_is_found_out(tmp_path):
    path = tmp_path / "visnet_l6_h24_rbf8_r75.pth"
    torch.save({"representation_model.nothing": torch.zeros(1)}, path)
    with pytest.raises(models.ModelError, match="was the file renamed"):
        models.layers_of(f"geom2vec:{path}")
