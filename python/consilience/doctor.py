"""What this machine can run, and why not what it cannot. A broken part is a finding, no error."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    *("numpy", "scipy", "torch", "cupy", "jax"),
    *("rdkit", "transformers", "onnxruntime", "plotly"),
)
# CuPy's packages are named by the version of CUDA.
VARIANTS = {"cupy": ("cupy", "cupy-cuda13x", "cupy-cuda12x")}

# What would bring each part, once there is a GPU for those that want one.
REMEDIES = {
    "native": "consilience installed again, from its source if need be",
    "cuda": "consilience built where nvcc is: pip install . -C cmake.define.CONSILIENCE_CUDA=ON",
    "cupy": "CuPy, and no nvcc: pip install 'consilience[cuda]'",
    "array": "array-api-compat: pip install array-api-compat",
    "torch": "a build of torch for CUDA",
    "jax": "JAX for CUDA: pip install 'jax[cuda13]'",
}
WANT_GPU = ("cuda", "cupy", "torch", "jax")
# What each part is.
PARTS = {
    "native": "CPU kernels",
    "cuda": "GPU kernels, compiled with this package",
    "cupy": "the same GPU kernels, compiled by CuPy at run time",
    "array": "array code, slow, on any device",
    "torch": "holds arrays on the GPU",
    "jax": "holds arrays on the GPU",
}


def examine() -> dict[str, Any]:
    """Return what is here, JSON-able.

    gpus : one mapping per GPU, or none and `no_gpu` says why
    parts : for each backend and each library that can hold arrays on a GPU, what it is, whether
        it is ready, and if not, why not (`missing`) and what would bring it (`remedy`)
    """
    from consilience.backends._gpus import DriverError, gpus

    try:
        found, no_gpu = [asdict(gpu) for gpu in gpus()], None
    except DriverError as error:
        found, no_gpu = [], str(error)
    return {
        "consilience": installed("consilience"),
        "python": platform.python_version(),
        "executable": sys.executable,
        "machine": f"{platform.system()} {platform.machine()}",
        "processors": _processors(),
        "cpu": cpu_features(),
        "gpus": found,
        "no_gpu": no_gpu,
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "parts": {name: _part(name, ask, bool(found)) for name, ask in _questions().items()},
        "packages": {name: installed(name) for name in PACKAGES},
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield what `examine` found, for reading."""
    from consilience.backends._gpus import Gpu

    yield f"consilience   {found['consilience'] or 'not installed'}"
    yield f"python        {found['python']} ({found['executable']})"
    yield f"machine       {found['machine']}, {found['processors'] or 'unknown'} cores"
    yield f"cpu           {', '.join(found['cpu']) or 'features unknown'}"
    for gpu in found["gpus"]:
        yield f"gpu           {gpu['number']}: {Gpu(**gpu)}"
    if not found["gpus"]:
        yield f"gpu           none: {found['no_gpu']}"
    for name, part in found["parts"].items():
        kind = "gpu arrays" if name in ("torch", "jax") else "backend"
        state = "ready" if part["ready"] else part["missing"]
        yield f"{kind:<13} {name}: {state} ({part['is']})"
        if part["remedy"]:
            yield f"{'':<13}   needs {part['remedy']}"
    for name, number in found["packages"].items():
        yield f"{name:<13} {number or 'not installed'}"


def installed(package: str) -> str | None:
    """Return the version of an installed package, which is not imported."""
    for name in VARIANTS.get(package, (package,)):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def cpu_features() -> list[str]:
    """Return the vector units that matter here, where the system tells."""
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return []
    known = ("avx2", "fma", "avx512f", "avx512_vnni", "asimd", "sve")
    return [name for name in known if name in words]


def _part(name: str, missing: Callable[[], str | None], has_gpu: bool) -> dict[str, Any]:
    from consilience.backends._placement import sentence

    try:
        reason = missing()
    except Exception as error:
        reason = sentence(error)
    remedy = REMEDIES[name]
    if name in WANT_GPU and not has_gpu:
        remedy = f"an NVIDIA GPU with its driver, and {remedy}"
    return {
        "is": PARTS[name],
        "ready": reason is None,
        "missing": reason,
        "remedy": None if reason is None else remedy,
    }


def _questions() -> dict[str, Callable[[], str | None]]:
    """Return what says of each part why it cannot run here, or None."""
    from consilience import backends
    from consilience.backends import _placement

    return {
        "native": lambda: _runs("native"),
        "cuda": lambda: backends.gpu_missing("cuda"),
        "cupy": lambda: backends.gpu_missing("cupy"),
        "array": lambda: _runs("array"),
        "torch": _placement.torch_missing,
        "jax": _placement.jax_missing,
    }


def _runs(name: str) -> None:
    """Search a small array; a broken build raises."""
    import numpy as np

    from consilience.backends import select

    X = np.eye(4, 2, dtype=np.float32)
    select(name, [X]).knn_exact(X, k=1, distance="l2")


def _processors() -> int | None:
    try:
        from consilience.backends.native import cpu_count

        return cpu_count()
    except ImportError:  # a finding of `native`
        return os.cpu_count()
