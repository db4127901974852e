"""What samples are made of: the regressors of a composition model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilience.datasets._samples import Samples

NO_ATOMS = np.zeros(0, np.int64)


def compositions(samples: Samples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the atoms of every element in every sample.

    Parameters
    ----------
    samples : Samples
        With a column "atoms".

    Returns
    -------
    elements : int64 array of shape (n_elements,)
        Atomic numbers that occur, in rising order.
    counts : int64 array of shape (n_samples, n_elements)
        Atoms of each element; a row sums to the number of atoms of the sample.

    Raises
    ------
    ValueError
        If the samples have no atoms.

    Examples
    --------
    >>> import numpy as np
    >>> from consilience.datasets import Atoms, Samples
    >>> water = Atoms(np.array([8, 1, 1]), np.zeros((3, 3)))
    >>> elements, counts = compositions(Samples(("water",), {"atoms": [water]}))
    >>> elements.tolist(), counts.tolist()
    ([1, 8], [[2, 1]])
    """
    if "atoms" not in samples.columns:
        raise ValueError(f"compositions need 'atoms', samples have {', '.join(samples.columns)}")
    numbers = [atoms.numbers for atoms in samples.columns["atoms"]]
    elements, which = np.unique(np.concatenate([*numbers, NO_ATOMS]), return_inverse=True)
    rows = np.repeat(np.arange(len(numbers)), [len(n) for n in numbers])
    counts = np.zeros((len(numbers), len(elements)), np.int64)
    np.add.at(counts, (rows, which), 1)
    return elements, counts
