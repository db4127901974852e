"""The kernels as CuPy compiles them at run time: no nvcc is needed."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from consilience.backends.cuda._arrays import Spot, current_stream, on_host, rows_of, spot_of
from consilience.backends.cuda._device import Buffer
from consilience.backends.cuda._native import OLDEST

OPTIONS = ("-std=c++17", "-lineinfo")
FEATURED = ("90",)  # have instructions that only code for no other architecture may use
# Beyond, a kernel is asked for more: it has 48 KiB unasked, of which it declares up to 32 itself.
UNASKED_SHARED = 16 << 10
TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind
INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.MULTILINE)


@functools.cache
def missing() -> str | None:
    """Return why the kernels cannot run here by this loader, in one sentence, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        import cupy
        from cupy_backends.cuda.libs import cublas, nvrtc

        nvrtc.getVersion()
        del cublas
    except Exception as error:
        return f"CuPy cannot be loaded: {' '.join(str(error).split())}"
    if cupy.cuda.runtime.is_hip:
        return "this CuPy is for ROCm, the kernels are CUDA"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"no GPU can be used: {' '.join(str(error).split())}"
    if count == 0:
        return "no GPU can be used: no CUDA device is visible"
    found = [cupy.cuda.Device(index).compute_capability for index in range(count)]
    if all((int(one[:-1]), int(one[-1])) < OLDEST for one in found):
        return (
            f"the kernels want compute capability 8.0, this GPU has {found[0][:-1]}.{found[0][-1]}"
        )
    try:
        source_folder()
    except FileNotFoundError as error:
        return str(error)
    return None


def source_folder() -> Path:
    """Return where the sources of the kernels are: in the package, or beside it in the tree."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "kernels", here.parents[4] / "csrc" / "cuda"):
        if (folder / "kernels.cuh").is_file():
            return folder
    raise FileNotFoundError(f"{here.parent} has no kernels; install consilience again")


@functools.cache
def source() -> str:
    """Return the kernels as one text: CuPy's cache on disk does not look into included files."""
    folder = source_folder()
    taken: set[str] = set()

    def text_of(name: str) -> str:
        if name in taken:
            return ""
        taken.add(name)
        text = (folder / name).read_text(encoding="utf-8").replace("#pragma once\n", "")
        return INCLUDE.sub(lambda found: text_of(found[1]), text)

    return text_of("kernels.cuh")


@functools.cache
def _module(capability: str) -> Any:
    """Return the kernels for GPUs of this compute capability, which the current one has."""
    import cupy

    if capability in FEATURED:
        # CuPy names the plain architecture too; NVRTC then takes the one with more instructions.
        options = (*OPTIONS, f"-arch=sm_{capability}a")
        module = cupy.RawModule(code=source(), options=options, backend="nvrtc")
        with contextlib.suppress(cupy.cuda.compiler.CompileException):
            module.compile()
            return module
    return cupy.RawModule(code=source(), options=OPTIONS, backend="nvrtc")


class _Named:
    """A stream of another library, as CuPy wants to be told of it."""

    def __init__(self, spot: Spot) -> None:
        self._spot = spot

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._spot.stream


class CupyDevice:
    """A GPU by CuPy; see `_device.Device`."""

    name = "cupy"

    def __init__(self, spot: Spot | None = None) -> None:
        if reason := missing():
            raise RuntimeError(f"the CUDA kernels cannot run by CuPy: {reason}")
        import cupy

        if spot is None:
            spot = current_stream("cupy", cupy.cuda.runtime.getDevice())
        self._cupy: Any = cupy
        self._spot = spot
        if spot.owner is not None and isinstance(spot.owner, cupy.cuda.Stream):
            self._stream: Any = spot.owner
        elif hasattr(cupy.cuda.Stream, "from_external"):
            self._stream = cupy.cuda.Stream.from_external(_Named(spot))
        else:
            self._stream = cupy.cuda.ExternalStream(spot.stream, spot.gpu)
        self._kernels: dict[str, Any] = {}
        self._asked: dict[str, int] = {}

    @classmethod
    def for_arrays(cls, arrays: Sequence[Any]) -> CupyDevice:
        """Return the GPU that the arrays are on, working on their library's current stream."""
        return cls(spot_of(arrays))

    @property
    def index(self) -> int:
        """Return which GPU it is."""
        return self._spot.gpu

    @property
    def multiprocessors(self) -> int:
        return int(self._cupy.cuda.Device(self.index).attributes["MultiProcessorCount"])

    @contextlib.contextmanager
    def _here(self) -> Iterator[Any]:
        with self._cupy.cuda.Device(self.index), self._stream:
            yield self._cupy.cuda.runtime

    def empty(self, shape: Sequence[int], dtype: Any) -> Buffer:
        kind = np.dtype(dtype)
        with self._here():
            memory = self._cupy.cuda.alloc(max(1, math.prod(shape) * kind.itemsize))
        return Buffer(int(memory.ptr), tuple(shape), kind, memory)

    def zeros(self, shape: Sequence[int], dtype: Any) -> Buffer:
        buffer = self.empty(shape, dtype)
        with self._here() as runtime:
            runtime.memsetAsync(buffer.pointer, 0, buffer.nbytes, self._spot.stream)
        return buffer

    def from_host(self, array: Any) -> Buffer:
        array = np.ascontiguousarray(array)
        buffer = self.empty(array.shape, array.dtype)
        self._copy(buffer.pointer, array.ctypes.data, buffer.nbytes, TO_DEVICE)
        return buffer

    def to_host(self, buffer: Buffer) -> Any:
        array = np.empty(buffer.shape, buffer.dtype)
        self._copy(array.ctypes.data, buffer.pointer, buffer.nbytes, TO_HOST)
        return array

    def _copy(self, to: int, source: int, nbytes: int, kind: int) -> None:
        with self._here() as runtime:
            if nbytes:
                runtime.memcpyAsync(to, source, nbytes, kind, self._spot.stream)
            runtime.streamSynchronize(self._spot.stream)

    def view(self, array: Any) -> Buffer:
        if on_host(array):
            return self.from_host(np.asarray(array))
        found = rows_of(array, self._spot.stream)
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
        grid = (grid,) if isinstance(grid, int) else tuple(grid)
        with self._here():
            function = self._function(kernel)
            if shared > self._asked.get(kernel, UNASKED_SHARED):
                function.max_dynamic_shared_size_bytes = shared
                self._asked[kernel] = shared
            try:
                function(grid, (block,), tuple(map(_argument, arguments)), shared_mem=shared)
            except self._cupy.cuda.driver.CUDADriverError as error:
                raise RuntimeError(
                    f"CUDA: {kernel} on a grid of {grid} blocks of {block} threads with {shared} "
                    f"bytes of shared memory: {error}"
                ) from error

    def _function(self, kernel: str) -> Any:
        if kernel not in self._kernels:
            capability = self._cupy.cuda.Device(self.index).compute_capability
            self._kernels[kernel] = _module(capability).get_function(kernel)
        return self._kernels[kernel]

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
        from cupy_backends.cuda.libs import cublas

        if m == 0 or n == 0 or batch == 0:
            return
        factors = np.array([alpha, beta])
        first, second = factors.ctypes.data, factors.ctypes.data + factors.itemsize
        # cuBLAS is column-major, in which a row-major matrix is its transpose: C' = op(B)' op(A)'.
        stored = (cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T)
        with self._here():
            cublas.dgemmStridedBatched(
                self._cupy.cuda.device.get_cublas_handle(),
                *(stored[transpose_b], stored[transpose_a], n, m, k, first),
                *(b, ldb, strides[1], a, lda, strides[0], second, c, ldc, strides[2], batch),
            )

    def free_bytes(self) -> int:
        with self._here() as runtime:
            free, _ = runtime.memGetInfo()
            return int(free + self._cupy.get_default_memory_pool().free_bytes())

    def synchronize(self) -> None:
        with self._here() as runtime:
            runtime.streamSynchronize(self._spot.stream)

    def release(self) -> None:
        """Give memory that is held for later back to the GPU, for other libraries."""
        with self._here():
            self._cupy.get_default_memory_pool().free_all_blocks()


def _argument(argument: Buffer | int | float | None) -> Any:
    if argument is None:
        return np.uint64(0)
    if isinstance(argument, Buffer):
        return np.uint64(argument.pointer)
    return np.float64(argument) if isinstance(argument, float) else np.int64(argument)
