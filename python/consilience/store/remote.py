"""Stores behind a URL, read through fsspec; whole shards are mapped from a local cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from consilience._files import CHUNK, durably
from consilience.store.manifest import FileEntry

CACHE = "CONSILIENCE_CACHE"


class RemoteFolder:
    """A folder at a URL such as ``s3://bucket/store``, ``gs://…`` or ``memory://…``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.files, root = _file_system(self.url)
        self.root = root.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def has(self, name: str) -> bool:
        return bool(self.files.isfile(f"{self.root}/{name}"))

    def names(self) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.files.ls(self.root, detail=False))

    def size(self, name: str) -> int:
        try:
            return int(self.files.size(f"{self.root}/{name}"))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.url}/{name} is missing though it is named; copy the store again"
            ) from error

    def read(self, name: str, start: int, stop: int) -> bytes:
        return bytes(self.files.cat_file(f"{self.root}/{name}", start=start, end=stop))

    def read_into(self, name: str, start: int, target: memoryview) -> None:
        content = self.read(name, start, start + len(target))
        if len(content) != len(target):
            raise ValueError(f"{self.url}/{name} ended at byte {start + len(content)}")
        target[:] = content

    def digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self.files.open(f"{self.root}/{name}", "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def here(self, entry: FileEntry) -> Path:
        """Return the file in the cache, where it is called by its checksum."""
        path = cache_folder() / f"{entry.sha256}.safetensors"
        if not (path.is_file() and path.stat().st_size == entry.bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fetch(entry, path)
        return path

    def _fetch(self, entry: FileEntry, path: Path) -> None:
        digest = hashlib.sha256()
        with (
            self.files.open(f"{self.root}/{entry.file}", "rb") as source,
            durably(path) as target,
        ):
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
            if digest.hexdigest() != entry.sha256:
                raise ValueError(
                    f"{self.url}/{entry.file} is changed or damaged, or was cut on the way here; "
                    "fetch it again, and if it stays so, embed again"
                )


def folders_in(url: str) -> dict[str, str]:
    """Return the URLs of the folders in a folder, by their names."""
    files, root = _file_system(url.rstrip("/"))
    found = [entry["name"] for entry in files.ls(root, detail=True) if entry["type"] == "directory"]
    names = sorted(path.rstrip("/").rpartition("/")[2] for path in found)
    return {name: f"{url.rstrip('/')}/{name}" for name in names}


def cache_folder() -> Path:
    """Return where fetched shards are: ``$CONSILIENCE_CACHE``, else in the user's own cache."""
    if chosen := os.environ.get(CACHE):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "consilience" / "shards"


def _file_system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(
            f"{url} is read through fsspec: pip install 'consilience[remote]'"
        ) from error
    files, root = url_to_fs(url)
    return files, str(root)
