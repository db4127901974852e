"""SO3LR. Reference: Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
from consilience.models._hooks import Tap, Taps, split_rows, to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder
from consilience.models._weights import plain_weights

# Where long-range terms end: the library's own default, in ångström.
R_LONG = 12.0
DAMPING = 2.0
TRUSTED = ("so3krates_torch.", "torch.nn.modules.")


@model(
    name="so3lr",
    summary="equivariant transformer with long-range electrostatics and dispersion",
    family="SO3LR",
    architecture="equivariant transformer",
    modality="3D",
    embedding="invariant",
    representation="atoms",
    width=128,
    parameters=529_852,
    training_data="SO3LR molecules",
    training_size=4_000_000,
    theory="PBE0+MBD",
    license="MIT",
    weights="package so3krates-torch 0.2.1",
    package="so3krates-torch==0.2.1",
    requires=("torch", "torch_geometric", "ase", "matscipy", "so3krates_torch"),
    install="pip install torch so3krates-torch==0.2.1",
    seconds_per_1k=5.0,
    checkpoint="so3lr",
    elements=frozenset({1, 6, 7, 8, 9, 15, 16, 17}),
)
def load(*, checkpoint: str, device: str) -> Network:
    """Per atom the invariant features after each layer, the last before the energy readout.

    Energies have a zero of their own per atom, so they are compared after subtracting what is
    linear in the composition.
    """
    network = _read(checkpoint).to(device).eval()
    network.r_max_lr = R_LONG
    network.dispersion_energy_cutoff_lr_damping = DAMPING
    paths = {
        f"layer-{number + 1}": Tap(f"euclidean_transformers.{number}")
        for number in range(network.num_layers)
    }
    return _SO3LR(network, Taps(network, paths), device)


def _read(checkpoint: str) -> Any:
    """Unpickle the module with classes of two libraries only, and nothing else."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    folder = package_folder("so3krates_torch") / "pretrained" / checkpoint
    path = folder / f"{checkpoint}.model"
    named = get_unsafe_globals_in_checkpoint(path)
    if odd := [name for name in named if not name.startswith(TRUSTED)]:
        raise ValueError(f"{path.name} asks for {odd[0]}, which no network needs; not loaded")
    classes = []
    for name in named:
        room, _, class_name = name.rpartition(".")
        classes.append(getattr(importlib.import_module(room), class_name))
    return plain_weights(path, tuple(classes))


@dataclass(frozen=True)
class _SO3LR:
    network: Any
    taps: Taps
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return self.taps.layers

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch
        from so3krates_torch.tools.torch_geometric.batch import Batch

        batch = Batch.from_data_list([self._graph(atoms) for atoms in values]).to(self.device)
        with torch.no_grad(), self.taps.read(layers) as found:
            result = self.network(batch.to_dict(), compute_force=False)
        counts = [len(atoms) for atoms in values]
        energy = to_numpy(result["energy"]).reshape(-1).astype(np.float64)
        return States(
            {layer: split_rows(found[layer], counts) for layer in layers}, {"energy_ev": energy}
        )

    def _graph(self, atoms: Atoms) -> Any:
        from so3krates_torch.data.atomic_data import AtomicData
        from so3krates_torch.data.utils import KeySpecification, config_from_atoms
        from so3krates_torch.tools.utils import AtomicNumberTable

        plain = to_ase(atoms, charge=float(atoms.charge), spin=0.0)
        keys = KeySpecification(
            info_keys={"total_charge": "charge", "total_spin": "spin"}, arrays_keys={}
        )
        return AtomicData.from_config(
            config_from_atoms(plain, key_specification=keys),
            z_table=AtomicNumberTable(list(range(1, 119))),
            cutoff=self.network.r_max,
            cutoff_lr=self.network.r_max_lr,
        )
