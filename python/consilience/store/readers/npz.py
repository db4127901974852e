"""NumPy's .npz: .npy files in a zip file; what is not compressed is mapped where it lies."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line
from consilience.store.readers.npy import NpyHeader, read_npy_header
from consilience.store.readers.rows import (
    FormatError,
    Rows,
    check_matrix,
    choose,
    from_map,
    map_rows,
)
from consilience.store.readers.zipped import data_offset, open_zip

REMEDY = "save it again with np.savez"
ENCRYPTED = 0x1


def open_npz(file: Path, name: str) -> Rows:
    """Open the only matrix of floats in a .npz file, or the one called `name`."""
    archive = open_zip(file, REMEDY)
    try:
        members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
        if name:
            chosen = choose(file, list(members), name, "array")
        else:
            chosen = choose(file, _matrices(file, archive, members), "", "matrix of floats")
        member = members[chosen]
        header = _header(file, archive, member)
        rows = _stored(file, member, header) or _packed(file, archive, member, header)
    except BaseException:
        archive.close()
        raise
    return rows


def _matrices(
    file: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> list[str]:
    """Return the names of 2-D float members; of a lone member whatever it is, to say why not."""
    if len(members) == 1:
        return list(members)
    found = []
    for name, member in members.items():
        if member.filename.endswith(".npy"):
            header = _header(file, archive, member)
            if len(header.shape) == 2 and header.dtype.kind == "f":
                found.append(name)
    return found


def _header(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NpyHeader:
    where = Path(f"{file}::{one_line(member.filename, 60)}")
    if member.flag_bits & ENCRYPTED:
        raise FormatError(f"{where} is encrypted; {REMEDY}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{where} is compressed in a way that NumPy does not write; {REMEDY}")
    with archive.open(member) as stream:
        return read_npy_header(where, stream)


def _stored(file: Path, member: zipfile.ZipInfo, header: NpyHeader) -> Rows | None:
    if member.compress_type != zipfile.ZIP_STORED:
        return None
    if member.file_size != member.compress_size:
        raise FormatError(f"{file} gives two sizes of one member; {REMEDY}")
    shape = check_matrix(file, header.shape, header.dtype, member.file_size - header.length)
    offset = data_offset(file, member) + header.length
    return from_map(file, map_rows(file, header.dtype, offset, shape, header.order))


def _packed(
    file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: NpyHeader
) -> Rows:
    shape = check_matrix(file, header.shape, header.dtype, member.file_size - header.length)
    check_matrix(file, header.shape, header.dtype, member.compress_size, packed=True)
    stream, lock = archive.open(member), threading.Lock()
    item = header.dtype.itemsize

    def take(first: int, count: int) -> NDArray[Any]:
        # forward is free, backward unpacks anew from the start
        stream.seek(header.length + first * item)
        data = stream.read(count * item)
        if len(data) < count * item:
            raise FormatError(f"{file} ends early; {REMEDY}")
        return np.frombuffer(data, header.dtype)

    def fetch(start: int, stop: int) -> NDArray[Any]:
        n, d = shape
        with lock:
            if header.order == "C":
                return take(start * d, (stop - start) * d).reshape(stop - start, d)
            return np.stack([take(c * n + start, stop - start) for c in range(d)], axis=1)

    def shut() -> None:
        stream.close()
        archive.close()

    return Rows(file, shape, header.dtype.newbyteorder("="), fetch, shut=shut)
