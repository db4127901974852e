"""Structures of the user's own in one extended XYZ file."""

from __future__ import annotations

from pathlib import Path

from consilience.datasets._frames import Frames
from consilience.datasets._gather import gather
from consilience.datasets._registry import dataset
from consilience.datasets._samples import Samples


@dataset(
    name="extxyz",
    summary="your own molecules or crystals in an extended XYZ file, with energies if it has them",
    modality="structures",
    columns=("atoms",),
    license="yours",
    requires=("ase",),
    citation="",
    takes_path=True,
)
def load(n: int | None = None, seed: int = 0, *, path: str | Path) -> Samples:
    """Load frames from an extended XYZ file.

    Parameters
    ----------
    n : int, optional
        How many frames to draw; by default all, in the order of the file.
    seed : int
        Fixes which n are drawn; only they are read.
    path : path
        The comment line of a frame may give ``Lattice``, ``pbc``, ``charge`` and the total
        ``energy`` (or ``REF_energy``) in eV.

    Returns
    -------
    Samples
        Ids such as "train-000012" (the file and the frame, counted from 0), column "atoms",
        label "energy_ev" if every frame drawn has an energy. A frame that cannot be read is
        skipped and counted.

    Raises
    ------
    ValueError
        If the file cannot be read, is no XYZ file, or has too few frames.
    """
    frames = Frames(path)
    stem = frames.path.stem
    return gather(
        lambda i: [frames.sample(i, lambda _: f"{stem}-{i:06d}")],
        len(frames),
        n=n,
        seed=seed,
        source=str(frames.path),
        what="frames",
    )
