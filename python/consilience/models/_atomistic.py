"""Atoms as interatomic potentials read them."""

from __future__ import annotations

from typing import Any

from consilience.datasets import Atoms


def to_ase(atoms: Atoms, **info: Any) -> Any:
    """Return an ``ase.Atoms`` with `info`."""
    import ase

    return ase.Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc, info=info)


def lowest_multiplicity(atoms: Atoms) -> int:
    """Return 1 for an even number of electrons, else 2; samples do not say their spin."""
    n_electrons = int(atoms.numbers.sum()) - atoms.charge
    return 1 + n_electrons % 2


def check_elements(atoms: Atoms, known: set[int]) -> None:
    """Refuse elements that the weights do not know.

    Raises
    ------
    ValueError
        If there is one; it is named by its atomic number.
    """
    unknown = sorted(set(atoms.numbers.tolist()) - known)
    if unknown:
        raise ValueError(
            f"these weights do not know the elements with atomic numbers {unknown}; "
            "leave such samples out"
        )
