"""ChemNet. Reference: Preuer et al., J. Chem. Inf. Model. 58, 1736 (2018)."""

from __future__ import annotations

import numpy as np

from consilience.datasets import Samples
from consilience.models._registry import Batches, model


@model(
    name="chemnet",
    summary="convolutions and LSTM over SMILES, trained to predict bioactivities",
    family="LSTM",
    modality="string",
    representation="smiles",
    width=512,
    parameters=1_406_336,
    license="LGPL-3.0",
    package="fcd==1.2.2",
    requires=("torch", "rdkit", "fcd"),
    install="pip install torch fcd==1.2.2",
    seconds_per_1k=4.8,
    checkpoint="v0.13",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Last step of the last LSTM layer, which has read the whole string: no average."""
    from fcd import get_predictions, load_ref_model

    if checkpoint != "v0.13":
        raise ValueError(f"`checkpoint` must be 'v0.13', got {checkpoint!r}")
    network = load_ref_model()
    for ids, smiles in samples.batches("smiles", batch_size):
        rows = get_predictions(network, list(smiles), batch_size, n_jobs=0, device="cpu")
        yield ids, rows.astype(np.float32)
