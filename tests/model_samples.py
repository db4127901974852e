"""Molecules and a crystal, without the packages that ship datasets."""

import json
from pathlib import Path

import numpy as np

from consilience.datasets import Atoms, Samples

HERE = Path(__file__).parent / "models"


def eight_molecules(order=range(8)):
    """Return molecules of QM9."""
    molecules = json.loads((HERE / "molecules.json").read_text())
    chosen = [molecules[i] for i in order]
    atoms = [Atoms(np.array(m["numbers"]), np.array(m["positions"])) for m in chosen]
    return Samples(
        ids=tuple(molecule["id"] for molecule in chosen),
        columns={"smiles": [molecule["smiles"] for molecule in chosen], "atoms": atoms},
    )


def rock_salt(repeat=(1, 1, 1)):
    """Return a primitive cell of sodium chloride, repeated along its vectors."""
    a = 5.64
    cell = a / 2 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    shifts = np.array(list(np.ndindex(*repeat))) @ cell
    basis = np.array([[0.0, 0.0, 0.0], [a / 2, 0.03, 0.0]])  # off its place: a force acts
    positions = (shifts[:, None] + basis).reshape(-1, 3)
    return Atoms(
        numbers=np.tile([11, 17], len(shifts)),
        positions=positions,
        cell=cell * np.array(repeat)[:, None],
        pbc=(True, True, True),
    )


def turned(atoms):
    """Return the same atoms, turned and moved."""
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    rotation *= np.linalg.det(rotation)
    cell = None if atoms.cell is None else atoms.cell @ rotation
    return Atoms(atoms.numbers, atoms.positions @ rotation + 0.7, cell=cell, pbc=atoms.pbc)
