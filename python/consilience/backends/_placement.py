"""Where arrays are, and bringing them to the GPU for those who ask for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

DEVICES = ("auto", "cuda", "cpu")
# What brings an array home, by the library that holds it.
HOMEWARD = {"torch": "tensor.cpu()", "cupy": "cupy.asnumpy(array)", "jax": "jax.device_get(array)"}


class UnsupportedArraysError(TypeError):
    """A backend cannot work on these arrays where they are."""


class Place(NamedTuple):
    """Where an array is.

    kind : "host", "gpu" (CUDA) or "other" (an accelerator that only array code knows)
    number : which GPU, of those this process sees;  library : "numpy", "torch", "cupy", "jax", ...
    """

    kind: str
    number: int
    library: str

    def __str__(self) -> str:
        where = {"host": "in host memory", "gpu": f"on GPU {self.number}"}
        return f"{self.library} {where.get(self.kind, 'on another device')}"


HOST = Place("host", 0, "numpy")


def place(array: Any) -> Place:
    """Return where an array that passed the gate is, without touching its entries."""
    if isinstance(array, np.ndarray):
        return HOST
    library = type(array).__module__.partition(".")[0].removesuffix("lib")  # jaxlib
    if library == "torch":
        kind = {"cuda": "gpu", "cpu": "host"}.get(array.device.type, "other")
        return Place(kind, array.device.index or 0, library)
    if library == "cupy":
        return Place("gpu", int(array.device.id), library)
    if library == "jax":
        devices = sorted(array.devices(), key=lambda one: int(one.id))
        if len(devices) > 1:
            raise UnsupportedArraysError(
                f"a jax array is spread over {len(devices)} devices; bring it to one with "
                "jax.device_put(array, jax.devices()[0])"
            )
        kind = {"gpu": "gpu", "cuda": "gpu", "cpu": "host"}.get(devices[0].platform, "other")
        return Place(kind, int(devices[0].id), library)
    return Place("other", 0, library)


def require_float64(array: Any) -> None:
    """Raise if the array's library leaves float64 out, which it would do in silence."""
    if place(array).library == "jax" and not _jax_has_float64():
        raise UnsupportedArraysError(
            "sums are float64, which this JAX leaves out; "
            "call jax.config.update('jax_enable_x64', True) first"
        )


def _jax_has_float64() -> bool:
    import jax

    return bool(jax.config.jax_enable_x64)


def common_place(places: Sequence[Place]) -> Place:
    """Return where all of the arrays are; host memory if there are none."""
    if not places:
        return HOST
    first = places[0]
    for other in places[1:]:
        if (other.kind, other.number) == (first.kind, first.number):
            continue
        away = other if first.kind == "host" else first
        remedy = f"bring them to one device, or home with {homeward(away)}"
        if {first.kind, other.kind} == {"host", "gpu"}:
            remedy = f'device="cuda" brings all to that GPU, {homeward(away)} one of it home'
        raise UnsupportedArraysError(
            f"the arrays are in different places: {first} and {other}; {remedy}"
        )
    return first


def homeward(where: Place) -> str:
    """Return what to write to bring an array from there to host memory."""
    return HOMEWARD.get(where.library, "numpy.from_dlpack(array)")


def on_device(arrays: Sequence[Any], device: str) -> list[Any]:
    """Return arrays that passed the gate as `device` wants them: only "cuda" moves any.

    As CuPy arrays if CuPy can run here, else as torch tensors if torch has CUDA. NumPy arrays stay
    as they are if neither can, or if together they would fill more than half of what is free: the
    backend then brings over what an op wants, moments a block of rows at a time.
    """
    if device != "cuda":
        return list(arrays)
    places = [place(array) for array in arrays]
    there = [one for one in places if one.kind == "gpu"]
    target = common_place(there)
    library = _library(there)
    if library is None:
        if there and len(there) < len(places):
            raise UnsupportedArraysError(
                f"arrays in host memory cannot join those on GPU {target.number}: cupy: "
                f"{cupy_missing()}; torch: {torch_missing()}; bring all home with "
                f"{homeward(target)}"
            )
        return list(arrays)
    coming = sum(a.nbytes for a, where in zip(arrays, places, strict=True) if where.kind == "host")
    if not there and coming > _free_bytes(library, target.number) // 2:
        return list(arrays)
    return [
        _upload(array, library, target.number) if where.kind == "host" else array
        for array, where in zip(arrays, places, strict=True)
    ]


def _library(there: Sequence[Place]) -> str | None:
    """Return what is to hold uploaded arrays: what holds those on the GPU already, if it can."""
    for one in there:
        if one.library in ("cupy", "torch"):
            return one.library
    for name, missing in (("cupy", cupy_missing), ("torch", torch_missing)):
        if missing() is None:
            return name
    return None


def _free_bytes(library: str, index: int) -> int:
    if library == "cupy":
        import cupy

        return int(cupy.cuda.Device(index).mem_info[0])
    import torch

    return int(torch.cuda.mem_get_info(index)[0])


def _upload(array: Any, library: str, index: int) -> Any:
    try:
        return {"cupy": _to_cupy, "torch": _to_torch}[library](array, index)
    except Exception as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        gib = array.nbytes / 2**30
        raise MemoryError(
            f"no room on GPU {index} for an embedding of {gib:.2f} GiB; compare fewer models at "
            'a time, or stay in host memory with device="auto"'
        ) from error


def _to_cupy(array: Any, index: int) -> Any:
    import cupy

    with cupy.cuda.Device(index):
        return cupy.asarray(array)


def _to_torch(array: Any, index: int) -> Any:
    import torch

    # torch.tensor copies, which read-only arrays want; from_numpy would warn of them.
    return torch.tensor(array, device=f"cuda:{index}")


def cupy_missing() -> str | None:
    """Return why CuPy cannot hold arrays on a GPU here, or None."""
    from consilience.backends.cuda import _cupy

    return _cupy.missing()


def torch_missing() -> str | None:
    """Return why torch cannot hold arrays on a GPU here, or None."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    except Exception as error:
        return f"torch cannot be loaded: {sentence(error)}"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU"
    return None


def jax_missing() -> str | None:
    """Return why JAX cannot hold arrays on a GPU here, or None."""
    try:
        import jax
    except ImportError:
        return "JAX is not installed"
    except Exception as error:
        return f"JAX cannot be loaded: {sentence(error)}"
    try:
        found = bool(jax.devices("gpu"))
    except RuntimeError:
        found = False
    return None if found else f"JAX {jax.__version__} finds no GPU"


def sentence(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
