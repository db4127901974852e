"""Small molecules that occur in structures of the Protein Data Bank."""

from __future__ import annotations

from consilience.datasets._components import components
from consilience.datasets._gather import Sample, gather
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples


@dataset(
    name="ccd",
    summary="components of the Protein Data Bank: ligands, amino acids, sugars, drugs, in 3D",
    modality="molecules",
    columns=("smiles", "atoms", "name"),
    license="CC0-1.0",
    package="biotite==1.6.0",
    requires=("biotite", "rdkit"),
    citation="Westbrook et al., Bioinformatics 31, 1274 (2015)",
)
def load(n: int | None = None, seed: int = 0) -> Samples:
    """Load components, or a random sample of them.

    Parameters
    ----------
    n : int, optional
        How many to draw; by default all, in about a minute.
    seed : int
        Fixes the order of drawing; only what is drawn is turned into SMILES.

    Returns
    -------
    Samples
        Ids such as "ccd-ATP", columns "smiles" (canonical, with stereochemistry), "atoms" (ideal
        coordinates of all atoms, hydrogens too, total formal charge) and "name". Released
        components of 5 to 50 heavy atoms (B, C, N, O, F, Si, P, S, Cl, Se, Br, I) with all
        coordinates are drawn from; one whose atoms do not make a single closed-shell molecule is
        skipped and counted.

    Raises
    ------
    ValueError
        If there are fewer than n.
    """
    table = components()

    def read(i: int) -> list[Sample | None]:
        smiles = table.smiles(i)
        if smiles is None:
            return [None]
        columns = {"smiles": smiles, "atoms": table.atoms(i), "name": str(table.names[i])}
        return [Sample(f"ccd-{table.ids[i]}", columns)]

    return gather(read, len(table), n=n, seed=seed, source="ccd", what="components")
