"""SMILES by RDKit, quietly."""

from __future__ import annotations


def canonical(smiles: str) -> str | None:
    """Return the canonical SMILES, or None if RDKit cannot read the molecule."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    return str(Chem.MolToSmiles(molecule))
