"""CHGNet. Reference: Deng et al., Nat. Mach. Intell. 5, 1031 (2023)."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.datasets import Atoms, Samples
from consilience.models._registry import Batches, model, package_folder

WEIGHTS = {
    "0.3.0": "0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
    "r2scan": "r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
}
VACUUM = 15.0  # Å, more than twice the cutoff: no atom sees an image of the molecule

PACKAGE = "chgnet==0.4.2"
REQUIRES = ("torch", "pymatgen", "ase", "chgnet")
INSTALL = f"pip install torch {PACKAGE}"


@model(
    name="chgnet-r2scan",
    summary="CHGNet 0.3.0, trained further on r2SCAN energies",
    family="CHGNet",
    modality="3D",
    representation="atoms",
    width=64,
    parameters=412_525,
    license="BSD-3-Clause",
    package=PACKAGE,
    requires=REQUIRES,
    install=INSTALL,
    seconds_per_1k=28.0,
    checkpoint="r2scan",
)
@model(
    name="chgnet-0.3.0",
    summary="interatomic potential with charges, trained on inorganic crystals (PBE)",
    family="CHGNet",
    modality="3D",
    representation="atoms",
    width=64,
    parameters=412_525,
    license="BSD-3-Clause",
    package=PACKAGE,
    requires=REQUIRES,
    install=INSTALL,
    seconds_per_1k=28.0,
    checkpoint="0.3.0",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean over atoms of what enters the energy readout.

    The features that the library itself returns are those of one layer earlier.
    """
    import torch

    network = _load(checkpoint)
    captured: dict[str, Any] = {}

    def keep(module: Any, inputs: Any) -> None:
        captured["atoms"] = inputs[0].detach()

    network.mlp.register_forward_pre_hook(keep)
    for ids, molecules in samples.batches("atoms", batch_size):
        graphs = [network.graph_converter(_boxed(atoms)) for atoms in molecules]
        with torch.no_grad():
            network(graphs, task="e")
        parts = torch.split(captured["atoms"], [len(atoms) for atoms in molecules])
        yield ids, np.stack([part.mean(0).numpy() for part in parts]).astype(np.float32)


def _load(checkpoint: str) -> Any:
    """Build the network from plain weights; the library's own loader would unpickle."""
    import torch
    from chgnet.model import CHGNet

    if checkpoint not in WEIGHTS:
        raise ValueError(f"`checkpoint` must be one of {list(WEIGHTS)}, got {checkpoint!r}")
    path = package_folder("chgnet") / "pretrained" / WEIGHTS[checkpoint]
    state = torch.load(path, map_location="cpu", weights_only=True)
    options = {"mlp_out_bias": False, "version": checkpoint}
    return CHGNet.from_dict(state["model"], **options).eval()


def _boxed(atoms: Atoms) -> Any:
    """Put the molecule in the middle of a periodic box with vacuum around it."""
    from pymatgen.core import Lattice, Structure

    low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
    lattice = Lattice.orthorhombic(*(high - low + VACUUM))
    positions = atoms.positions - low + VACUUM / 2
    return Structure(lattice, atoms.numbers, positions, coords_are_cartesian=True)
