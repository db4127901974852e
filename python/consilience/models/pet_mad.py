"""PET-MAD and its relatives, unconstrained transformers on graphs of atoms.

Reference: Mazitov et al. 2025, doi:10.1038/s41467-025-65662-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
from consilience.models._hooks import split_rows, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._weights import check_trusted_pickle, weights_file

CHECKPOINT = ".ckpt"
LAST = "last-layer"
LAST_OUTPUT = "mtt::aux::energy_last_layer_features"
COMMON: dict[str, Any] = {
    "family": "PET",
    "architecture": "transformer on graphs, unconstrained",
    "modality": "3D",
    "embedding": "vanilla",
    "representation": "atoms",
    "license": "BSD-3-Clause",
    "weights": "a .pt file exported by upet (TorchScript), or a .ckpt file; the latter is a "
    "pickle, so CONSILIENCE_TRUST_PICKLE=1 must be set",
    "package": "upet==0.3.1",
    "requires": ("torch", "metatrain", "metatomic", "vesin", "ase"),
    "install": "pip install upet==0.3.1",
    "seconds_per_1k": 150.0,
    "checkpoint": "",
    "takes_weights": True,
}


@model(
    name="pet-oam",
    summary="PET-OAM, potential for materials",
    training_data="OMat24 + sAlex + MPtrj",
    training_size=112_852_745,
    theory="PBE(+U)",
    **COMMON,
)
@model(
    name="pet-mad",
    summary="potential for molecules and materials from few but diverse structures",
    training_data="MAD",
    training_size=95_595,
    theory="PBEsol",
    **COMMON,
)
def load(*, checkpoint: str, device: str) -> PET:
    """Load an exported model, or build one from a checkpoint that the user trusts.

    Raises
    ------
    PermissionError
        If it is a checkpoint and the user has not said to trust pickles.
    """
    from metatomic.torch import load_atomistic_model

    path = weights_file(checkpoint, "lab-cosmo/upet publishes them")
    network = _from_checkpoint(path) if path.suffix == CHECKPOINT else load_atomistic_model(path)
    return PET(network.to(device).eval(), device)


def _from_checkpoint(path: Path) -> Any:
    from metatrain.utils.io import load_model

    check_trusted_pickle(path)
    return load_model(path).export()


class PET:
    """Features of every atom: those of all layers, and the last ones before the energy."""

    def __init__(self, network: Any, device: str) -> None:
        self._network = network
        self._device = device
        capabilities = network.capabilities()
        known = capabilities.outputs
        self._dtype = capabilities.dtype
        features = next((name for name in ("feature", "features") if name in known), None)
        outputs = {"features": features, LAST: LAST_OUTPUT if LAST_OUTPUT in known else None}
        self._outputs = {layer: name for layer, name in outputs.items() if name is not None}
        if "energy" not in known or not self._outputs:
            raise ValueError(f"expected a potential with features, found {', '.join(known)}")
        self.layers = tuple(self._outputs)

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch
        from metatomic.torch import ModelEvaluationOptions

        wanted = {self._outputs[layer]: _output(sample_kind="atom") for layer in layers}
        options = ModelEvaluationOptions(
            length_unit="angstrom",
            outputs={**wanted, "energy": _output(sample_kind="system", unit="eV")},
        )
        with torch.no_grad():
            out = self._network(self._systems(values), options, check_consistency=False)
        counts = [len(atoms) for atoms in values]
        return States(
            {
                layer: split_rows(out[self._outputs[layer]].block().values, counts)
                for layer in layers
            },
            {"energy_ev": to_numpy(out["energy"].block().values).reshape(-1).astype(np.float64)},
        )

    def _systems(self, values: Sequence[Atoms]) -> Any:
        import torch
        from metatomic.torch import systems_to_torch
        from vesin.metatomic import compute_requested_neighbors

        dtype = getattr(torch, self._dtype)
        systems = systems_to_torch([to_ase(atoms) for atoms in values], dtype=dtype)
        compute_requested_neighbors(systems, "angstrom", self._network)
        return [system.to(device=self._device) for system in systems]


def _output(**options: str) -> Any:
    from metatomic.torch import ModelOutput

    return ModelOutput(**options)
