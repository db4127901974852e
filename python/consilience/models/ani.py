"""ANI-1x. Reference: Smith et al., J. Chem. Phys. 148, 241733 (2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets import Atoms
from consilience.models._hooks import to_numpy
from consilience.models._network import Network, States
from consilience.models._registry import model, package_folder
from consilience.models._symmetry import SymmetryFunctions, read_symmetry_functions

HARTREE = 27.211386245988  # eV, CODATA 2018
SYMBOLS = {1: "H", 6: "C", 7: "N", 8: "O"}
DEPTH = 3


@model(
    name="ani-1x",
    summary="one network per element on symmetry functions; first network of the ensemble",
    family="ANI",
    architecture="symmetry functions and MLP",
    modality="3D",
    embedding="invariant",
    representation="atoms",
    width=384,
    parameters=326_660,
    training_data="ANI-1x",
    training_size=4_956_005,
    theory="wB97X/6-31G(d)",
    license="MIT",
    weights="package torchani 2.1.1, read as a folder of numbers",
    package="torchani==2.1.1",
    requires=("torch", "ase", "torchani"),
    install="pip install torch ase && pip install --no-deps torchani==2.1.1",
    seconds_per_1k=1.0,
    checkpoint="train0",
    elements=frozenset(SYMBOLS),
)
def load(*, checkpoint: str, device: str) -> Network:
    """Read one network of the ensemble from its NeuroChem files.

    The package itself is not imported: it wants parts of setuptools that are gone.
    """
    folder = package_folder("torchani") / "resources" / "ani-1x_8x"
    functions = read_symmetry_functions(folder / "rHCNO-5.2R_16-3.5A_a4-8.params")
    lines = (folder / "sae_linfit.dat").read_text(encoding="ascii").split()
    references = {line.partition(",")[0]: float(line.partition("=")[2]) for line in lines}
    networks = folder / checkpoint / "networks"
    return ElementNetworks(
        functions=functions,
        networks=[_read_network(networks, s).to(device).eval() for s in functions.species],
        references=references,
        device=device,
    )


def _read_network(folder: Path, symbol: str) -> Any:
    """Build the network of an element; the sizes of its files are those of its layers."""
    import torch

    parts: list[Any] = []
    for number in range(1, DEPTH + 2):
        stem = f"ANN-{symbol}.nnf-l{number}"
        bias = np.fromfile(folder / f"{stem}.bparam", dtype="<f4")
        weight = np.fromfile(folder / f"{stem}.wparam", dtype="<f4").reshape(len(bias), -1)
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        parts += [linear, torch.nn.CELU(alpha=0.1)]
    return torch.nn.Sequential(*parts[:-1])


@dataclass(frozen=True)
class ElementNetworks:
    """Four networks, one per element, that have no hidden space in common.

    So a state is four blocks side by side, H, C, N, O: the block of the atom's own element
    holds its hidden state, the others zeros. The mean over atoms then is, block by block, the
    mean state of the element times its share of the atoms. "symmetry-functions" is the input,
    the same 384 functions for all elements.
    """

    functions: SymmetryFunctions
    networks: Sequence[Any]
    references: dict[str, float]
    device: str

    @property
    def layers(self) -> tuple[str, ...]:
        return ("symmetry-functions", *(f"layer-{i + 1}" for i in range(DEPTH)))

    def run(self, values: Sequence[Atoms], layers: Sequence[str]) -> States:
        import torch

        symbols = [[SYMBOLS[number] for number in atoms.numbers.tolist()] for atoms in values]
        kinds = [np.array([self.functions.species.index(s) for s in each]) for each in symbols]
        with torch.inference_mode():
            inputs = torch.cat(
                [self.functions(a, k, self.device) for a, k in zip(values, kinds, strict=True)]
            )
            states, energies = self._forward(inputs, torch.tensor(np.concatenate(kinds)))
        ends = np.cumsum([len(atoms) for atoms in values])[:-1]
        by_atom = np.split(to_numpy(energies).astype(np.float64), ends)
        references = [sum(self.references[symbol] for symbol in each) for each in symbols]
        hartree = [part.sum() + r for part, r in zip(by_atom, references, strict=True)]
        return States(
            {layer: np.split(to_numpy(states[layer]), ends) for layer in layers},
            {"energy_ev": np.array(hartree) * HARTREE},
        )

    def _forward(self, inputs: Any, kinds: Any) -> tuple[dict[str, Any], Any]:
        """Return the states of all atoms, layer by layer, and their energies in hartree."""
        import torch

        blocks: list[list[Any]] = [[] for _ in range(DEPTH)]
        energies = inputs.new_zeros(len(inputs))
        for kind, network in enumerate(self.networks):
            mine = (kinds == kind).nonzero().flatten().to(self.device)
            state = inputs[mine]
            for layer in range(DEPTH):
                # Linear, then its activation.
                state = network[2 * layer + 1](network[2 * layer](state))
                block = inputs.new_zeros(len(inputs), state.shape[1])
                block[mine] = state
                blocks[layer].append(block)
            energies[mine] = network[2 * DEPTH](state).flatten()
        hidden = [torch.cat(parts, dim=1) for parts in blocks]
        return dict(zip(self.layers, (inputs, *hidden), strict=True)), energies
