"""Samples in every representation, without the packages that ship datasets."""

import json
from pathlib import Path

import numpy as np

from consilience.datasets import Atoms, Backbone, Samples

HERE = Path(__file__).parent / "models"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
# N, CA, C and O of an alpha helix: radius, angle, height. 100 degrees and 1.5 Å a residue.
HELIX = np.array([(1.55, -28.0, -0.90), (2.28, 0.0, 0.0), (1.65, 26.0, 1.15), (2.05, 22.0, 2.36)])


def eight(representation, order=range(8)):
    """Return eight samples that have the representation."""
    if representation in ("sequence", "structure"):
        return eight_proteins(order)
    return eight_molecules(order)


def eight_molecules(order=range(8)):
    """Return molecules of QM9."""
    molecules = json.loads((HERE / "molecules.json").read_text())
    chosen = [molecules[i] for i in order]
    atoms = [Atoms(np.array(m["numbers"]), np.array(m["positions"])) for m in chosen]
    return Samples(
        ids=tuple(molecule["id"] for molecule in chosen),
        columns={"smiles": [molecule["smiles"] for molecule in chosen], "atoms": atoms},
    )


def eight_proteins(order=range(8)):
    """Return made-up peptides, folded as ideal helices."""
    lengths = [31, 40, 33, 57, 48, 36, 62, 45]
    letters = np.random.default_rng(0).integers(len(RESIDUES), size=(8, max(lengths)))
    sequences = ["".join(RESIDUES[j] for j in letters[i, : lengths[i]]) for i in order]
    return Samples(
        ids=tuple(f"helix-{i}" for i in order),
        columns={
            "sequence": sequences,
            "structure": [Backbone(sequence, helix(len(sequence))) for sequence in sequences],
        },
    )


def helix(n_residues):
    """Return N, CA, C and O of an ideal alpha helix."""
    number = np.arange(n_residues)[:, None]
    radius, angle, height = HELIX.T
    turned = np.deg2rad(angle + 100.0 * number)
    x, y = radius * np.cos(turned), radius * np.sin(turned)
    return np.stack([x, y, height + 1.5 * number], axis=-1).astype(np.float32)


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
