"""Symmetry functions of atomic environments.

Reference: Smith, Isayev, Roitberg, Chem. Sci. 8, 3192 (2017), after Behler and Parrinello,
Phys. Rev. Lett. 98, 146401 (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.datasets import Atoms


@dataclass(frozen=True)
class SymmetryFunctions:
    """Radial functions per neighbour species, angular ones per pair of species.

    Radial, for neighbours of one species at distance r:
    Σ ¼ exp(-η_r (r - s)²) f(r). Angular, for pairs of neighbours with angle θ:
    Σ 2 ((1 + cos(θ - s_z)) / 2)^ζ exp(-η_a ((r₁ + r₂)/2 - s_a)²) f(r₁) f(r₂). f is the cosine
    cutoff; θ is taken from 0.95 cos θ, as in the program that the networks were trained with.

    Attributes
    ----------
    species : tuple of str
    r_radial, r_angular : float
        Cutoffs in ångström.
    eta_radial, eta_angular, zeta : float
    shift_radial, shift_angular, shift_angle : tuple of float
    """

    species: tuple[str, ...]
    r_radial: float
    r_angular: float
    eta_radial: float
    eta_angular: float
    zeta: float
    shift_radial: tuple[float, ...]
    shift_angular: tuple[float, ...]
    shift_angle: tuple[float, ...]

    def __call__(self, atoms: Atoms, kinds: NDArray[np.int64], device: str) -> Any:
        """Return float32 of shape (n_atoms, n_functions); `kinds` are places in `species`."""
        import torch

        center, other, vectors = near_pairs(atoms, self.r_radial)
        kind = torch.tensor(kinds, device=device)
        inner = np.linalg.norm(vectors, axis=1) <= self.r_angular
        first, second = pairs_of_pairs(center[inner])
        angular = self._angular(
            torch.tensor(center[inner], device=device)[first],
            torch.tensor(other[inner], device=device),
            torch.tensor(vectors[inner], dtype=torch.float32, device=device),
            (torch.tensor(first, device=device), torch.tensor(second, device=device)),
            kind,
        )
        radial = self._radial(
            torch.tensor(center, device=device),
            torch.tensor(other, device=device),
            torch.tensor(vectors, dtype=torch.float32, device=device),
            kind,
        )
        return torch.cat([radial, angular], dim=1)

    def _radial(self, center: Any, other: Any, vectors: Any, kind: Any) -> Any:
        import torch

        distance = vectors.norm(dim=1)[:, None]
        shift = torch.tensor(self.shift_radial, device=vectors.device)
        terms = torch.exp(-self.eta_radial * (distance - shift) ** 2) / 4
        terms = terms * _cutoff(distance, self.r_radial)
        return self._sum(terms, center, kind[other], len(self.species), len(kind))

    def _angular(
        self, center: Any, other: Any, vectors: Any, pairs: tuple[Any, Any], kind: Any
    ) -> Any:
        import torch

        first, second = pairs
        distance = vectors.norm(dim=1)
        one, two = vectors[first], vectors[second]
        cosine = torch.nn.functional.cosine_similarity(one, two, dim=1)
        angle = torch.acos(0.95 * cosine)[:, None, None]
        mean = ((distance[first] + distance[second]) / 2)[:, None, None]
        shift_angle = torch.tensor(self.shift_angle, device=vectors.device)
        shift = torch.tensor(self.shift_angular, device=vectors.device)[:, None]
        terms = 2 * ((1 + torch.cos(angle - shift_angle)) / 2) ** self.zeta
        terms = terms * torch.exp(-self.eta_angular * (mean - shift) ** 2)
        f = _cutoff(distance, self.r_angular)
        terms = terms.flatten(1) * (f[first] * f[second])[:, None]
        low = torch.minimum(kind[other[first]], kind[other[second]])
        high = torch.maximum(kind[other[first]], kind[other[second]])
        n = len(self.species)
        # Pairs of species in the order (0, 0), (0, 1), …, (1, 1), …
        place = low * n - low * (low - 1) // 2 + high - low
        return self._sum(terms, center, place, n * (n + 1) // 2, len(kind))

    @staticmethod
    def _sum(terms: Any, center: Any, place: Any, n_places: int, n_atoms: int) -> Any:
        total = terms.new_zeros(n_atoms * n_places, terms.shape[1])
        total.index_add_(0, center * n_places + place, terms)
        return total.reshape(n_atoms, -1)


def _cutoff(distance: Any, radius: float) -> Any:
    return (distance * (math.pi / radius)).cos() / 2 + 0.5


def near_pairs(
    atoms: Atoms, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return atoms i, their neighbours j within `radius`, and the vectors from i to j.

    Sorted by i; images of periodic atoms count as neighbours.
    """
    if any(atoms.pbc):
        from ase.neighborlist import primitive_neighbor_list

        i, j, vectors = primitive_neighbor_list(
            "ijD", atoms.pbc, atoms.cell, atoms.positions, radius
        )
        return i, j, vectors
    vectors = atoms.positions[None] - atoms.positions[:, None]
    near = np.linalg.norm(vectors, axis=-1) <= radius
    np.fill_diagonal(near, False)
    i, j = near.nonzero()
    return i, j, vectors[i, j]


def pairs_of_pairs(
    center: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places p < q in a sorted list that share their value, every pair once."""
    end = np.searchsorted(center, center, side="right")
    partners = end - np.arange(len(center)) - 1
    first = np.repeat(np.arange(len(center)), partners)
    before = np.cumsum(partners) - partners
    second = first + 1 + np.arange(len(first)) - np.repeat(before, partners)
    return first, second


def read_symmetry_functions(path: Path) -> SymmetryFunctions:
    """Read the parameter file of NeuroChem: lines of ``name = number or [list]``."""
    lines = (line.partition("=") for line in path.read_text(encoding="ascii").splitlines())
    found = {name.strip(): value.strip() for name, equals, value in lines if equals}

    def numbers(name: str) -> tuple[float, ...]:
        return tuple(float(number) for number in found[name].strip("[]").split(","))

    return SymmetryFunctions(
        species=tuple(symbol.strip() for symbol in found["Atyp"].strip("[]").split(",")),
        r_radial=float(found["Rcr"]),
        r_angular=float(found["Rca"]),
        eta_radial=numbers("EtaR")[0],
        eta_angular=numbers("EtaA")[0],
        zeta=numbers("Zeta")[0],
        shift_radial=numbers("ShfR"),
        shift_angular=numbers("ShfA"),
        shift_angle=numbers("ShfZ"),
    )
