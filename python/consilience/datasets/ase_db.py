"""Structures of the user's own in ASE databases: OMat24, sAlex, OMol25 and others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from consilience.datasets._ase import charge_of, from_ase
from consilience.datasets._gather import Sample, gather
from consilience.datasets._open import files_in
from consilience.datasets._registry import dataset
from consilience.datasets._rows import ENDINGS, Rows
from consilience.datasets._samples import Samples


@dataset(
    name="ase_db",
    summary="ASE databases (.db, .aselmdb) such as OMat24, sAlex or OMol25, a file or a folder",
    modality="structures",
    columns=("atoms",),
    license="yours",
    requires=("ase", "lmdb"),
    citation="",
    takes_path=True,
)
def load(n: int | None = None, seed: int = 0, *, path: str | Path) -> Samples:
    """Load structures from ASE databases.

    Parameters
    ----------
    n : int, optional
        How many to draw; by default all, in the order of the files and rows.
    seed : int
        Fixes which n are drawn; of millions of rows only those drawn are read.
    path : path
        A file ending in .db (SQLite) or .aselmdb (LMDB), or a folder with such files anywhere
        below it.

    Returns
    -------
    Samples
        Ids such as "data0001-17" (the file, below the folder if one was given, and the number of
        the row), column "atoms" with the charge noted in the row, label "energy_ev" if every row
        drawn has an energy. A row that cannot be read is skipped and counted.

    Raises
    ------
    ValueError
        If there is no such file, one is no database, or there are too few rows.
    """
    place = Path(path)
    files = [Rows(file) for file in files_in(place, ENDINGS, "ASE databases")]
    ends = np.cumsum([len(rows) for rows in files])
    base = place if place.is_dir() else place.parent

    def read(i: int) -> list[Sample | None]:
        which = int(np.searchsorted(ends, i, side="right"))
        rows = files[which]
        k = i - int(ends[which]) + len(rows)
        file = rows.path.relative_to(base).with_suffix("").as_posix()
        return [_sample(rows, k, f"{file}-{rows.ids[k]}")]

    return gather(read, int(ends[-1]), n=n, seed=seed, source=str(place), what="structures")


def _sample(rows: Rows, k: int, name: str) -> Sample | None:
    # A row may be broken in as many ways as there are fields.
    try:
        row = rows.row(k)
        atoms = from_ase(row.toatoms(), _charge(row))
        return Sample(name, {"atoms": atoms}, _energy(row))
    except Exception:
        return None


def _charge(row: Any) -> int:
    """Return the total charge: OMol25 notes it in `data`, ASE sums the charges of the atoms."""
    return charge_of({"charge": row.get("charge", 0), **row.data})


def _energy(row: Any) -> dict[str, float]:
    energy = row.get("energy")
    if energy is None:
        return {}
    if not np.isfinite(energy):
        raise ValueError(f"the energy is {energy}")
    return {"energy_ev": float(energy)}
