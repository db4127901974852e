"""SOAP: a baseline without learning. Reference: Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115.

Elements are compressed as in Darby, Kermode, Csányi, npj Comput. Mater. 8, 166 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._atomistic import to_ase
from consilience.models._network import Network, States
from consilience.models._registry import model

R_CUT = 5.0  # Å
N_MAX, L_MAX = 8, 6
SIGMA = 0.5  # Å
WIDTH = N_MAX * (N_MAX + 1) // 2 * (L_MAX + 1)
ELEMENTS = range(1, 119)


@model(
    name="soap",
    summary="power spectrum of the density around each atom, elements weighted by √Z",
    family="SOAP",
    architecture="power spectrum",
    modality="baseline",
    embedding="baseline",
    representation="atoms",
    width=WIDTH,
    parameters=0,
    license="Apache-2.0",
    weights="none",
    package="dscribe==2.1.2",
    requires=("ase", "dscribe"),
    install="pip install ase dscribe==2.1.2",
    seconds_per_1k=1.2,
    checkpoint="mu2",
)
def load(*, checkpoint: str, device: str) -> Network:
    """One density for all elements, so that the width is the same for any of them.

    Gaussians of 0.5 Å within 5 Å, 8 radial functions, angular momenta up to 6; an atom of
    atomic number Z has the weight √Z.
    """
    from dscribe.descriptors import SOAP

    settings = {
        "r_cut": R_CUT,
        "n_max": N_MAX,
        "l_max": L_MAX,
        "sigma": SIGMA,
        "species": list(ELEMENTS),
        "compression": {
            "mode": checkpoint,
            "species_weighting": {number: float(np.sqrt(number)) for number in ELEMENTS},
        },
    }
    return _SOAP(SOAP(**settings, periodic=False), SOAP(**settings, periodic=True))


@dataclass(frozen=True)
class _SOAP:
    alone: Any
    periodic: Any
    layers: tuple[str, ...] = ("power-spectrum",)

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        found = [
            (self.periodic if any(atoms.pbc) else self.alone).create(to_ase(atoms))
            for atoms in values
        ]
        return States(dict.fromkeys(layers, found))
