"""Geom2Vec, trained to denoise molecules. Reference: Pengmei et al. 2025, doi:10.1063/5.0227284."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consilience.datasets import Atoms
from consilience.models._hooks import split_rows
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._scatter import stand_in_for_torch_scatter
from consilience.models._weights import plain_weights, weights_file

LAYER = "representation"
# None of them reaches the scalars.
HEADS = ("output_model_noise.", "vec_out.", "pos_normalizer.", "mean", "std")


@model(
    name="geom2vec",
    summary="ViSNet, TensorNet or TorchMD-ET trained to take noise off molecules",
    family="Geom2Vec",
    architecture="equivariant GNN",
    modality="3D",
    embedding="invariant",
    representation="atoms",
    training_data="Orbnet Denali",
    license="MIT",
    weights="a .pth file out of the folder checkpoints of the geom2vec repository, its name as "
    "it is there: it tells the sizes",
    requires=("torch", "torch_geometric", "torch_cluster", "geom2vec"),
    install="clone zpengmei/geom2vec and run `pip install '.[torch,pyg]'` in it",
    seconds_per_1k=100.0,
    checkpoint="",
    takes_weights=True,
    periodic=False,
)
def load(*, checkpoint: str, device: str) -> Geom2Vec:
    """Build the network that the file's name tells of and fill it with plain tensors."""
    stand_in_for_torch_scatter()
    from geom2vec.models.factory import create_model, infer_checkpoint_config

    path = weights_file(checkpoint, "the geom2vec repository has them in its folder checkpoints")
    network = create_model(**infer_checkpoint_config(str(path)), device="cpu")
    _fill(network, plain_weights(path))
    return Geom2Vec(network.to(device).eval(), device)


def _fill(network: Any, state: Mapping[str, Any]) -> None:
    """Load strictly but for the head that predicts the noise."""
    result = network.load_state_dict(dict(state), strict=False)
    wrong = [*result.missing_keys, *result.unexpected_keys]
    wrong = [key for key in wrong if not key.startswith(HEADS)]
    if wrong:
        raise ValueError(
            f"{len(wrong)} tensors do not fit, such as {wrong[0]!r}; was the file renamed?"
        )


class Geom2Vec:
    """Scalars of every atom as the network leaves them; crystals are left out."""

    layers = (LAYER,)

    def __init__(self, network: Any, device: str) -> None:
        self._network = network
        self._device = device

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import numpy as np
        import torch

        counts = [len(atoms) for atoms in values]
        numbers = np.concatenate([atoms.numbers for atoms in values])
        positions = np.concatenate([atoms.positions for atoms in values])
        with torch.no_grad():
            scalars, *_ = self._network(
                torch.tensor(numbers, device=self._device),
                torch.tensor(positions, dtype=torch.float32, device=self._device),
                torch.repeat_interleave(torch.arange(len(values)), torch.tensor(counts)).to(
                    self._device
                ),
            )
        return States(dict.fromkeys(layers, split_rows(scalars, counts)))
