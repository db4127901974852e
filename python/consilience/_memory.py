"""How much memory work may take: sizes as users write them, and pages of files in memory."""

from __future__ import annotations

import mmap
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from consilience import _mapped as mapped

DEFAULT_MEMORY = 4 << 30
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
# Of the memory allowed, what pages of files may take at least, whatever an op takes. A page that is
# read again costs a fault, as the system keeps what it has room for.
RESIDENT_SHARE = 1 / 8
LEAST_RESIDENT = 64 << 20
SECONDS = 0.01  # in which a mapped file is read at 64 MiB and more


def as_bytes(size: int | str | None, name: str = "max_memory") -> int | None:
    """Return a number of bytes, given as one or like "4GiB" or "500 MB".

    Raises
    ------
    TypeError, ValueError
        If it is no size, or not above 0.
    """
    if size is None:
        return None
    if isinstance(size, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", size)
        if not found or found[2].upper() not in UNITS:
            raise ValueError(f'`{name}` must be a number of bytes or like "4GiB", got {size!r}')
        size = int(float(found[1]) * UNITS[found[2].upper()])
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f'`{name}` must be a number of bytes or like "4GiB", got {size!r}')
    if size <= 0:
        raise ValueError(f"`{name}` must be above 0 bytes, got {size}")
    return size


def resident_share(max_memory: int | None) -> int:
    """Return how much of the memory allowed goes to pages of mapped arrays, at most half."""
    allowed = max_memory or DEFAULT_MEMORY
    return max(min(LEAST_RESIDENT, allowed // 2), int(allowed * RESIDENT_SHARE))


def op_takes(size: int) -> None:
    """Tell what the op that begins takes; pages of files may have the rest of what is allowed."""
    global _op_bytes
    _op_bytes = size


_op_bytes = 0


def bounded(arrays: Iterable[Any], max_memory: int | None) -> AbstractContextManager[None]:
    """Give pages of mapped arrays back to the system while they are worked on.

    Numbers do not change by it: a page that is touched again is read again.
    """
    files = [array for array in arrays if mapped.is_mapped(array)]
    return _watched(files, max_memory) if files else nullcontext()


@contextmanager
def _watched(files: list[Any], max_memory: int | None) -> Iterator[None]:
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(files, max_memory, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        _release(files)


def _watch(files: list[Any], max_memory: int | None, over: threading.Event) -> None:
    before, least = _file_pages(), resident_share(max_memory)
    while not over.wait(SECONDS):
        if _file_pages() - before > max(least, (max_memory or DEFAULT_MEMORY) - _op_bytes):
            _release(files)


def _release(files: list[Any]) -> None:
    mapped.release(*files)
    mapped.release_all()  # what was made of them


def _file_pages() -> int:
    """Return the bytes of files that are in this process's memory; 0 where it is not told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[2]) * mmap.PAGESIZE
    except OSError:
        return 0
