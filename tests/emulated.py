"""The kernels of csrc/cuda on a CPU: a `Device` of the emulator, for machines without a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from consilience.backends.cuda import CudaBackend
from consilience.backends.cuda._device import Buffer, words
from engine import native

try:
    from consilience import _emulated
except ImportError:
    _emulated = None


def _buffer(array):
    return Buffer(array.ctypes.data, array.shape, array.dtype, array)


class EmulatedDevice:
    """Host memory that kernels run on as if it were a GPU's."""

    name = "emulated"
    multiprocessors = 3

    def __init__(self, warpgroups=True):
        self._warpgroups = warpgroups

    def empty(self, shape, dtype):
        array = np.empty(shape, dtype)
        array.view(np.uint8).reshape(-1)[:] = 0xA5  # what is not written must not be read
        return _buffer(array)

    def zeros(self, shape, dtype):
        return _buffer(np.zeros(shape, dtype))

    def from_host(self, array):
        return _buffer(np.array(array, order="C"))

    def to_host(self, buffer):
        count = buffer.size
        raw = (np.ctypeslib.ctypes.c_char * buffer.nbytes).from_address(buffer.pointer)
        return np.frombuffer(raw, buffer.dtype, count).reshape(buffer.shape).copy()

    def view(self, array):
        return _buffer(np.ascontiguousarray(array))

    def launch(self, kernel, grid, block, *arguments, shared=0):
        grid = (grid,) if isinstance(grid, int) else grid
        _emulated.use_warpgroups(self._warpgroups)
        _emulated.launch(kernel, grid, block, shared, words(arguments))

    def gemm(
        self,
        a,
        b,
        c,
        *,
        m,
        n,
        k,
        lda,
        ldb,
        ldc,
        transpose_a=False,
        transpose_b=False,
        alpha=1.0,
        beta=0.0,
        batch=1,
        strides=(0, 0, 0),
    ):
        _emulated.gemm(
            a, b, c, m, n, k, transpose_a, transpose_b, lda, ldb, ldc, alpha, beta, batch, strides
        )

    def free_bytes(self):
        return 1 << 30

    def synchronize(self):
        pass


def emulated(*, warpgroups=True, **options):
    """Return the CUDA backend on the emulator, with the instructions of Hopper or without."""
    if _emulated is None:
        pytest.skip("built without the emulator (CONSILIENCE_EMULATOR=ON)")
    settings = {"host": native(n_threads=2), "max_memory": 1 << 28, **options}
    return CudaBackend(EmulatedDevice(warpgroups), **settings)
