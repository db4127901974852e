"""Arrays that workers open by path, known by what they hold."""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from consilience import _mapped as mapped
from consilience._files import sync_folder

# Bytes hashed at a time, each piece by a thread.
PIECE = 16 << 20


class SharedArrays:
    """Gives arrays names by content, and files to those in memory.

    folder : for the files
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._guard = threading.RLock()  # no array is read or written twice at a time

    def digest(self, array: Any, n_threads: int = 1) -> str:
        """Return the SHA-256 of an array's shape, dtype and bytes; each array is read once."""
        with self._guard:
            known = self._digests.get(id(array))
            if known is not None and known[0]() is array:
                return known[1]
            found = _digest(array, n_threads)
            self._digests[id(array)] = (weakref.ref(array), found)
            return found

    def description(self, array: Any) -> dict[str, Any]:
        """Return, JSON-able, how another process opens an array.

        What is in memory, or in a file without a name, is written to a file first.
        """
        from consilience import _mapped as mapped

        if (found := mapped.describe(array)) is not None:
            return {"mapped": found, "stamps": [_stamp(path) for path, _, _ in found["parts"]]}
        with self._guard:
            path = self._folder / f"{self.digest(array)}.npy"
            if not path.exists():
                self._folder.mkdir(exist_ok=True)
                write_array(path, array)
        return {"npy": str(path.resolve())}

    def remove(self) -> None:
        """Remove the files."""
        for path in self._folder.glob("*.npy"):
            path.unlink(missing_ok=True)
        if self._folder.is_dir():
            self._folder.rmdir()


def write_array(path: Path, array: Any) -> None:
    """Write a .npy file whose name only ever shows the whole of it."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def opened(description: Mapping[str, Any]) -> Any:
    """Return the array that was described, mapped read-only.

    Raises
    ------
    OSError
        If a file of it cannot be opened here.
    ValueError
        If a file was changed since it was described.
    """
    if "npy" in description:
        return np.load(description["npy"], mmap_mode="r", allow_pickle=False)
    found = description["mapped"]
    for (path, _, _), stamp in zip(found["parts"], description["stamps"], strict=True):
        if _stamp(path) != list(stamp):
            raise ValueError(f"{path} was changed since the comparison began; start it again")
    return mapped.reopen(found)


def _stamp(path: str) -> list[int]:
    facts = Path(path).stat()
    return [facts.st_size, facts.st_mtime_ns]


def _digest(array: Any, n_threads: int) -> str:
    whole = np.ascontiguousarray(array)
    data = whole.reshape(-1).view(np.uint8).data
    pieces = [data[first : first + PIECE] for first in range(0, len(data), PIECE)]
    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        parts = list(pool.map(lambda piece: hashlib.sha256(piece).digest(), pieces))
    head = f"{whole.dtype.str} {whole.shape}".encode()
    return hashlib.sha256(b"\n".join([head, *parts])).hexdigest()
