"""The folder of a store: what opening and reading need of it, on this machine or elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from consilience._files import naming, sha256_of
from consilience.store.manifest import FileEntry


class Folder(Protocol):
    """Files by their plain names."""

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        ...

    def names(self) -> list[str]:
        """Return the names of the files, as far as they can be listed."""
        ...

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        ...

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Return bytes [start, stop) of a file, or fewer where it ends."""
        ...

    def read_into(self, name: str, start: int, target: memoryview) -> None:
        """Fill `target` with the bytes of a file from `start` on."""
        ...

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, every byte read."""
        ...

    def here(self, entry: FileEntry) -> Path:
        """Return a path of this machine with the bytes of a file."""
        ...


class LocalFolder:
    """A folder of this machine. Links are refused, as they may lead anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.path))

    def size(self, name: str) -> int:
        return self._file(name).stat().st_size

    def read(self, name: str, start: int, stop: int) -> bytes:
        path = self._file(name)
        with naming(path), path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def read_into(self, name: str, start: int, target: memoryview) -> None:
        # Plain reads fail with a sentence where a mapping of a cut file would end the process.
        path = self._file(name)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            done = 0
            while done < len(target):
                with naming(path):
                    got = os.preadv(descriptor, [target[done:]], start + done)
                if got == 0:
                    raise ValueError(f"{path} ended at byte {start + done}")
                done += got
        finally:
            os.close(descriptor)

    def digest(self, name: str) -> str:
        return sha256_of(self._file(name))

    def here(self, entry: FileEntry) -> Path:
        return self._file(entry.file)

    def _file(self, name: str) -> Path:
        path = self.path / name
        if path.is_symlink():
            raise ValueError(f"{path} is a link, which a store must not have; copy the file there")
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing though it is named; embed again")
        return path
