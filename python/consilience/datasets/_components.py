"""The chemical components of the Protein Data Bank, as tables, and one of them as a molecule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.datasets._samples import Atoms

ATOMIC_NUMBER = {
    symbol: number
    for number, symbol in (
        (1, "H"), (5, "B"), (6, "C"), (7, "N"), (8, "O"), (9, "F"), (14, "SI"),
        (15, "P"), (16, "S"), (17, "CL"), (34, "SE"), (35, "BR"), (53, "I"),
    )
}  # fmt: skip
HEAVY_ATOMS = (5, 50)
ORDERS = {"SING": 1, "DOUB": 2, "TRIP": 3}


@dataclass(frozen=True, eq=False)
class Components:
    """Tables of components, atoms and bonds; those of component i are at spans[i].

    Attributes
    ----------
    ids, names : array of str of shape (n_components,)
    numbers : int64 array of shape (n_atoms,)
    positions : float64 array of shape (n_atoms, 3)
    charges : int64 array of shape (n_atoms,)
        Formal.
    atom_names : array of str of shape (n_atoms,)
    bonded : array of str of shape (n_bonds, 2)
        Names of atoms.
    orders : array of str of shape (n_bonds,)
    atom_spans, bond_spans : int64 array of shape (n_components, 2)
        First row and the row after the last.
    """

    ids: NDArray[np.str_]
    names: NDArray[np.str_]
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    charges: NDArray[np.int64]
    atom_names: NDArray[np.str_]
    bonded: NDArray[np.str_]
    orders: NDArray[np.str_]
    atom_spans: NDArray[np.int64]
    bond_spans: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def atoms(self, i: int) -> Atoms:
        """Return component i in space."""
        part = slice(*self.atom_spans[i])
        charge = int(self.charges[part].sum())
        return Atoms(self.numbers[part], self.positions[part], charge=charge)

    def smiles(self, i: int) -> str | None:
        """Return the canonical SMILES, or None if the atoms make no closed-shell molecule.

        The stereochemistry is that of the coordinates.
        """
        from rdkit import Chem, rdBase

        with rdBase.BlockLogs():
            try:
                molecule = self._molecule(i)
                Chem.SanitizeMol(molecule)
            except (KeyError, ValueError, RuntimeError):
                return None
            open_shell = any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
            if open_shell or len(Chem.GetMolFrags(molecule)) != 1:
                return None
            Chem.AssignStereochemistryFrom3D(molecule)
            return str(Chem.MolToSmiles(Chem.RemoveHs(molecule)))

    def _molecule(self, i: int) -> Any:
        from rdkit import Chem
        from rdkit.Geometry import Point3D

        first, end = self.atom_spans[i]
        molecule, shape = Chem.RWMol(), Chem.Conformer(int(end - first))
        for row in range(first, end):
            atom = Chem.Atom(int(self.numbers[row]))
            atom.SetFormalCharge(int(self.charges[row]))
            # All hydrogens are in the table; a gap must not be filled in silence.
            atom.SetNoImplicit(True)
            molecule.AddAtom(atom)
            shape.SetAtomPosition(int(row - first), Point3D(*self.positions[row].tolist()))
        index = {str(name): k for k, name in enumerate(self.atom_names[first:end])}
        for row in range(*self.bond_spans[i]):
            a, b = (index[str(name)] for name in self.bonded[row])
            molecule.AddBond(a, b, Chem.BondType.values[ORDERS[str(self.orders[row])]])
        molecule.AddConformer(shape)
        return molecule


def components() -> Components:
    """Read the dictionary of components and leave out what no molecule can be made of.

    What stays is released, has ideal coordinates of all atoms, 5 to 50 heavy atoms, and only the
    elements of `ATOMIC_NUMBER`.
    """
    from biotite.structure.info import get_ccd

    block = get_ccd()
    table, atoms, bonds = (block[f"chem_comp{part}"] for part in ("", "_atom", "_bond"))
    ids = table["id"].as_array(str)
    spans = _spans(ids, atoms["comp_id"].as_array(str))
    bond_spans = _spans(ids, bonds["comp_id"].as_array(str))
    ideal = [atoms[f"pdbx_model_Cartn_{axis}_ideal"] for axis in "xyz"]
    numbers = _numbers(atoms["type_symbol"].as_array(str))
    whole = (numbers > 0) & ~np.any([_absent(column) for column in ideal], axis=0)
    heavy = _sums(numbers > 1, spans)
    kept = (
        (table["pdbx_release_status"].as_array(str) == "REL")
        & (_sums(~whole, spans) == 0)
        & (heavy >= HEAVY_ATOMS[0])
        & (heavy <= HEAVY_ATOMS[1])
    )
    return Components(
        ids=ids[kept],
        names=table["name"].as_array(str)[kept],
        numbers=numbers,
        positions=np.stack([column.as_array(np.float64, np.nan) for column in ideal], axis=1),
        charges=atoms["charge"].as_array(np.int64, 0),
        atom_names=atoms["atom_id"].as_array(str),
        bonded=np.stack([bonds[f"atom_id_{end}"].as_array(str) for end in (1, 2)], axis=1),
        orders=bonds["value_order"].as_array(str),
        atom_spans=spans[kept],
        bond_spans=bond_spans[kept],
    )


def _absent(column: Any) -> NDArray[np.bool_]:
    if column.mask is None:
        return np.zeros(len(column), np.bool_)
    return np.asarray(column.mask.array != 0)


def _numbers(symbols: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return atomic numbers, 0 for elements that are not wanted."""
    known, which = np.unique(symbols, return_inverse=True)
    return np.array([ATOMIC_NUMBER.get(str(s).upper(), 0) for s in known], np.int64)[which]


def _spans(ids: NDArray[np.str_], owners: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return where the rows of each id are; the rows of one stand together."""
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    ends = np.r_[starts[1:], len(owners)]
    rows = dict(zip(owners[starts].tolist(), zip(starts, ends, strict=True), strict=True))
    return np.array([rows.get(name, (0, 0)) for name in ids.tolist()], np.int64)


def _sums(values: NDArray[np.bool_], spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many are true in each span."""
    before = np.r_[0, np.cumsum(values)]
    return np.asarray(before[spans[:, 1]] - before[spans[:, 0]])
