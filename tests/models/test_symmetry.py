"""Symmetry functions equal their definition, written out over atoms and pairs."""

from itertools import combinations
from math import cos, exp, pi

import numpy as np
import pytest

from consilience.datasets import Atoms
from consilience.models._symmetry import (
    SymmetryFunctions,
    near_pairs,
    pairs_of_pairs,
    read_symmetry_functions,
)
from model_samples import eight_molecules

FUNCTIONS = SymmetryFunctions(
    species=("H", "C", "N", "O"),
    r_radial=5.2,
    r_angular=3.5,
    eta_radial=16.0,
    eta_angular=8.0,
    zeta=32.0,
    shift_radial=(0.9, 1.7, 2.5),
    shift_angular=(0.9, 2.2),
    shift_angle=(0.2, 1.4, 2.9),
)
KIND = {1: 0, 6: 1, 7: 2, 8: 3}


def by_definition(atoms, kinds, f):
    def cutoff(r, radius):
        return 0.5 * cos(pi * r / radius) + 0.5

    n = len(f.species)
    places = {pair: i for i, pair in enumerate((a, b) for a in range(n) for b in range(a, n))}
    rows = []
    for i in range(len(atoms)):
        radial = np.zeros((n, len(f.shift_radial)))
        angular = np.zeros((len(places), len(f.shift_angular), len(f.shift_angle)))
        vectors = atoms.positions - atoms.positions[i]
        r = np.linalg.norm(vectors, axis=1)
        for j in range(len(atoms)):
            if j == i or r[j] > f.r_radial:
                continue
            for s, shift in enumerate(f.shift_radial):
                term = exp(-f.eta_radial * (r[j] - shift) ** 2) * cutoff(r[j], f.r_radial)
                radial[kinds[j], s] += 0.25 * term
        near = [j for j in range(len(atoms)) if j != i and r[j] <= f.r_angular]
        for j, k in combinations(near, 2):
            angle = np.arccos(0.95 * vectors[j] @ vectors[k] / (r[j] * r[k]))
            place = places[tuple(sorted((kinds[j], kinds[k])))]
            for a, shift in enumerate(f.shift_angular):
                for z, turn in enumerate(f.shift_angle):
                    angular[place, a, z] += (
                        2
                        * ((1 + cos(angle - turn)) / 2) ** f.zeta
                        * exp(-f.eta_angular * ((r[j] + r[k]) / 2 - shift) ** 2)
                        * cutoff(r[j], f.r_angular)
                        * cutoff(r[k], f.r_angular)
                    )
        rows.append(np.concatenate([radial.ravel(), angular.ravel()]))
    return np.array(rows)


@pytest.mark.parametrize("sample", [0, 3, 5])
def test_functions_are_their_definition(sample):
    pytest.importorskip("torch", reason="torch is not installed")
    atoms = eight_molecules().columns["atoms"][sample]
    kinds = np.array([KIND[number] for number in atoms.numbers])
    found = FUNCTIONS(atoms, kinds, "cpu").numpy()
    np.testing.assert_allclose(found, by_definition(atoms, kinds, FUNCTIONS), atol=2e-5)


def test_images_of_periodic_atoms_are_neighbours():
    pytest.importorskip("ase", reason="ase is not installed")
    atom = Atoms(np.array([6]), np.zeros((1, 3)), cell=np.eye(3) * 2.0, pbc=(True, True, False))
    center, other, vectors = near_pairs(atom, 2.5)
    assert center.tolist() == other.tolist() == [0] * 4
    np.testing.assert_allclose(np.abs(vectors).sum(axis=1), 2.0)
    assert not vectors[:, 2].any()


def test_every_pair_with_the_same_centre_comes_once():
    center = np.array([0, 0, 0, 2, 5, 5])
    first, second = pairs_of_pairs(center)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {
        (0, 1),
        (0, 2),
        (1, 2),
        (4, 5),
    }
    assert len(first) == 4


def test_a_parameter_file_is_read(tmp_path):
    lines = [
        "TM = 1",
        "Rcr = 5.2000e+00",
        "Rca = 3.5000e+00",
        "EtaR = [1.6e+01]",
        "ShfR = [9.0e-01,1.7e+00,2.5e+00]",
        "Zeta = [3.2e+01]",
        "ShfZ = [0.2,1.4,2.9]",
        "EtaA = [8.0]",
        "ShfA = [0.9,2.2]",
        "Atyp = [H,C,N,O]",
    ]
    (tmp_path / "a.params").write_text("\n".join(lines))
    assert read_symmetry_functions(tmp_path / "a.params") == FUNCTIONS
