"""Files of embeddings, of any format that people have, read by rows.

Each format is one small module around its kept library, which is imported when a file of that
format is opened. A file of unknown origin gives rows or one clear error: nothing in it is run,
nothing outside of it is followed, and nothing is read whole where the format has rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from consilience.store.readers.arrow_file import IPC, PARQUET, open_ipc, open_parquet
from consilience.store.readers.hdf5 import MAGIC as HDF5
from consilience.store.readers.hdf5 import open_h5ad, open_hdf5
from consilience.store.readers.npy import MAGIC as NPY
from consilience.store.readers.npy import open_npy
from consilience.store.readers.npz import open_npz
from consilience.store.readers.rows import FormatError, Rows, reading
from consilience.store.readers.safetensors import open_safetensors
from consilience.store.readers.saved_dataset import SPLITS, STATE, open_saved_dataset
from consilience.store.readers.text import open_text
from consilience.store.readers.torch_file import open_torch
from consilience.store.readers.zarr_folder import METADATA as ZARR
from consilience.store.readers.zarr_folder import open_zarr

__all__ = ["BY_SUFFIX", "FormatError", "Rows", "is_rows", "label_of", "open_rows", "split_name"]

Opener = Callable[[Path, str], Rows]

BY_SUFFIX: dict[str, Opener] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".safetensors": open_safetensors,
    ".pt": open_torch,
    ".pth": open_torch,
    ".parquet": open_parquet,
    ".pq": open_parquet,
    ".arrow": open_ipc,
    ".ipc": open_ipc,
    ".feather": open_ipc,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".h5ad": open_h5ad,
    ".csv": open_text,
    ".tsv": open_text,
}
BY_MAGIC: dict[bytes, Opener] = {NPY: open_npy, PARQUET: open_parquet, IPC: open_ipc}
BY_MAGIC[HDF5] = open_hdf5
BY_MARKER: dict[str, Opener] = {
    ZARR: open_zarr,
    STATE: open_saved_dataset,
    SPLITS: open_saved_dataset,
}
MARK = "::"


def open_rows(path: str | Path) -> Rows:
    """Open one matrix of embeddings in a file or folder, to read it by rows.

    Parameters
    ----------
    path : path
        A .npy, .npz, .safetensors, .pt, .parquet, .arrow, .feather, .h5, .h5ad, .csv or .tsv
        file, a folder of Zarr version 3, or one that `Dataset.save_to_disk` of the `datasets`
        library wrote. Where it holds several things, ``PATH::NAME`` says which: an array of a
        .npz file, a tensor, a column (or a pattern of columns), a path in HDF5 or Zarr.

    Returns
    -------
    Rows
        Close it, or use it in a `with` statement.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the library that reads this format is not installed.
    ValueError
        If the file is of another kind, damaged, not 2-D, not floating point, would run code
        or leads out of itself; names the file and says what to do.

    Examples
    --------
    >>> with open_rows("embeddings.parquet") as rows:          # doctest: +SKIP
    ...     rows.shape, rows.ids[:2], rows.read(0, 100).mean()
    """
    file, name = split_name(path)
    if not _exists(file):
        raise FileNotFoundError(f"{file} does not exist")
    opener = _opener(file)
    with reading(file):
        return opener(file, name)


def split_name(path: str | Path) -> tuple[Path, str]:
    """Return the file, and what is asked for in it ("" if nothing)."""
    whole = Path(path)
    text = str(path)
    if MARK not in text or _exists(whole):
        return whole, ""
    file, _, name = text.rpartition(MARK)
    return Path(file), name


def label_of(path: str | Path) -> str:
    """Return what to call the embeddings of a path: the file's stem, and the name in it.

    Examples
    --------
    >>> label_of("runs/clip.npy"), label_of("cells.h5ad::obsm/X_pca")
    ('clip', 'cells:X_pca')
    """
    file, name = split_name(path)
    return f"{file.stem}:{name.rpartition('/')[2]}" if name else file.stem


def is_rows(path: str | Path) -> bool:
    """Return whether a path is something to open here, and not the folder of a store."""
    file, name = split_name(path)
    return bool(name) or not file.is_dir() or any((file / m).is_file() for m in BY_MARKER)


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # a name too long, or with a null in it
        return False


def _opener(file: Path) -> Opener:
    if file.is_dir():
        for marker, opener in BY_MARKER.items():
            if (file / marker).is_file():
                return opener
        raise FormatError(
            f"{file} is a folder that is neither Zarr of version 3 nor a saved dataset; a store "
            "of embeddings is opened with consilience.store.open"
        )
    if not file.is_file():
        raise FormatError(f"{file} is not a plain file")
    known = BY_SUFFIX.get(file.suffix.lower())
    if known is not None:
        return known
    with file.open("rb") as stream:
        head = stream.read(8)
    for magic, opener in BY_MAGIC.items():
        if head.startswith(magic):
            return opener
    raise FormatError(f"{file} must be one of {', '.join(BY_SUFFIX)}; save it as one of them")
