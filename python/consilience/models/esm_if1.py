"""ESM-IF1, sequence from structure. Reference: Hsu et al. 2022 (ICML, PMLR 162)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from consilience.datasets import Backbone
from consilience.models._hooks import Tap, Taps, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._scatter import stand_in_for_torch_scatter
from consilience.models._weights import check_version, plain_weights, weights_file

INSTALL = "pip install torch torch_geometric biotite fair-esm==2.0.0"


@model(
    name="esm-if1",
    summary="encoder of backbones, trained to give back the sequence",
    family="ESM-IF1",
    architecture="GVP and transformer",
    modality="structure",
    embedding="invariant",
    representation="structure",
    training_data="CATH + AlphaFold2 of UniRef50",
    training_size=12_000_000,
    license="MIT",
    weights="the file esm_if1_gvp4_t16_142M_UR50.pt of the ESM project",
    package="fair-esm==2.0.0",
    requires=("torch", "torch_geometric", "esm", "biotite"),
    install=INSTALL,
    seconds_per_1k=1000.0,
    checkpoint="",
    takes_weights=True,
)
def load(*, checkpoint: str, device: str) -> InverseFolding:
    """Load the settings and tensors in the file, and nothing else that may be pickled there."""
    check_version("fair-esm", "2.", INSTALL)
    stand_in_for_torch_scatter()
    _old_name_in_biotite()
    from esm.pretrained import load_model_and_alphabet_core

    path = weights_file(checkpoint, "the ESM project publishes it")
    saved = plain_weights(path, (argparse.Namespace,))
    if "invariant_gvp" not in str(getattr(saved.get("args"), "arch", "")):
        raise ValueError(f"{path.name} is of another model than ESM-IF1")
    network, alphabet = load_model_and_alphabet_core(path.stem, saved)
    return InverseFolding(network.encoder.to(device).eval(), alphabet, device)


def _old_name_in_biotite() -> None:
    """Give a function the name that it had before biotite 1, by which fair-esm imports it."""
    import biotite.structure as structure

    if not hasattr(structure, "filter_backbone"):
        structure.filter_backbone = structure.filter_peptide_backbone


class InverseFolding:
    """States of every residue, of N, CA and C alone; the last layer is the final norm."""

    def __init__(self, encoder: Any, alphabet: Any, device: str) -> None:
        self._encoder = encoder
        self._alphabet = alphabet
        self._device = device
        paths = {f"layer-{i + 1}": f"layers.{i}" for i in range(len(encoder.layers))}
        self._taps = Taps(
            encoder,
            {layer: Tap(path) for layer, path in {**paths, "norm": "layer_norm"}.items()},
        )
        self.layers = self._taps.layers

    def run(self, values: Sequence[Backbone], layers: Sequence[str]) -> States:
        import torch
        from esm.inverse_folding.util import CoordBatchConverter

        convert = CoordBatchConverter(self._alphabet)
        chains = [(_centered(value), None, None) for value in values]
        coordinates, confidence, _, _, padding = convert(chains, device=self._device)
        with torch.no_grad(), self._taps.read(layers) as found:
            self._encoder(coordinates, padding, confidence)
        # Tokens first, then samples; one token stands in front of each chain and one behind.
        return States(
            {
                layer: [
                    to_numpy(found[layer][1 : len(value) + 1, number])
                    for number, value in enumerate(values)
                ]
                for layer in layers
            }
        )


def _centered(backbone: Backbone) -> Any:
    """Put the middle of a chain at the origin, where the network puts what is missing.

    The tokens in front and behind have no place; else the ends would depend on where a chain lies.
    """
    coordinates = backbone.coordinates[:, :3]
    return coordinates - coordinates.mean(axis=(0, 1), keepdims=True)
