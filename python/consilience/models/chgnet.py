"""CHGNet. Reference: Deng et al., Nat. Mach. Intell. 5, 1031 (2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._elements import MPTRJ
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder

FILES = {
    "0.2.0": "0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar",
    "0.3.0": "0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
    "r2scan": "r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
}
UNTRAINED = "untrained"
SEED = 0
VACUUM = 15.0  # Å, more than twice the cutoff: no atom sees an image of the molecule
N_LAYERS = 4
# The library's own features are those of one layer earlier; the readout sees them normalised.
TAPS = {
    "embedding": Tap("atom_embedding"),
    **{f"layer-{i + 1}": Tap(f"atom_conv_layers.{i}") for i in range(N_LAYERS - 1)},
    f"layer-{N_LAYERS}": Tap("mlp", "input"),
}

PACKAGE = "chgnet==0.4.2"
FACTS = {
    "family": "CHGNet",
    "architecture": "GNN with angles",
    "representation": "atoms",
    "width": 64,
    "license": "BSD-3-Clause",
    "package": PACKAGE,
    "requires": ("torch", "pymatgen", "ase", "chgnet"),
    "install": f"pip install torch {PACKAGE}",
    "elements": MPTRJ,
}
TRAINED = {
    **FACTS,
    "modality": "3D",
    "embedding": "invariant",
    "weights": "package chgnet 0.4.2",
}


@model(
    name="chgnet-random",
    summary="the network of CHGNet 0.3.0 with random weights",
    modality="baseline",
    embedding="baseline",
    weights="random numbers of a fixed seed",
    parameters=412_525,
    seconds_per_1k=17.0,
    checkpoint=UNTRAINED,
    **FACTS,
)
@model(
    name="chgnet-r2scan",
    summary="CHGNet 0.3.0, trained further on r2SCAN energies",
    parameters=412_525,
    training_data="MPtrj + MP-r2SCAN",
    training_size=1_820_000,
    theory="r2SCAN",
    seconds_per_1k=17.0,
    checkpoint="r2scan",
    **TRAINED,
)
@model(
    name="chgnet-0.3.0",
    summary="interatomic potential with charges, trained on inorganic crystals (PBE)",
    parameters=412_525,
    training_data="MPtrj",
    training_size=1_580_395,
    theory="PBE(+U)",
    seconds_per_1k=17.0,
    checkpoint="0.3.0",
    **TRAINED,
)
@model(
    name="chgnet-0.2.0",
    summary="the CHGNet of the paper: smaller cutoff, without normalisation of features",
    parameters=400_438,
    training_data="MPtrj",
    training_size=1_580_395,
    theory="PBE(+U)",
    seconds_per_1k=17.0,
    checkpoint="0.2.0",
    **TRAINED,
)
def load(*, checkpoint: str, device: str) -> Network:
    """Per atom what enters the energy readout; a molecule is put in a box of vacuum."""
    trained = checkpoint != UNTRAINED
    network = _trained(checkpoint) if trained else _untrained()
    network = network.to(device).eval()
    return _CHGNet(network, Taps(network, TAPS), device, trained)


@dataclass(frozen=True)
class _CHGNet:
    network: Any
    taps: Taps
    device: str
    predicts: bool

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch

        convert = self.network.graph_converter
        graphs = [convert(_structure(atoms)).to(self.device) for atoms in values]
        with torch.no_grad(), self.taps.read(layers) as found:
            prediction = self.network(graphs, task="e")
        counts = [len(atoms) for atoms in values]
        energy = to_numpy(prediction["e"]).astype(np.float64) * counts  # it is per atom
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": energy} if self.predicts else {},
        )


def _trained(checkpoint: str) -> Any:
    """Build the network from plain weights; the library's own loader would unpickle."""
    import torch
    from chgnet.model import CHGNet

    if checkpoint not in FILES:
        raise ValueError(f"`checkpoint` must be one of {list(FILES)}, got {checkpoint!r}")
    path = package_folder("chgnet") / "pretrained" / FILES[checkpoint]
    state = torch.load(path, map_location="cpu", weights_only=True)
    options = {"mlp_out_bias": checkpoint == "0.2.0", "version": checkpoint}
    return CHGNet.from_dict(state["model"], **options)


def _untrained() -> Any:
    import torch
    from chgnet.model import CHGNet

    settings = _trained("0.3.0").model_args
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return CHGNet(**settings)


def _structure(atoms: Atoms) -> Any:
    """Return a periodic structure: that of the crystal, or a box of vacuum for a molecule.

    A surface or a wire keeps its cell, which holds vacuum of its own.
    """
    from pymatgen.core import Lattice, Structure

    if any(atoms.pbc):
        lattice, positions = Lattice(atoms.cell), atoms.positions
    else:
        low, high = atoms.positions.min(axis=0), atoms.positions.max(axis=0)
        lattice = Lattice.orthorhombic(*(high - low + VACUUM))
        positions = atoms.positions - low + VACUUM / 2
    return Structure(lattice, atoms.numbers, positions, coords_are_cartesian=True)
