"""Atoms as ASE has them, as ours."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.datasets._samples import Atoms

# ASE moves "energy" into a calculator; the second is common in files for training potentials.
ENERGY_KEYS = ("energy", "REF_energy")


def from_ase(atoms: Any, charge: int = 0) -> Atoms:
    """Return our `Atoms` of an ``ase.Atoms``.

    Raises
    ------
    ValueError
        If there is no atom, an element is unknown or a number is not finite.
    """
    cell = np.array(atoms.cell, np.float64)
    positions = np.array(atoms.positions, np.float64)
    numbers = np.array(atoms.numbers, np.int64)
    if not len(numbers) or numbers.min() < 1:
        raise ValueError("there is no atom, or one of no element")
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        raise ValueError("a coordinate is not finite")
    periodic = (bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2]))
    return Atoms(numbers, positions, cell if any(periodic) else None, periodic, charge)


def energy_of(atoms: Any) -> dict[str, float]:
    """Return the label "energy_ev" of an ``ase.Atoms``, or no label if it has no energy.

    Raises
    ------
    ValueError
        If the energy is not finite or said to be in a unit other than eV.
    """
    results = {} if atoms.calc is None else atoms.calc.results
    known = [found[key] for key in ENERGY_KEYS for found in (results, atoms.info) if key in found]
    if not known:
        return {}
    unit = atoms.info.get("energy_unit", "eV")
    energy = float(known[0])
    if unit != "eV" or not np.isfinite(energy):
        raise ValueError(f"the energy must be a number of eV, got {energy} {unit}")
    return {"energy_ev": energy}


def charge_of(info: Any) -> int:
    """Return the total charge that is noted, or 0."""
    return round(float(info.get("charge", 0)))
