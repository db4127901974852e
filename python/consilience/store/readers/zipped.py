"""Zip files, as .npz and .pt are, with a look at them before they are listed."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from consilience.store.readers.rows import FormatError

# About fifty thousand members; a list of more is an attack on the memory of its reader.
MOST_DIRECTORY = 4 << 20
END, LARGE_END = b"PK\x05\x06", b"PK\x06\x06"


def open_zip(file: Path, remedy: str) -> zipfile.ZipFile:
    """Open a zip file whose list of members is of a sane length and has no name twice."""
    _check_directory(file, remedy)
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:
        raise FormatError(f"{file} is truncated or not a zip file ({error}); {remedy}") from error
    names = [member.filename for member in archive.infolist()]
    if len(set(names)) < len(names):
        archive.close()
        raise FormatError(f"{file} has a member twice; {remedy}")
    return archive


def _check_directory(file: Path, remedy: str) -> None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, size - (1 << 16) - 100))
        tail = stream.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise FormatError(f"{file} is truncated or not a zip file; {remedy}")
    (length,) = struct.unpack_from("<I", tail, at + 12)
    large = tail.rfind(LARGE_END, 0, at)
    if large >= 0 and len(tail) >= large + 56:
        (length,) = struct.unpack_from("<Q", tail, large + 40)
    if length > MOST_DIRECTORY:
        raise FormatError(f"{file} lists {length} bytes of members, too many to be read; {remedy}")


def data_offset(file: Path, member: zipfile.ZipInfo) -> int:
    """Return where the bytes of a stored member begin."""
    with file.open("rb") as stream:
        stream.seek(member.header_offset)
        head = stream.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise FormatError(f"{file} has no member where its list says; write it again")
    name, extra = struct.unpack_from("<HH", head, 26)
    return int(member.header_offset + 30 + name + extra)
