"""Small file steps that survive a crash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

CHUNK = 1 << 20
LONGEST_NAME = 200  # bytes, with room for what is written after it
PATIENCE = 2.0
REMEDIES = {
    errno.ENOSPC: "make room there and run it again",
    errno.EDQUOT: "make room in your quota there and run it again",
    errno.EFBIG: "files may not grow so large there: raise the limit or write elsewhere",
    errno.EIO: "the disk cannot be read or written there: check it, or use another",
}


def check_file_name(name: str, what: str) -> None:
    """Raise unless `name` can be that of a file in any folder, on any system."""
    inside = name and not name.startswith(".") and not set(name) & set('/\\:*?"<>|')
    if not inside or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"{what} must do as a file name, got {one_line(repr(name))}")


def one_line(text: object, most: int = 200) -> str:
    """Return text fit for a message: one short printable line."""
    line = " ".join(str(text)[: 4 * most].split())
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= most else line[: most - 1] + "…"


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
        with naming(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed left in `folder`, which this process holds."""
    for file in folder.glob(".*.tmp"):
        file.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name the file it is of, which it does for opening alone."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sentence_of(error: BaseException) -> str:
    """Return what an error says in one line: of the system's, the file and the remedy too."""
    text = str(error)
    if isinstance(error, OSError) and error.errno is not None:
        text = str(error.strerror)
        if error.filename is not None:
            remedy = REMEDIES.get(error.errno)
            text = f"{error.filename}: {text}" + (f"; {remedy}" if remedy else "")
    return " ".join(text.split())


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with naming(path), path.open("rb") as file:
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
    """Hold `folder` against other writers; the system lets go if this process dies.

    Raises
    ------
    FileExistsError
        If another process holds it.
    OSError
        If the file system has no locks.
    """
    until = time.monotonic() + PATIENCE  # a process that was killed may still be going
    while (lock := _locked(folder / ".lock")) is None:
        if time.monotonic() > until:
            raise FileExistsError(f"another process is writing in {folder}; wait until it ends")
        time.sleep(PATIENCE / 40)
    with lock:
        yield


def _locked(path: Path) -> IO[str] | None:
    """Return the lock, held, or None if another process holds it or removed it meanwhile."""
    import fcntl  # POSIX only, as is the promise of an atomic rename

    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        lock.close()
        raise OSError(
            f"{path.parent} cannot be locked against other writers ({error.strerror}): its file "
            "system has no locks; choose a folder on one that has, such as a local disk"
        ) from error
    lock.close()
    return None
