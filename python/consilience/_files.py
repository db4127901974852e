"""Small file steps that survive a crash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 1 << 20


def write_durably(path: Path, *parts: bytes | memoryview) -> None:
    """Write `parts` to `path` so that the name only ever shows the whole content."""
    with durably(path) as file:
        for part in parts:
            file.write(part)


@contextmanager
def durably(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which is called `path` once it is whole and on the disk."""
    # In the same folder, because a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path, most: int) -> Any:
    """Return what a JSON file of at most `most` bytes holds.

    Raises
    ------
    ValueError
        If it is longer, not UTF-8, not JSON, nested without end, or has a name twice.
    """
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"{path} has {size} bytes, expected at most {most}; it is damaged")
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is damaged or no JSON: {error}") from error


def parse_json(content: bytes) -> Any:
    """Return what JSON of unknown origin holds, or raise ValueError."""
    try:
        return json.loads(content.decode(), object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a name twice")
    return found


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder` against other writers; the system lets go if this process dies."""
    import fcntl  # POSIX only, as is the promise of an atomic rename

    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FileExistsError(
                f"another process is writing the store {folder}; wait until it ends"
            ) from error
        yield
