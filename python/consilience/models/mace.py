"""MACE, an equivariant potential. References: Batatia et al., arXiv:2206.07697, 2401.00096."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import check_elements, to_ase
from consilience.models._elements import MPTRJ
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import States
from consilience.models._registry import model
from consilience.models._weights import trusted_pickle, weights_file

ALL = "descriptors"
FORCED = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
WEIGHTS = (
    "a .model file, with '#HEAD' behind it if it has several heads; such a file is a pickle, so "
    "CONSILIENCE_TRUST_PICKLE=1 must be set"
)
COMMON: dict[str, Any] = {
    "family": "MACE",
    "architecture": "equivariant GNN, many-body",
    "modality": "3D",
    "embedding": "invariant",
    "representation": "atoms",
    "weights": WEIGHTS,
    "package": "mace-torch==0.3.16",
    "requires": ("torch", "mace", "e3nn", "ase"),
    "install": "pip install mace-torch==0.3.16, in an environment of its own (it pins e3nn 0.4.4)",
    "seconds_per_1k": 150.0,
    "checkpoint": "",
    "takes_weights": True,
}
ORGANIC = frozenset({1, 6, 7, 8, 9, 15, 16, 17, 35, 53})


@model(
    name="mace-off",
    summary="MACE-OFF23, a potential for organic molecules",
    training_data="SPICE",
    theory="wB97M-D3(BJ)",
    license="ASL",
    elements=ORGANIC,
    **COMMON,
)
@model(
    name="mace-omat",
    summary="MACE-OMAT-0, trained on OMat24",
    training_data="OMat24",
    training_size=100_824_585,
    theory="PBE(+U)",
    license="ASL",
    elements=MPTRJ,
    **COMMON,
)
@model(
    name="mace-mpa",
    summary="MACE-MPA-0, trained on MPtrj and sAlex",
    training_data="MPtrj + sAlex",
    training_size=12_028_160,
    theory="PBE(+U)",
    license="MIT",
    elements=MPTRJ,
    **COMMON,
)
@model(
    name="mace-mp",
    summary="MACE-MP-0, a potential for inorganic crystals",
    training_data="MPtrj",
    training_size=1_580_395,
    theory="PBE(+U)",
    license="MIT",
    elements=MPTRJ,
    **COMMON,
)
def load(*, checkpoint: str, device: str) -> MACE:
    """Load the whole model that its file holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PermissionError
        If the user has not said to trust pickles.
    """
    place, _, head = checkpoint.partition("#")
    network = _trusted(weights_file(place, "download one from the MACE project"))
    return MACE(network.to(device), device, head)


def _trusted(path: Path) -> Any:
    with _torch_left_strict():
        network = trusted_pickle(path)
    if not hasattr(network, "interactions") or not hasattr(network, "atomic_energies_fn"):
        raise TypeError(f"{path.name} holds {type(network).__name__}, expected a MACE potential")
    return network.eval()


@contextlib.contextmanager
def _torch_left_strict() -> Iterator[None]:
    """Undo what importing mace does: it makes every torch.load of the process unpickle freely."""
    before = os.environ.get(FORCED)
    try:
        import mace.data
        import mace.modules  # noqa: F401

        yield
    finally:
        if before is None:
            os.environ.pop(FORCED, None)
        else:
            os.environ[FORCED] = before


class MACE:
    """Invariant features of every atom after each interaction; by default all side by side.

    Energies are read out of each interaction, so that the last hidden layer is all of them.
    """

    def __init__(self, network: Any, device: str, head: str = "") -> None:
        self._network = network
        self._device = device
        self._dtype = next(network.parameters()).dtype
        self._numbers = [int(number) for number in network.atomic_numbers]
        self._heads, self._head = _heads(network, head)
        self._taps = Taps(
            network,
            {
                f"layer-{number}": Tap(f"products.{number - 1}", pick=_invariants(product))
                for number, product in enumerate(network.products, start=1)
            },
        )
        self.layers = (*self._taps.layers, ALL)

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch

        needed = self._taps.layers if ALL in layers else layers
        with torch.no_grad(), self._taps.read(needed) as found:
            out = self._network(self._batch(values), compute_force=False)
        if ALL in layers:
            found[ALL] = torch.cat([found[layer] for layer in self._taps.layers], dim=1)
        counts = [len(atoms) for atoms in values]
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers},
            {"energy_ev": to_numpy(out["energy"]).reshape(-1).astype(np.float64)},
        )

    def _batch(self, values: Sequence[Atoms]) -> dict[str, Any]:
        with _torch_left_strict():
            from mace.tools import torch_geometric, torch_tools

        kind = str(self._dtype).removeprefix("torch.")
        with torch_tools.default_dtype(kind):
            graphs = [self._graph(atoms) for atoms in values]
        batch = torch_geometric.Batch.from_data_list(graphs).to(self._device)
        found: dict[str, Any] = batch.to_dict()
        return found

    def _graph(self, atoms: Atoms) -> Any:
        from mace import data
        from mace.tools.utils import AtomicNumberTable

        check_elements(atoms, set(self._numbers))
        return data.AtomicData.from_config(
            data.config_from_atoms(to_ase(atoms), head_name=self._head),
            z_table=AtomicNumberTable(self._numbers),
            cutoff=float(self._network.r_max),
            heads=self._heads,
        )


def _heads(network: Any, wanted: str) -> tuple[list[str], str]:
    """Return the heads (one for each level of theory) and the one to read energies from."""
    heads = list(getattr(network, "heads", None) or ["Default"])
    if not wanted:
        default = [head for head in heads if head.lower() == "default"]
        wanted = heads[0] if len(heads) == 1 else next(iter(default), "")
    if wanted not in heads:
        raise ValueError(f"these weights have the heads {', '.join(heads)}; give 'PATH#HEAD'")
    return heads, wanted


def _invariants(product: Any) -> Any:
    """Return a function that keeps the scalars of what a product block gives."""
    irreps = product.linear.__dict__["irreps_out"]
    places = [
        place
        for (_, irrep), place in zip(irreps, irreps.slices(), strict=True)
        if irrep.l == 0 and irrep.p == 1
    ]

    def pick(features: Any) -> Any:
        import torch

        return torch.cat([features[:, place] for place in places], dim=1)

    return pick
