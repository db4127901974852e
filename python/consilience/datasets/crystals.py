"""Crystals with energies from density functional theory: the test sets of MatterSim.

Energies are total energies of the cell in eV as the calculation gave them, without the
corrections that the Materials Project adds. (Against CHGNet 0.3.0, which learned corrected
energies, the oxides of "mptrj" differ by 0.69 eV per oxygen atom at the median, which is the
correction of MP2020, and crystals without anions by less than 0.01 eV per atom.)
"""

from __future__ import annotations

from consilience.datasets._archives import ARCHIVES
from consilience.datasets._frames import Frames
from consilience.datasets._gather import gather
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples

ARCHIVE = "mattersim"
MATTERSIM = "Yang et al., arXiv:2405.04967 (2024)"
MPTRJ = f"Deng et al., Nat. Mach. Intell. 5, 1031 (2023); {MATTERSIM}"
ALEXANDRIA = f"Schmidt et al., Adv. Mater. 35, 2210788 (2023); {MATTERSIM}"
# name: file, what the file calls a structure, citation, summary
SETS = {
    "alexandria": (
        "alexandria-random-1k.xyz",
        "alexandria_id",
        ALEXANDRIA,
        "1,000 crystals drawn from Alexandria, PBE energies",
    ),
    "mptrj": (
        "mptrj-random-1k.xyz",
        "mptrj_snapshot_id",
        MPTRJ,
        "1,000 crystals drawn from relaxations of the Materials Project, PBE(+U) energies",
    ),
    "mptrj-stress": (
        "mptrj-highest-stress-1k.xyz",
        "mptrj_snapshot_id",
        MPTRJ,
        "the 1,000 crystals with the highest stress in those relaxations",
    ),
    "mpf-tp": (
        "mpf-TP.xyz",
        "internal_id",
        MATTERSIM,
        "1,069 crystals of the Materials Project, distorted by temperature and pressure",
    ),
    "random-tp": (
        "random-TP.xyz",
        "internal_id",
        MATTERSIM,
        "693 random crystals of 16 atoms, distorted by temperature and pressure",
    ),
}


def load_crystals(name: str, n: int | None = None, seed: int = 0) -> Samples:
    """Load one of the sets of crystals, or a random sample of it.

    Parameters
    ----------
    name : str
        "alexandria", "mptrj", "mptrj-stress", "mpf-tp" or "random-tp".
    n : int, optional
        How many crystals to draw; by default all, in the order of the file.
    seed : int
        Fixes the order of drawing.

    Returns
    -------
    Samples
        Ids as the source has them, such as "agm002190202" (Alexandria) or "mp-1080834-0-1" (the
        snapshot in MPtrj), column "atoms" (periodic), label "energy_ev": the total energy of the
        cell, uncorrected.

    Raises
    ------
    ValueError
        If the set has fewer than n crystals.
    """
    file, key, *_ = SETS[name]
    frames = Frames(ARCHIVES[ARCHIVE].folder / file)

    return gather(
        lambda i: [frames.sample(i, lambda atoms: str(atoms.info[key]))],
        len(frames),
        n=n,
        seed=seed,
        source=name,
        what="crystals",
    )


def _register(name: str) -> None:
    *_, citation, summary = SETS[name]

    @dataset(
        name=name,
        summary=summary,
        modality="crystals",
        columns=("atoms",),
        license="MIT",
        archive=ARCHIVE,
        requires=("ase",),
        citation=citation,
    )
    def load(n: int | None = None, seed: int = 0) -> Samples:
        return load_crystals(name, n, seed)


for _name in SETS:
    _register(_name)
