"""Morgan fingerprints: a baseline without learning. Rogers and Hahn 2010."""

from __future__ import annotations

import numpy as np

from consilience.datasets import Samples
from consilience.models._registry import Batches, model

WIDTH = 2048


@model(
    name="morgan",
    summary="which circular substructures of radius 2 a molecule has, hashed to 2048 bits",
    family="fingerprint",
    modality="baseline",
    representation="smiles",
    width=WIDTH,
    parameters=0,
    license="BSD-3-Clause",
    requires=("rdkit",),
    install="pip install rdkit",
    seconds_per_1k=0.1,
    checkpoint="2",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Bits as zeros and ones; `checkpoint` is the radius."""
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    generator = GetMorganGenerator(radius=int(checkpoint), fpSize=WIDTH)
    for ids, smiles in samples.batches("smiles", batch_size):
        bits = [generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(s)) for s in smiles]
        yield ids, np.stack(bits).astype(np.float32)
