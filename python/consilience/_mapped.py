"""Rows of files as one read-only array: mapped side by side, and never held in memory.

A mapped array is a plain NumPy array whose pages are read from its files when they are touched
and can be given back at any time. Arrays that are made of mapped ones (prepared rows, rows in
another order) go to scratch files and are mapped as well.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAP_FIXED = 0x10
PROT_NONE = 0
FEW_ENTRIES = 1 << 20  # of rows that are read at a time, a few MiB
# Bytes that Linux may map about one that is touched, and those of rows taken at a time.
AROUND = 2 << 20
TAKEN = 16 << 20
# Where scratch files go, if not to the folder for temporary files.
SCRATCH_FOLDER = "CONSILIENCE_SCRATCH"

# (path, offset of the first row in bytes, number of rows)
Part = tuple[str | Path, int, int]

_open_regions: weakref.WeakSet[Region] = weakref.WeakSet()


class Region:
    """Stretches of files in one stretch of memory, unmapped when nothing refers to it.

    parts : (path, offset, bytes) in order; the path is "" for a scratch file, which has no name
    """

    def __init__(self, parts: Sequence[tuple[str, int, int]]) -> None:
        self.parts = tuple(parts)
        page = mmap.PAGESIZE
        self._lead = parts[0][1] % page  # the first part alone may begin inside a page
        self.size = sum(size for _, _, size in parts)
        self._address = _reserve(self._lead + self.size)
        unmap = weakref.finalize(self, _libc().munmap, self._address, self._lead + self.size)
        unmap.atexit = False  # arrays may be read while the interpreter ends
        _open_regions.add(self)

    @property
    def start(self) -> int:
        """Address of the first byte."""
        return self._address + self._lead

    def map_file(self, descriptor: int, at: int, offset: int, size: int, prot: int) -> None:
        """Map `size` bytes of an open file from `offset` on, `at` bytes from the start."""
        lead = self._lead if at == 0 else 0
        _checked_mmap(
            self.start + at - lead,
            lead + size,
            prot,
            mmap.MAP_SHARED | MAP_FIXED,
            descriptor,
            offset - lead,
        )

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], *, writeable: bool) -> Any:
        """Return the bytes as an array that keeps the region alive."""
        face = _Face(self, shape, dtype, writeable)
        return np.asarray(face)

    def release(self) -> None:
        """Let the system take back the pages; they are read again when touched."""
        # Shared mappings of files only: what was written stays in the file.
        _libc().madvise(self._address, self._lead + self.size, mmap.MADV_DONTNEED)


class _Face:
    """What NumPy asks for to see a region as an array."""

    def __init__(
        self, region: Region, shape: tuple[int, ...], dtype: np.dtype[Any], writeable: bool
    ) -> None:
        self.region = region
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (region.start, not writeable),
        }


def map_rows(parts: Iterable[Part], dtype: Any, width: int) -> NDArray[Any]:
    """Map rows of several files as one read-only array of shape (n_rows, width).

    Parameters
    ----------
    parts : iterable of (path, offset, n_rows)
        Rows in C order, from a byte of a file on.
    dtype : dtype
        Of the rows, in the files.
    width : int
        Features per row.

    Raises
    ------
    ValueError
        If a file is too short for its rows (a mapping beyond the end of a file would end the
        process when touched), or if parts cannot lie side by side (`side_by_side`).
    """
    dtype = np.dtype(dtype)
    row = dtype.itemsize * width
    stretches = [(str(path), offset, n * row) for path, offset, n in parts if n]
    if not stretches:
        return np.empty((0, width), dtype)
    if not side_by_side([(offset, size) for _, offset, size in stretches]):
        raise ValueError(
            f"the rows of {stretches[0][0]} and the files after it cannot be mapped side by side: "
            "each must begin and end on a page"
        )
    region = Region(stretches)
    at = 0
    for path, offset, size in stretches:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            there = os.fstat(descriptor).st_size
            if there < offset + size:
                raise ValueError(f"{path} is cut short: {there} bytes of {offset + size}")
            region.map_file(descriptor, at, offset, size, mmap.PROT_READ)
        finally:
            os.close(descriptor)
        at += size
    return region.array((region.size // row, width), dtype, writeable=False)  # type: ignore[no-any-return]


def side_by_side(stretches: Sequence[tuple[int, int]]) -> bool:
    """Return whether stretches of files (offset, bytes) can be mapped without a gap."""
    page = mmap.PAGESIZE
    first = stretches[0]
    ends = [(first[0] + first[1]) % page, *(size % page for _, size in stretches[1:-1])]
    begins = [offset % page for offset, _ in stretches[1:]]
    return len(stretches) == 1 or not any((*ends, *begins))


def scratch(shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
    """Return a writeable array in a file without a name, which is gone when the array is.

    Files go to the folder for temporary files, or to $CONSILIENCE_SCRATCH.

    Raises
    ------
    OSError
        If there is no room; names the folder.
    """
    dtype = np.dtype(dtype)
    size = shape[0] * shape[1] * dtype.itemsize
    folder = os.environ.get(SCRATCH_FOLDER) or tempfile.gettempdir()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # A file without its blocks would end us when the disk is full and it is written to.
            getattr(os, "posix_fallocate", _extend)(file.fileno(), 0, size)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{size / 2**30:.2f} GiB of scratch space cannot be had in {folder} "
                f"({error.strerror}); make room or set {SCRATCH_FOLDER}",
            ) from error
        region = Region([("", 0, size)])
        region.map_file(file.fileno(), 0, 0, size, mmap.PROT_READ | mmap.PROT_WRITE)
    return region.array(shape, dtype, writeable=True)  # type: ignore[no-any-return]


def _extend(descriptor: int, offset: int, size: int) -> None:
    os.truncate(descriptor, offset + size)


def spilled(array: Any, dtype: Any) -> NDArray[Any]:
    """Return a copy of an array in a scratch file, in C order and of a dtype."""
    from consilience._memory import passed

    out = scratch(array.shape, dtype)
    for rows in row_blocks(array.shape):
        out[rows] = array[rows]
        passed(array[rows].nbytes + out[rows].nbytes)
    return out


def taken(array: Any, rows: Any) -> Any:
    """Return array[rows] in memory; of a mapped array some at a time, their pages given back.

    The system maps what lies about a page that is touched as well: a few thousand rows out of a
    file are all of it.
    """
    if not is_mapped(array):
        return array[rows]
    from consilience._memory import passed

    out = np.empty((len(rows), *array.shape[1:]), array.dtype)
    around = min(AROUND + array[:1].nbytes, array.nbytes // max(1, len(rows)))
    step = max(1, TAKEN // max(1, around))
    order = np.argsort(rows, kind="stable")  # so that no page is touched twice
    if around > AROUND:
        _advise(array, mmap.MADV_RANDOM)  # what is between is not read
    for first in range(0, len(rows), step):
        some = order[first : first + step]
        out[some] = array[rows[some]]
        passed(len(some) * around)
    if around > AROUND:
        _advise(array, mmap.MADV_NORMAL)
    return out


def row_blocks(shape: tuple[int, int]) -> list[slice]:
    """Return slices of rows that are a few MiB each."""
    step = max(1, FEW_ENTRIES // max(1, shape[1]))
    return [slice(at, min(at + step, shape[0])) for at in range(0, shape[0], step)]


# ---- what an array is made of ------------------------------------------------------------------


def is_mapped(array: Any) -> bool:
    """Return whether an array's bytes are those of files, and can be read again at any time."""
    return _place(array) is not None


def describe(array: Any) -> dict[str, Any] | None:
    """Return where the rows of a mapped array are, for another process; None if in no named file.

    Returns
    -------
    dict or None
        JSON-able: "parts", a list of [path, offset, n_rows]; "dtype"; "width".
    """
    place = _place(array)
    if place is None or array.ndim != 2 or not array.flags.c_contiguous or not array.size:
        return None
    parts, skip = place
    row = array.dtype.itemsize * array.shape[1]
    left, found = array.nbytes, []
    for path, offset, size in parts:
        own = min(size - skip, left)
        if own > 0:
            if not path or own % row:
                return None
            found.append([str(Path(path).resolve()), offset + skip, own // row])
            left -= own
        skip = max(0, skip - size)
    return {"parts": found, "dtype": array.dtype.str, "width": array.shape[1]}


def reopen(description: Mapping[str, Any]) -> NDArray[Any]:
    """Map again what `describe` described."""
    return map_rows(
        [tuple(part) for part in description["parts"]],
        description["dtype"],
        description["width"],
    )


def read_ahead(*arrays: Any) -> None:
    """Have the system begin to read these rows of mapped arrays, without waiting for them."""
    for array in arrays:
        if is_mapped(array):
            _advise(array, mmap.MADV_WILLNEED)


def _advise(array: Any, advice: int) -> None:
    first = array.__array_interface__["data"][0]
    start = first - first % mmap.PAGESIZE
    _libc().madvise(start, first + array.nbytes - start, advice)


def release(*arrays: Any) -> None:
    """Give the pages of mapped arrays back to the system; arrays in memory are left alone."""
    for array in arrays:
        for base in _bases(array):
            if isinstance(base, _Face):
                base.region.release()
            elif isinstance(base, mmap.mmap):
                base.madvise(mmap.MADV_DONTNEED)


def release_all() -> None:
    """Give back the pages of all regions of this process."""
    for region in list(_open_regions):
        region.release()


def _bases(array: Any) -> Iterator[Any]:
    """Yield what holds the bytes of an array, if it is mapped from a file and not writeable."""
    root = None
    while array is not None:
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            root = array
        if isinstance(array, _Face):
            yield array
            return
        if isinstance(array, mmap.mmap):
            # Private pages would lose what was written to them.
            if root is not None and root.mode in ("r", "r+"):
                yield array
            return
        array = getattr(array, "base", None)


def _place(array: Any) -> tuple[Sequence[tuple[str, int, int]], int] | None:
    """Return the stretches of files an array is mapped from, and how far into them it begins."""
    if not isinstance(array, np.ndarray) or array.base is None:
        return None
    (base, *_) = [*_bases(array), None]
    start = array.__array_interface__["data"][0]
    if isinstance(base, _Face):
        return base.region.parts, start - base.region.start
    if base is None:
        return None
    root: Any = array
    while not (isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)):
        root = root.base
    if root.filename is None:
        return None
    first = root.__array_interface__["data"][0]
    return [(str(root.filename), root.offset, root.nbytes)], start - first


# ---- the system's calls ------------------------------------------------------------------------


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    )
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


def _reserve(size: int) -> int:
    """Return the address of a stretch of memory that nothing else will be put into."""
    return _checked_mmap(None, size, PROT_NONE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)


def _checked_mmap(
    address: int | None, size: int, prot: int, flags: int, descriptor: int, offset: int
) -> int:
    found = _libc().mmap(address, size, prot, flags, descriptor, offset)
    if found is None or found == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, f"{size} bytes cannot be mapped: {os.strerror(code)}")
    return int(found)
