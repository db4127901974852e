"""MOSES: 1.9 million molecules that look like drugs, as SMILES."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from consilience.datasets._gather import Sample, gather
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples
from consilience.datasets._smiles import canonical

PARTS = ("train", "test", "test_scaffolds")


@dataset(
    name="moses",
    summary="1,936,962 drug-like molecules from ZINC, as SMILES",
    modality="molecules",
    columns=("smiles",),
    license="MIT",
    package="molsets==0.3.1",
    no_deps=True,
    requires=("moses", "rdkit"),
    citation="Polykovskiy et al., Front. Pharmacol. 11, 565644 (2020)",
)
def load(n: int | None = None, seed: int = 0) -> Samples:
    """Load MOSES, or a random sample of it.

    Parameters
    ----------
    n : int, optional
        How many molecules to draw; by default all, which takes minutes.
    seed : int
        Fixes the order of drawing.

    Returns
    -------
    Samples
        Ids such as "moses-train-0000012" (the part and its line, counted from 0), column
        "smiles" (canonical). Molecules that RDKit cannot read are skipped and counted.

    Raises
    ------
    ValueError
        If there are fewer than n, or the package is not the one that ships the data.
    """
    parts = [(part, _lines(part)) for part in PARTS]
    ends = np.cumsum([len(lines) for _, lines in parts])

    def read(i: int) -> list[Sample | None]:
        which = int(np.searchsorted(ends, i, side="right"))
        part, lines = parts[which]
        k = i - int(ends[which]) + len(lines)
        smiles = canonical(lines[k].decode())
        if smiles is None:
            return [None]
        return [Sample(f"moses-{part}-{k:07d}", {"smiles": smiles})]

    return gather(read, int(ends[-1]), n=n, seed=seed, source="moses", what="molecules")


def _lines(part: str) -> list[bytes]:
    """Return the SMILES of one part; the package itself needs modules that no longer build."""
    spec = importlib.util.find_spec("moses")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    file = Path(*folders[:1], "dataset", "data", f"{part}.csv.gz")
    if not file.is_file():
        raise ValueError(
            f"moses needs {file.name} of molsets: pip install --no-deps molsets==0.3.1"
        )
    return gzip.decompress(file.read_bytes()).split()[1:]
