"""Protein chains of the Protein Data Bank, each in a file of its own."""

from __future__ import annotations

from consilience.datasets._archives import ARCHIVES
from consilience.datasets._gather import gather
from consilience.datasets._open import files_in, stem
from consilience.datasets._proteins import chains, read_pdb
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples

ARCHIVE = "mdanalysistests"


@dataset(
    name="pdb-chains",
    summary="50 protein chains of 79 to 173 residues, crystal structures",
    modality="proteins",
    columns=("structure", "sequence"),
    license="CC0-1.0",
    archive=ARCHIVE,
    requires=("biotite",),
    citation="Berman et al., Nucleic Acids Res. 28, 235 (2000); files of MDAnalysisTests",
)
def load(n: int | None = None, seed: int = 0) -> Samples:
    """Load the chains, or a random sample of them.

    Parameters
    ----------
    n : int, optional
        How many to draw; by default all 50.
    seed : int
        Fixes the order of drawing.

    Returns
    -------
    Samples
        Ids such as "1AHS_A", columns "structure" (N, CA, C, O in ångström) and "sequence" (the
        residues that are in the structure).

    Raises
    ------
    ValueError
        If there are fewer than n.
    """
    files = files_in(ARCHIVES[ARCHIVE].folder, (".pdb.gz",), "PDB files")

    def name(i: int) -> str:
        text = stem(files[i])
        return f"{text[:4].upper()}_{text[4:]}"

    return gather(
        lambda i: chains(files[i], read_pdb, lambda _: name(i)),
        len(files),
        n=n,
        seed=seed,
        source="pdb-chains",
        what="chains",
    )
