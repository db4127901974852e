"""Proteins of the user's own as mmCIF files, as the Protein Data Bank gives them."""

from __future__ import annotations

from pathlib import Path

from consilience.datasets._gather import gather
from consilience.datasets._open import files_in
from consilience.datasets._proteins import chain_name, chains, read_cif
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples

ENDINGS = (".cif", ".mmcif", ".bcif", ".cif.gz", ".mmcif.gz", ".bcif.gz")


@dataset(
    name="mmcif",
    summary="your own proteins: an mmCIF file or a folder of them, a sample for each chain",
    modality="proteins",
    columns=("structure", "sequence"),
    license="yours",
    requires=("biotite",),
    citation="",
    takes_path=True,
)
def load(n: int | None = None, seed: int = 0, *, path: str | Path) -> Samples:
    """Load the protein chains of mmCIF files.

    Parameters
    ----------
    n : int, optional
        How many chains; by default all, in the order of the names of the files. Otherwise files
        are drawn, and all their chains taken, until there are n.
    seed : int
        Fixes the order of drawing; only the files drawn are read.
    path : path
        A file ending in .cif, .mmcif or .bcif (binary), also packed (.gz), or a folder with such
        files anywhere below it.

    Returns
    -------
    Samples
        Ids such as "1ABC_A", chains as the authors name them, columns "structure" and "sequence".
        Of a file the first model is read. Residues without all of N, CA, C and O are left out of
        both columns; a chain without a single whole residue and a file that cannot be read are
        skipped and counted.

    Raises
    ------
    ValueError
        If there is no such file, or too few chains, or the same id in two files.
    """
    files = files_in(path, ENDINGS, "mmCIF files")
    return gather(
        lambda i: chains(files[i], read_cif, chain_name(files[i])),
        len(files),
        n=n,
        seed=seed,
        source=str(path),
        what="protein chains",
    )
