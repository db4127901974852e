"""Molecules of the user's own, one SMILES a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples
from consilience.datasets._smiles import canonical


@dataset(
    name="smiles_file",
    summary="your own molecules: one SMILES a line, optionally followed by an id",
    modality="molecules",
    columns=("smiles",),
    license="yours",
    requires=("rdkit",),
    citation="",
    takes_path=True,
)
def load(n: int | None = None, seed: int = 0, *, path: str | Path) -> Samples:
    """Load molecules from a text file.

    Parameters
    ----------
    n : int, optional
        How many molecules to draw; by default all, in the order of the file.
    seed : int
        Fixes which n are drawn.
    path : path
        Lines of ``SMILES`` or ``SMILES id``; empty lines and lines that begin with # are
        passed over. Without an id a molecule is called by the file and its line.

    Returns
    -------
    Samples
        Column "smiles" (canonical). Molecules RDKit cannot read are skipped and counted.

    Raises
    ------
    ValueError
        If the file cannot be read, has too few molecules, or an id twice.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
    ids: list[str] = []
    smiles: list[str] = []
    n_skipped = 0
    for number, line in enumerate(lines, start=1):
        text, _, name = line.strip().replace("\t", " ").partition(" ")
        if not text or text.startswith("#"):
            continue
        readable = canonical(text)
        if readable is None:
            n_skipped += 1
            continue
        ids.append(name.strip() or f"{file.stem}-{number:06d}")
        smiles.append(readable)
    chosen = np.arange(len(ids))
    if n is not None:
        if n > len(ids):
            raise ValueError(f"{file} has {len(ids)} readable molecules, {n} were asked for")
        chosen = np.random.default_rng(seed).permutation(len(ids))[:n]
    if not len(chosen):
        raise ValueError(f"{file} has no readable molecule; {n_skipped} lines were skipped")
    return Samples(
        ids=tuple(ids[i] for i in chosen),
        columns={"smiles": [smiles[i] for i in chosen]},
        n_skipped=n_skipped,
    )
