"""QM9: small organic molecules with geometries and energies from density functional theory."""

from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path

import numpy as np

from consilience.datasets._registry import dataset
from consilience.datasets._samples import Atoms, Samples
from consilience.datasets._smiles import canonical

PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
ATOMIC_NUMBER = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
EV_PER_HARTREE = 27.211386245988
LABELS = {
    "energy_0k_hartree": "InternalEnergy_0K_au",
    "gap_hartree": "HOMO_LUMO_gap_au",
    "dipole_debye": "Dipole_debye",
    "polarizability_bohr3": "Polarizability_bohr3",
}


@dataset(
    name="qm9",
    summary="130,831 molecules of up to 9 heavy atoms (C, N, O, F), B3LYP geometries",
    modality="molecules",
    columns=("smiles", "atoms"),
    license="MIT",
    package="qm9pack==1.0.3",
    requires=("qm9pack", "rdkit"),
    citation="Ramakrishnan, Dral, Rupp, von Lilienfeld, Sci. Data 1, 140022 (2014)",
)
def load(n: int | None = None, seed: int = 0) -> Samples:
    """Load QM9, or a random sample of it.

    Parameters
    ----------
    n : int, optional
        How many molecules; all by default.
    seed : int
        Fixes the order in which molecules are drawn, so that the sample of n is the
        beginning of every larger sample with the same seed.

    Returns
    -------
    Samples
        Ids such as "qm9-000123" (the number in QM9), columns "smiles" (canonical) and
        "atoms" (B3LYP coordinates in ångström). Label "energy_ev" is U0, the total internal
        energy at 0 K, in eV (B3LYP/6-31G(2df,p), with the zero-point vibration). Molecules that
        RDKit cannot read are skipped and counted.

    Raises
    ------
    ValueError
        If QM9 has fewer than n readable molecules.
    """
    header, lines = _lines()
    if n is not None and n > len(lines):
        raise ValueError(f"QM9 has {len(lines)} molecules, {n} were asked for")
    order = np.random.default_rng(seed).permutation(len(lines))
    ids: list[str] = []
    smiles: list[str] = []
    atoms: list[Atoms] = []
    labels: dict[str, list[float]] = {name: [] for name in LABELS}
    n_skipped = 0
    for index in order:
        if len(ids) == n:
            break
        row = dict(zip(header, next(csv.reader([lines[index].decode()])), strict=True))
        text = canonical(row["SMILES"])
        if text is None:
            n_skipped += 1
            continue
        ids.append(f"qm9-{int(row['Index']):06d}")
        smiles.append(text)
        atoms.append(_atoms(row["Elements"], row["XYZ_Ang"]))
        for name, column in LABELS.items():
            labels[name].append(float(row[column]))
    if n is not None and len(ids) < n:
        raise ValueError(f"QM9 has {len(ids)} readable molecules, {n} were asked for")
    arrays = {name: np.array(values) for name, values in labels.items()}
    arrays["energy_ev"] = arrays["energy_0k_hartree"] * EV_PER_HARTREE
    return Samples(
        ids=tuple(ids),
        columns={"smiles": smiles, "atoms": atoms},
        labels=arrays,
        n_skipped=n_skipped,
    )


def _lines() -> tuple[list[str], list[bytes]]:
    """Return the column names and the raw lines; only the lines drawn are ever parsed."""
    header: list[str] = []
    lines: list[bytes] = []
    for part in PARTS:
        first, *rest = (_folder() / part).read_bytes().splitlines()
        header = first.decode().split(",")
        lines += rest
    return header, lines


def _folder() -> Path:
    """Find the package without importing it: it needs modules that Python has dropped."""
    spec = importlib.util.find_spec("qm9pack")
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("qm9 needs qm9pack: pip install qm9pack==1.0.3")
    return Path(spec.submodule_search_locations[0]) / "data"


def _atoms(elements: str, positions: str) -> Atoms:
    """Read lists as they are printed in the file; some numbers end in a bare point."""
    symbols = re.findall(r"\w+", elements)
    numbers = np.array([ATOMIC_NUMBER[symbol] for symbol in symbols], dtype=np.int64)
    values = positions.replace("[", "").replace("]", "").split(",")
    return Atoms(numbers, np.array(values, dtype=np.float64).reshape(-1, 3))
