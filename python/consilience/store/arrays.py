"""One file of embeddings as an array, opened without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from consilience.store.readers import open_rows


def read_array(path: str | Path) -> NDArray[Any]:
    """Open one 2-D array of embeddings, read-only, and memory-mapped where the format allows.

    Parameters
    ----------
    path : path
        A file of any format that `open_rows` reads, or ``PATH::NAME``. Pickles are refused.
        .npy, .safetensors, .pt, HDF5 and .npz are mapped where their numbers lie as they are;
        other files are read, block by block. bfloat16 is widened to float32, which is exact.

    Returns
    -------
    array of shape (n_samples, n_features)
        float16, float32 or float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the library that reads this format is not installed.
    MemoryError
        If the array must be read and does not fit into free memory.
    ValueError
        If the file is pickled, truncated, unreadable, not 2-D or not floating point; says
        what to do.
    """
    with open_rows(path) as rows:
        return rows.whole()
