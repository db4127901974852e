"""The GPU backend by each loader of its kernels, for scripts and benches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from consilience.backends.native import NativeBackend

# The last two need no GPU: the kernels on a CPU, and no kernels at all.
LOADERS = ("cuda", "cupy", "emulated", "array")


def host_backend() -> NativeBackend:
    """Return the CPU's backend on all its cores."""
    return NativeBackend.for_arrays([], n_threads=None, max_memory=None)


def backend_of(loader: str, arrays: Sequence[Any] = (), **options: Any) -> Any:
    """Return the backend for arrays that are all on one GPU, or all on the host."""
    if loader == "array":
        from consilience.backends.array import ArrayBackend

        return ArrayBackend()
    if loader == "emulated":
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from emulated import emulated

        return emulated(**options)
    from consilience.backends.cuda import CudaBackend, _cupy, _native

    if hasattr(CudaBackend, "for_arrays"):
        chosen = {"n_threads": None, "max_memory": None, **options}
        return CudaBackend.for_arrays(list(arrays), loader=loader, **chosen)
    kind = _native.NativeDevice if loader == "cuda" else _cupy.CupyDevice
    settings = {"host": host_backend(), "max_memory": 8 << 30, **options}
    return CudaBackend(kind.for_arrays(list(arrays)), **settings)
