"""Main chains of the proteins in structure files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets._gather import Sample
from consilience.datasets._open import read_text, stem
from consilience.datasets._samples import Backbone

LETTERS = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E",
    "GLY": "G", "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F",
    "PRO": "P", "SER": "S", "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V",
    # Selenium in the place of sulphur, put there to solve the structure.
    "MSE": "M",
}  # fmt: skip
BACKBONE = ("N", "CA", "C", "O")


def chains(
    path: Path, read: Callable[[Path], Any], name: Callable[[str], str]
) -> list[Sample | None]:
    """Return the protein chains of a file.

    Parameters
    ----------
    path : Path
    read : callable
        Gives the first model of a file as a biotite ``AtomArray``.
    name : callable
        Makes the id of a sample out of the name of its chain.

    Returns
    -------
    list of Sample or None
        Columns "structure" and "sequence"; None for a chain without one whole main chain
        residue, or, once, for a file that cannot be read. Chains without amino acids, such as
        water and nucleic acids, are no samples.
    """
    # biotite raises whatever a broken file makes its parser stumble over.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = read(path)
    except Exception:
        return [None]
    found: list[Sample | None] = []
    for chain, part in _proteins(atoms):
        structure = _backbone(part)
        if structure is None:
            found.append(None)
            continue
        columns = {"structure": structure, "sequence": structure.sequence}
        found.append(Sample(name(chain), columns))
    return found


def read_pdb(path: Path) -> Any:
    """Return the first model of a PDB file, of alternative places the one taken most."""
    from biotite.structure.io import pdb

    file = pdb.PDBFile.read(StringIO(read_text(path)))
    return file.get_structure(model=1, altloc="occupancy")


def read_cif(path: Path) -> Any:
    """Return the first model of an mmCIF or BinaryCIF file, chains as the authors name them."""
    import gzip

    from biotite.structure.io import pdbx

    name = path.name.lower()
    if ".bcif" in name:
        content = path.read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
        file = pdbx.BinaryCIFFile.read(BytesIO(content))
    else:
        file = pdbx.CIFFile.read(StringIO(read_text(path)))
    return pdbx.get_structure(file, model=1, altloc="occupancy")


def _proteins(atoms: Any) -> Iterator[tuple[str, Any]]:
    from biotite.structure import filter_amino_acids

    atoms = atoms[filter_amino_acids(atoms)]
    for chain in dict.fromkeys(atoms.chain_id.tolist()):
        part = atoms[atoms.chain_id == chain]
        ordinary = np.flatnonzero(~part.hetero)
        if len(ordinary):
            # Amino acids that are not bound into the chain come after it, as ligands do.
            yield chain, part[: ordinary[-1] + 1]


def _backbone(chain: Any) -> Backbone | None:
    """Return the residues of a chain that have all four atoms, in order."""
    from biotite.structure import get_residue_starts

    starts = get_residue_starts(chain, add_exclusive_stop=True)
    letters, places = [], []
    for first, end in pairwise(starts):
        rows = {name: k for k, name in enumerate(chain.atom_name[first:end].tolist(), int(first))}
        coordinates = chain.coord[[rows[name] for name in BACKBONE if name in rows]]
        if len(coordinates) == len(BACKBONE) and np.isfinite(coordinates).all():
            letters.append(LETTERS.get(str(chain.res_name[first]), "X"))
            places.append(coordinates)
    if not letters:
        return None
    return Backbone("".join(letters), np.array(places, np.float32))


def chain_name(path: Path) -> Callable[[str], str]:
    """Return what makes ids such as "1ABC_A": the entry, or else the file, and the chain."""
    entry = re.fullmatch(r"(?:pdb)?(\d[a-z\d]{3})", stem(path), re.IGNORECASE)
    return lambda chain: f"{entry[1].upper() if entry else stem(path)}_{chain or 'A'}"
