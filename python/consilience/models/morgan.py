"""Morgan fingerprints: a baseline without learning. Rogers and Hahn 2010."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consilience.models._network import Network, RowFunction
from consilience.models._registry import model

WIDTH = 2048


@model(
    name="morgan",
    summary="which circular substructures of radius 2 a molecule has, hashed to 2048 bits",
    family="fingerprint",
    architecture="hashed substructures",
    modality="baseline",
    embedding="baseline",
    representation="smiles",
    width=WIDTH,
    parameters=0,
    license="BSD-3-Clause",
    weights="none",
    requires=("rdkit",),
    install="pip install rdkit",
    seconds_per_1k=0.1,
    checkpoint="2",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Bits as zeros and ones; `checkpoint` is the radius."""
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=int(checkpoint), fpSize=WIDTH)

    def bits(smiles: Sequence[str]) -> NDArray[np.uint8]:
        return np.stack([generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles])

    return RowFunction(bits, layers=("bits",))
