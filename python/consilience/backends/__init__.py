"""Where ops run. `select` is the only place that chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from consilience._validate import check_choice, check_integer
from consilience.backends._placement import (
    DEVICES,
    Place,
    UnsupportedArraysError,
    common_place,
    homeward,
    on_device,
    place,
    torch_missing,
)
from consilience.backends.base import Backend, Channel, PairTable, RowTable


def _native(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    from consilience.backends.native import NativeBackend

    return NativeBackend.for_arrays(arrays, n_threads=n_threads, max_memory=max_memory)


def _cuda(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    return _gpu("cuda", arrays, n_threads, max_memory)


def _cupy(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    return _gpu("cupy", arrays, n_threads, max_memory)


def _gpu(
    loader: str, arrays: Sequence[Any], n_threads: int | None, max_memory: int | None
) -> Backend:
    if reason := gpu_missing(loader):
        raise UnsupportedArraysError(
            f"backend {loader!r} cannot run: {reason}; see `consilience doctor`"
        )
    from consilience.backends.cuda import CudaBackend

    return CudaBackend.for_arrays(arrays, loader=loader, n_threads=n_threads, max_memory=max_memory)


def _array(arrays: Sequence[Any], n_threads: int | None, max_memory: int | None) -> Backend:
    from consilience.backends.array import ArrayBackend

    return ArrayBackend.for_arrays(arrays)


BACKENDS: dict[str, Callable[[Sequence[Any], int | None, int | None], Backend]] = {
    "native": _native,
    "cuda": _cuda,
    "cupy": _cupy,
    "array": _array,
}
GPU_BACKENDS = ("cuda", "cupy")


def gpu_missing(loader: str) -> str | None:
    """Return why the kernels cannot run on a GPU here by this loader, or None."""
    from consilience.backends.cuda import _cupy, _native

    return _native.missing() if loader == "cuda" else _cupy.missing()


def check_run(backend: str | Backend, device: str) -> None:
    """Raise unless both are known and do not contradict each other."""
    check_choice(device, "device", DEVICES)
    if not isinstance(backend, str):
        return
    check_choice(backend, "backend", ["auto", *BACKENDS])
    if (backend, device) == ("native", "cuda") or (backend in GPU_BACKENDS and device == "cpu"):
        works = "in host memory" if backend == "native" else "on a GPU"
        raise ValueError(
            f"backend={backend!r} works {works}, which device={device!r} excludes; "
            "leave one of them at 'auto'"
        )


def check_device(device: str) -> None:
    """Raise, before any work, unless `device` can be had for arrays in host memory."""
    select("auto", on_device([np.zeros((2, 1), np.float32)], device), device=device)


def select(
    backend: str | Backend,
    arrays: Sequence[Any],
    *,
    device: str = "auto",
    n_threads: int | None = None,
    max_memory: int | None = None,
) -> Backend:
    """Return the backend named, or for "auto" the fastest one that takes `arrays`.

    Only "auto" may fall back, and no data moves: arrays are worked on where they are, to which
    device="cuda" has brought them (`on_device`). A backend asked for by name, or a device, raises
    if it cannot be had.
    """
    check_run(backend, device)
    if not isinstance(backend, str):
        return backend
    if n_threads is not None:
        check_integer(n_threads, "n_threads", 1)
    where = common_place([place(array) for array in arrays])
    _check_place(backend, device, where)
    candidates = _candidates(where, device) if backend == "auto" else (backend,)
    reasons = []
    for name in candidates:
        try:
            return BACKENDS[name](arrays, n_threads, max_memory)
        except UnsupportedArraysError as error:
            if backend != "auto":
                raise
            reasons.append(str(error))
    said = _no_gpu() if device == "cuda" and where.kind == "host" else "; ".join(reasons)
    raise UnsupportedArraysError(said)


def _candidates(where: Place, device: str) -> tuple[str, ...]:
    """Return the backends that can work there, the fastest first."""
    if where.kind == "gpu":
        return (*GPU_BACKENDS, "array")
    if device == "cuda":  # not moved, as nothing here holds arrays on a GPU but a backend itself
        return GPU_BACKENDS
    return ("native", "array") if where.kind == "host" else ("array",)


def _check_place(backend: str, device: str, where: Place) -> None:
    """Raise if the arrays are not where they would be worked on."""
    if device == "cpu" and where.kind != "host":
        raise UnsupportedArraysError(
            f'device="cpu" works in host memory, and the arrays are {where}; bring them home '
            f"with {homeward(where)}"
        )
    if device == "cuda" and where.kind == "other":
        raise UnsupportedArraysError(
            f'device="cuda" works on a GPU, and the arrays are {where}; bring them home first, '
            f"with {homeward(where)}"
        )
    if backend in GPU_BACKENDS and device == "auto" and where.kind == "host":
        raise UnsupportedArraysError(
            f"backend {backend!r} works on a GPU, and the arrays are in host memory; "
            'device="cuda" brings them there'
        )
    if backend == "array" and device == "cuda" and where.kind == "host":
        raise UnsupportedArraysError(_no_gpu())


def _no_gpu() -> str:
    reasons = {"cuda": gpu_missing("cuda"), "cupy": gpu_missing("cupy"), "torch": torch_missing()}
    said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)
    return f'device="cuda" cannot be had here ({said}); `consilience doctor` says what would help'


__all__ = [
    "BACKENDS",
    "GPU_BACKENDS",
    "Backend",
    "Channel",
    "PairTable",
    "RowTable",
    "UnsupportedArraysError",
    "check_device",
    "check_run",
    "gpu_missing",
    "on_device",
    "select",
]
