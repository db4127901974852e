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
# Pages are counted once in so many seconds, in which kernels touch 50 MiB at most, and whenever so
# many bytes were read by blocks; it takes 20 us.
SECONDS = 0.005
PASSED = 4 << 20


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


class _Bound:
    """How many pages of files may be in memory beside an op, from when it was made on."""

    def __init__(self, files: list[Any], max_memory: int | None) -> None:
        self.files = files
        self.before = _resident()
        self.allowed = max_memory or DEFAULT_MEMORY
        self.least = resident_share(max_memory)

    def keep(self) -> None:
        """Give all pages back if there are more of them than there may be."""
        of_files, others = (now - then for now, then in zip(_resident(), self.before, strict=True))
        if of_files > max(self.least, self.allowed - max(_op_bytes, others)):
            self.release()

    def release(self) -> None:
        mapped.release(*self.files)
        mapped.release_all()  # what was made of them


_bounds: list[_Bound] = []
_passed_bytes = 0


def bounded(arrays: Iterable[Any], max_memory: int | None) -> AbstractContextManager[None]:
    """Give pages of mapped arrays back to the system while they are worked on.

    They are counted by whoever reads rows block by block (`passed`), and by the clock while kernels
    run. Numbers do not change by it: a page that is touched again is read again.
    """
    files = [array for array in arrays if mapped.is_mapped(array)]
    return _watched(files, max_memory) if files else nullcontext()


@contextmanager
def _watched(files: list[Any], max_memory: int | None) -> Iterator[None]:
    bound, over = _Bound(files, max_memory), threading.Event()
    watcher = threading.Thread(target=_watch, args=(bound, over), daemon=True)
    watcher.start()
    _bounds.append(bound)
    try:
        yield
    finally:
        _bounds.remove(bound)
        over.set()
        watcher.join()
        bound.release()


def passed(size: int) -> None:
    """Tell that so many bytes of an array were read and are not needed soon."""
    global _passed_bytes
    if not _bounds:
        return
    _passed_bytes += size  # threads may lose some of it to each other
    if _passed_bytes >= PASSED:
        _passed_bytes = 0
        for bound in tuple(_bounds):
            bound.keep()


def _watch(bound: _Bound, over: threading.Event) -> None:
    while not over.wait(SECONDS):
        bound.keep()


def _resident() -> tuple[int, int]:
    """Return the bytes of files, and others, that this process has in memory; 0 if untold."""
    try:
        _, resident, of_files = map(int, Path("/proc/self/statm").read_text().split()[:3])
    except OSError:
        return 0, 0
    return of_files * mmap.PAGESIZE, (resident - of_files) * mmap.PAGESIZE
