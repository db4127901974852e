"""What a loader of the kernels offers: memory, launches, products. Knows no op."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

THREADS = 256  # of most blocks
WARPS = THREADS // 32


@dataclass(frozen=True)
class Buffer:
    """A C-ordered array in the device's memory, alive as long as it is referred to.

    pointer : address on the device
    owner : what keeps the memory
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: Any = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_double(self) -> int:
        """Return 1 for float64, 0 for float32: how kernels read rows."""
        return int(self.dtype == np.float64)

    def __len__(self) -> int:
        return self.shape[0]

    def at(self, element: int) -> int:
        """Return the address of an element, counted from the first."""
        return self.pointer + element * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> Buffer:
        """Return a view of some rows."""
        width = math.prod(self.shape[1:])
        shape = (stop - start, *self.shape[1:])
        return Buffer(self.at(start * width), shape, self.dtype, self.owner)

    def reshaped(self, *shape: int) -> Buffer:
        """Return a view of the first elements in another shape."""
        return Buffer(self.pointer, shape, self.dtype, self.owner)


def blocks(count: int, of: int = THREADS) -> int:
    """Return how many blocks of so many `count` things take."""
    return -(-count // of)


def require_memory(
    op: str, needed: int, max_memory: int, remedy: str = "compare fewer models at a time"
) -> None:
    """Raise if an op cannot do with the memory it may use."""
    if needed > max_memory:
        raise MemoryError(
            f"{op} needs {needed / 2**20:.0f} MiB of the GPU at least, and may use "
            f"{max_memory / 2**20:.0f} MiB; raise `max_memory` or {remedy}"
        )


def words(arguments: Sequence[Buffer | int | float | None]) -> list[int]:
    """Return the 64 bits that each argument of a kernel is."""
    return [_word(argument) for argument in arguments]


def _word(argument: Buffer | int | float | None) -> int:
    if argument is None:
        return 0
    if isinstance(argument, Buffer):
        return argument.pointer
    if isinstance(argument, float):
        return int.from_bytes(struct.pack("<d", argument), "little")
    return int(argument) & (2**64 - 1)


class Device(Protocol):
    """A GPU, by one of the loaders; calls are in order, on one stream."""

    @property
    def name(self) -> str:
        """Return the name of the backend that it serves."""

    @property
    def multiprocessors(self) -> int:
        """Return how many blocks that fill one each run at a time."""

    def empty(self, shape: Sequence[int], dtype: Any) -> Buffer:
        """Return memory of any content."""

    def zeros(self, shape: Sequence[int], dtype: Any) -> Buffer:
        """Return memory of zeros."""

    def from_host(self, array: Any) -> Buffer:
        """Return a copy of a NumPy array."""

    def to_host(self, buffer: Buffer) -> Any:
        """Return a copy as a NumPy array, all that was launched being done."""

    def view(self, array: Any) -> Buffer:
        """Return the rows of a user's array on this device, C-ordered: copied only if they are not.

        A NumPy array is copied to the device.
        """

    def launch(
        self,
        kernel: str,
        grid: int | tuple[int, ...],
        block: int,
        *arguments: Buffer | int | float | None,
        shared: int = 0,
    ) -> None:
        """Run a kernel of csrc/cuda; None is a null pointer, int index_t, float double."""

    def gemm(
        self,
        a: int,
        b: int,
        c: int,
        *,
        m: int,
        n: int,
        k: int,
        transpose_a: bool = False,
        transpose_b: bool = False,
        lda: int,
        ldb: int,
        ldc: int,
        alpha: float = 1.0,
        beta: float = 0.0,
        batch: int = 1,
        strides: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        """C = alpha op(A) op(B) + beta C in float64, for each of a batch; addresses, row-major.

        op(A) is m x k and op(B) k x n; lda, ldb, ldc are lengths of stored rows, strides are from
        one of a batch to the next; all in elements.
        """

    def free_bytes(self) -> int:
        """Return the bytes of memory that could be taken now."""

    def synchronize(self) -> None:
        """Wait until all that was launched is done."""
