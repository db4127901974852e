"""The kernels as nvcc compiled them, by the extension `_cuda`."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from consilience.backends.cuda._arrays import Spot, on_host, rows_of, spot_of
from consilience.backends.cuda._device import Buffer, words

# Ampere: the first whose tensor cores multiply float64, and to copy in the background.
OLDEST = (8, 0)
CUBLAS = ("libcublas.so.13", "libcublas.so.12")


@functools.cache
def missing() -> str | None:
    """Return why the kernels cannot run here by this loader, in one sentence, or None."""
    try:
        from consilience import _cuda
    except ImportError as error:
        if importlib.util.find_spec("consilience._cuda") is None:
            return "consilience was built without CUDA"
        return f"the CUDA extension cannot be loaded: {' '.join(str(error).split())}"
    count, reason = _cuda.devices()
    if count == 0:
        return f"no GPU can be used: {reason}"
    facts = [_cuda.properties(index) for index in range(count)]
    if all(found["compute_capability"] < OLDEST for found in facts):
        major, minor = facts[0]["compute_capability"]
        return f"the kernels want compute capability 8.0, {facts[0]['name']} has {major}.{minor}"
    path, reason = _cuda.load_cublas(cublas_paths())
    if not path:
        return (
            f"cuBLAS was not found ({reason}); torch and CuPy bring it, "
            "as does pip install nvidia-cublas"
        )
    return None


def cublas_paths() -> list[str]:
    """Return where cuBLAS may be: beside torch, whose version it must be, then the system's."""
    paths = []
    found = importlib.util.find_spec("nvidia")
    for place in (found.submodule_search_locations or []) if found else []:
        for folder in ("cu13/lib", "cublas/lib"):
            paths += [str(Path(place) / folder / name) for name in CUBLAS]
    return [*paths, *CUBLAS, *(f"/usr/local/cuda/lib64/{name}" for name in CUBLAS)]


@functools.cache
def _properties(gpu: int) -> dict[str, Any]:
    from consilience import _cuda

    return dict(_cuda.properties(gpu))


class NativeDevice:
    """A GPU by the extension `_cuda`; see `_device.Device`."""

    name = "cuda"

    def __init__(self, spot: Spot = Spot(0, 0)) -> None:  # noqa: B008  (immutable)
        if reason := missing():
            raise RuntimeError(f"the CUDA kernels cannot run: {reason}")
        from consilience import _cuda

        self._cuda: Any = _cuda
        self._at = (spot.gpu, spot.stream)
        self._stream_owner = spot.owner

    @classmethod
    def for_arrays(cls, arrays: Sequence[Any]) -> NativeDevice:
        """Return the GPU that the arrays are on, working on their library's current stream."""
        return cls(spot_of(arrays) or Spot(0, 0))

    @property
    def index(self) -> int:
        """Return which GPU it is."""
        return self._at[0]

    @property
    def multiprocessors(self) -> int:
        return int(_properties(self.index)["multiprocessors"])

    def empty(self, shape: Sequence[int], dtype: Any) -> Buffer:
        kind = np.dtype(dtype)
        nbytes = math.prod(shape) * kind.itemsize
        memory = self._cuda.Memory(*self._at, nbytes, self._stream_owner)
        return Buffer(memory.address, tuple(shape), kind, memory)

    def zeros(self, shape: Sequence[int], dtype: Any) -> Buffer:
        buffer = self.empty(shape, dtype)
        self._cuda.fill_zero(*self._at, buffer.pointer, buffer.nbytes)
        return buffer

    def from_host(self, array: Any) -> Buffer:
        array = np.ascontiguousarray(array)
        buffer = self.empty(array.shape, array.dtype)
        self._cuda.to_device(*self._at, buffer.pointer, array.ctypes.data, buffer.nbytes)
        return buffer

    def to_host(self, buffer: Buffer) -> Any:
        array = np.empty(buffer.shape, buffer.dtype)
        self._cuda.to_host(*self._at, array.ctypes.data, buffer.pointer, buffer.nbytes)
        return array

    def view(self, array: Any) -> Buffer:
        if on_host(array):
            return self.from_host(np.asarray(array))
        found = rows_of(array, self._at[1])
        if found.gpu != self.index:
            raise ValueError(f"an array is on GPU {found.gpu}, the others on {self.index}")
        return Buffer(found.address, found.shape, found.dtype, found.owner)

    def launch(
        self,
        kernel: str,
        grid: int | tuple[int, ...],
        block: int,
        *arguments: Buffer | int | float | None,
        shared: int = 0,
    ) -> None:
        grid = (grid,) if isinstance(grid, int) else grid
        self._cuda.launch(*self._at, kernel, grid, block, shared, words(arguments))

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
        sizes = (m, n, k, transpose_a, transpose_b, lda, ldb, ldc, alpha, beta, batch, strides)
        self._cuda.gemm(*self._at, a, b, c, *sizes)

    def free_bytes(self) -> int:
        return int(self._cuda.free_bytes(self.index))

    def synchronize(self) -> None:
        self._cuda.synchronize(*self._at)

    def release(self) -> None:
        """Give memory that is held for later back to the GPU, for other libraries."""
        self._cuda.trim(self.index)

    def event(self) -> Any:
        """Return the moment when all that was launched so far is done."""
        return self._cuda.Event(*self._at)
