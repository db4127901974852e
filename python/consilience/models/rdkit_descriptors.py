"""RDKit's descriptors of a molecule: a baseline that chemists wrote down, nothing learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consilience.models._network import Network, RowFunction
from consilience.models._registry import model

UNDEFINED = 0.0
LARGEST = 1e18  # its square is still a float32


@model(
    name="rdkit-descriptors",
    summary="217 numbers such as weight, logP, charges, counts of rings and groups; as they are",
    family="descriptors",
    architecture="hand-written descriptors",
    modality="baseline",
    embedding="baseline",
    representation="smiles",
    width=217,
    parameters=0,
    license="BSD-3-Clause",
    weights="none",
    requires=("rdkit",),
    install="pip install rdkit",
    seconds_per_1k=7.6,
    checkpoint="2D",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Values in RDKit's own order and units, neither centred nor scaled.

    A descriptor that has no value for a molecule is 0 (charges and eigenvalues of molecules
    with elements that RDKit has no parameters for), and one above 1e18 is cut there (the
    information content "Ipc" of very large molecules).
    """
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    def rows(smiles: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([_row(s) for s in smiles])

    def _row(smiles: str) -> NDArray[np.float32]:
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None:
            raise ValueError(f"{smiles!r} is no SMILES that RDKit can read")
        values = Descriptors.CalcMolDescriptors(molecule, missingVal=UNDEFINED, silent=True)
        return defined(list(values.values()))

    return RowFunction(rows, layers=("descriptors",))


def defined(values: Sequence[float]) -> NDArray[np.float32]:
    """Return finite float32: 0 for what is not a number, at most 1e18 in magnitude."""
    numbers = [UNDEFINED if math.isnan(value) else float(value) for value in values]
    return np.clip(numbers, -LARGEST, LARGEST).astype(np.float32)
