"""NumPy's .npy: a header and the numbers as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from consilience._files import one_line
from consilience.store.readers.rows import (
    FormatError,
    Rows,
    check_matrix,
    from_map,
    map_rows,
)

MAGIC = b"\x93NUMPY"
READ = {
    b"\1\0": np.lib.format.read_array_header_1_0,
    b"\2\0": np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class NpyHeader:
    """What a .npy stream says of itself, and how many bytes it took to say it."""

    shape: tuple[int, ...]
    order: str
    dtype: np.dtype[Any]
    length: int


def open_npy(file: Path, name: str) -> Rows:
    """Open a .npy file by memory map."""
    if name:
        raise FormatError(f"{file} holds one array without a name, not {one_line(name, 60)!r}")
    size = file.stat().st_size
    with file.open("rb") as stream:
        header = read_npy_header(file, stream)
    shape = check_matrix(file, header.shape, header.dtype, size - header.length)
    return from_map(file, map_rows(file, header.dtype, header.length, shape, header.order))


def read_npy_header(file: Path, stream: IO[bytes]) -> NpyHeader:
    """Read the header of a .npy file or member; the text is parsed as literals, never run."""
    start = stream.read(len(MAGIC) + 2)
    if start[: len(MAGIC)] != MAGIC:
        raise FormatError(f"{file} is not a .npy file, or is cut short; save it with np.save")
    version = start[len(MAGIC) :]
    if version not in READ:
        raise FormatError(
            f"{file} is a .npy file of version {tuple(version)}, expected (1, 0) or (2, 0), or is "
            "truncated; save a plain float array with np.save"
        )
    try:
        shape, fortran, dtype = READ[version](stream)
    except Exception as error:
        raise FormatError(
            f"{file} is truncated or unreadable ({one_line(error)}); save the array again"
        ) from error
    if dtype.hasobject:
        raise FormatError(
            f"{file} holds pickled Python objects, which are never loaded; save a plain "
            "float array with np.save(..., allow_pickle=False)"
        )
    return NpyHeader(shape, "F" if fortran else "C", dtype, stream.tell())
