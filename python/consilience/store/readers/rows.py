"""What a reader gives: rows of one matrix in one file, and a clear word when it cannot."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line

BLOCK_BYTES = 16 << 20
# No float embedding packs tighter; a bomb of zeros does (deflate reaches 1032).
MOST_PACKED = 250
# What a small file may unpack to, whatever its own length.
SLACK = 32 << 20
MOST_PIECE = 1 << 30
MOST_COLUMNS = 1 << 16
ID_NAMES = ("id", "sample_id")


class FormatError(ValueError):
    """A file that cannot be read as embeddings; the message names it and the remedy."""


class MissingLibraryError(ImportError):
    """A library that a format needs is not installed, or is too old to be safe."""


@dataclass(eq=False)
class Rows(AbstractContextManager["Rows"]):
    """Rows of one matrix in one file.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : (int, int)
        (n_samples, n_features).
    dtype : dtype
        float16, float32 or float64, native; bfloat16 is widened to float32.
    ids : tuple of str or None
        Sample ids in row order, where the file has them.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    fetch: Callable[[int, int], Any] = field(repr=False)
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    mapped: NDArray[Any] | None = field(default=None, repr=False)
    shut: Callable[[], Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.ids is not None and len(self.ids) != self.shape[0]:
            raise FormatError(f"{self.path} has {len(self.ids)} ids for {self.shape[0]} rows")

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a copy of rows [start, stop), of shape (stop - start, n_features).

        Raises
        ------
        IndexError
            If there are no such rows.
        ValueError
            If the file turns out damaged there; names it.
        """
        if not 0 <= start <= stop <= self.shape[0]:
            raise IndexError(f"{self.path} has rows 0 to {self.shape[0]}, not {start} to {stop}")
        with reading(self.path):
            rows = np.array(self.fetch(start, stop), self.dtype, order="C")
        if rows.shape != (stop - start, self.shape[1]):
            raise FormatError(
                f"{self.path} is damaged: rows {start} to {stop} came with shape {rows.shape}, "
                f"expected {(stop - start, self.shape[1])}; write it again"
            )
        return rows

    def blocks(self, n_rows: int | None = None) -> Iterator[NDArray[Any]]:
        """Yield all rows in order, about 16 MiB at a time by default."""
        step = n_rows or max(1, BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize))
        for start in range(0, self.shape[0], step):
            yield self.read(start, min(start + step, self.shape[0]))

    def array(self) -> NDArray[Any] | None:
        """Return all rows, read-only and memory-mapped, or None where the format has no map."""
        return self.mapped

    def whole(self) -> NDArray[Any]:
        """Return all rows, read-only: a memory map where the format has one, else a copy.

        Raises
        ------
        MemoryError
            If a copy cannot fit into the memory that is free.
        """
        mapped = self.array()
        if mapped is not None:
            return mapped
        check_room(self.path, self.shape[0] * self.shape[1] * self.dtype.itemsize)
        rows, done = np.empty(self.shape, self.dtype), 0
        for block in self.blocks():
            rows[done : done + len(block)] = block
            done += len(block)
        rows.flags.writeable = False
        return rows

    def close(self) -> None:
        """Let go of the file; a memory map that was handed out stays."""
        if self.shut is not None:
            self.shut()
            self.shut = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn whatever a library raises about a file into one sentence that names it."""
    try:
        yield
    except (FormatError, MissingLibraryError):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(file) in str(error):
            raise FormatError(one_line(error, 600)) from error
        said = one_line(str(error)) or type(error).__name__
        raise FormatError(
            f"{file} is truncated, damaged or unreadable ({said}); write it again"
        ) from error


def some(names: Sequence[object], most: int = 8) -> str:
    """Return the first names, separated by commas."""
    shown = [one_line(name, 40) for name in names[:most]]
    return ", ".join([*shown, "…"] if len(names) > most else shown) or "none"


def need(module: str, least: str, reads: str) -> Any:
    """Import a library that reads a format.

    Raises
    ------
    ImportError
        If it is not there, or is older than `least`.
    """
    package = module.partition(".")[0]
    try:
        found = importlib.import_module(module)
        version = str(importlib.import_module(package).__version__)
    except ImportError as error:
        raise MissingLibraryError(
            f"{reads} files are read by {package}: pip install 'consilience[formats]'"
        ) from error
    if _numbers(version) < _numbers(least):
        raise MissingLibraryError(
            f"{package} {version} is too old to read {reads} files of unknown origin safely: "
            f"pip install '{package}>={least}'"
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:3])


def check_matrix(
    file: Path, shape: Sequence[int], dtype: object, size: int, *, packed: bool = False
) -> tuple[int, int]:
    """Return the shape if it is that of a matrix of floats which `size` bytes can hold.

    packed : whether the bytes are compressed, so that they may hold more than their number

    Raises
    ------
    ValueError
        Says what is wrong, and the remedy.
    """
    if len(shape) != 2:
        raise FormatError(
            f"{file} must hold an array of shape (n_samples, n_features), got {tuple(shape[:8])}; "
            "reshape it, for example by a mean over tokens, and save it again"
        )
    n, d = (int(extent) for extent in shape)
    itemsize = float_type(file, dtype).itemsize
    if min(n, d) < 0 or max(n, d) >= 1 << 62:
        raise FormatError(f"{file} is damaged: no array has shape ({n}, {d}); write it again")
    if 0 in (n, d):
        raise FormatError(f"{file} is empty: its array has shape ({n}, {d})")
    claimed, most = n * d * itemsize, size
    if packed:
        most = MOST_PACKED * size + SLACK
    if claimed > most:
        raise FormatError(
            f"{file} is truncated or lies: {size} bytes cannot hold shape ({n}, {d}), which "
            f"takes {claimed}; write it again"
        )
    return n, d


def check_piece(file: Path, piece: int, size: int) -> None:
    """Refuse chunks far larger than the file, as a chunk is unpacked whole."""
    if piece > min(SLACK + 4 * size, MOST_PIECE):
        raise FormatError(
            f"{file} has chunks of {piece} bytes in {size} bytes of file; write smaller chunks"
        )


def float_type(file: Path, dtype: object) -> np.dtype[Any]:
    """Return the native dtype of floats of 16, 32 or 64 bits, or refuse."""
    if not isinstance(dtype, np.dtype) or dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise FormatError(
            f"{file} must be float16, float32 or float64, got {one_line(dtype, 60)}; "
            "convert it with .astype('float32') and save it again"
        )
    return dtype.newbyteorder("=")


def check_room(file: Path, needed: int) -> None:
    """Refuse to read what the free memory cannot take."""
    free = _free_memory()
    if free is not None and needed > 0.8 * free:
        raise MemoryError(
            f"{file} takes {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} are free; "
            "make a store of it, which is mapped: consilience store convert"
        )


def _free_memory() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else None


def choose(file: Path, names: Sequence[str], asked: str, what: str) -> str:
    """Return the name asked for, or the only one."""
    if asked:
        if asked not in names:
            raise FormatError(f"{file} has no {what} {one_line(asked, 60)!r}; it has {some(names)}")
        return asked
    if len(names) != 1:
        raise FormatError(
            f"{file} must hold exactly one {what}, got {len(names)} ({some(names)}); "
            f"name the one you mean: {file.name}::NAME"
        )
    return names[0]


def plain_parts(file: Path, name: str) -> list[str]:
    """Return the steps of a name such as "obsm/X_pca"; none may lead out."""
    parts = [part for part in name.split("/") if part]
    if any(part in (".", "..") or "\\" in part or "\0" in part for part in parts):
        raise FormatError(f"{file} is asked for {one_line(name, 60)!r}, which leads out of it")
    return parts


def map_rows(
    file: Path, dtype: np.dtype[Any], offset: int, shape: tuple[int, int], order: str = "C"
) -> NDArray[Any]:
    """Return a read-only memory map, after a look that the file is long enough."""
    end = offset + shape[0] * shape[1] * dtype.itemsize
    size = file.stat().st_size
    if offset < 0 or end > size:
        raise FormatError(f"{file} is cut short: {size} bytes of {end}; write it again")
    array: NDArray[Any] = np.memmap(file, dtype, "r", offset, shape, "F" if order == "F" else "C")
    return array


def from_map(file: Path, array: NDArray[Any], **more: Any) -> Rows:
    """Return the rows of a memory map."""
    shape = (int(array.shape[0]), int(array.shape[1]))
    fetch = array.__getitem__
    return Rows(
        file,
        shape,
        array.dtype.newbyteorder("="),
        lambda a, b: fetch(slice(a, b)),
        mapped=array,
        **more,
    )
