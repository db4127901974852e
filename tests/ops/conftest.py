from dataclasses import replace

import numpy as np
import pytest

import gpu
from consilience.backends import Channel
from consilience.backends.array import ArrayBackend
from emulated import emulated
from engine import native

CONFIGURATIONS = {
    "native, one tile": {"tile": 512, "n_threads": 1},
    "native, small odd tiles": {"tile": 17, "n_threads": 1},
    "native, two threads": {"tile": 16, "n_threads": 2},
    "native, three threads": {"tile": 33, "n_threads": 3},
}
ARRAYS = {"array": {}, "array, row by row": {"entries": 1}}
TORCH = "array, torch"
EMULATED = {"cuda, emulated": True, "cuda, emulated, no warpgroups": False}


def pytest_generate_tests(metafunc):
    # Searches alone have a way without warpgroups.
    ways = list(EMULATED)[: None if "knn" in metafunc.module.__name__ else 1]
    gpu.parametrize(metafunc, "ops", [*CONFIGURATIONS, *ARRAYS, TORCH, *ways])
    gpu.parametrize(metafunc, "cuda", ways)


@pytest.fixture
def ops(request):
    """Every backend; small odd tiles and blocks, so that edges are met."""
    if request.param in CONFIGURATIONS:
        return native(**CONFIGURATIONS[request.param])
    if request.param in ARRAYS:
        return ArrayBackend(**ARRAYS[request.param])
    if request.param == TORCH:
        return OnTorch()
    return kernels(request.param)


class OnTorch:
    """The array backend, given torch's tensors for NumPy's arrays."""

    def __getattr__(self, name):
        op = getattr(ArrayBackend(), name)
        return lambda first, *others, **options: op(tensors(first), *others, **options)


def tensors(value):
    """Return arrays of floats, and those of channels and in lists, as tensors."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if isinstance(value, (list, tuple)):
        return [tensors(one) for one in value]
    if isinstance(value, Channel):
        return replace(value, X=tensors(value.X))
    is_set = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return torch.from_numpy(value) if is_set else value


@pytest.fixture
def cuda(request):
    """The CUDA kernels by every loader, few samples being enough for the screened search."""
    return kernels(request.param)


def kernels(name):
    if name in EMULATED:
        return emulated(screened_from=64, warpgroups=EMULATED[name])
    return replace(gpu.on_gpu(name), screened_from=64)


@pytest.fixture
def sets(rng):
    """Three related sets of 97 samples, one float32; with duplicates in the first two."""
    Z = rng.standard_normal((97, 4))
    X = np.hstack([Z, rng.standard_normal((97, 3))])
    Y = (Z @ rng.standard_normal((4, 11))).astype(np.float32)
    X[10] = X[80]
    Y[10] = Y[80]
    return X, Y, rng.standard_normal((97, 1))
