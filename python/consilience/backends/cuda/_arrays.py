"""Arrays of other libraries as the loaders see them: on which GPU and stream, at which address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
}


class Spot(NamedTuple):
    """Where work on arrays is to be done.

    gpu : which one, of those this process sees
    stream : address of the caller's current stream of that GPU, 0 being CUDA's default
    owner : what keeps the stream
    """

    gpu: int
    stream: int
    owner: Any = None


class Rows(NamedTuple):
    """C-ordered float32 or float64 on a GPU, and what keeps them."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    gpu: int
    owner: Any


def library_of(array: Any) -> str:
    """Return the name of the library that an array is of."""
    name = type(array).__module__.partition(".")[0]
    return "jax" if name == "jaxlib" else name


def on_host(array: Any) -> bool:
    """Return whether NumPy can read the array where it is."""
    library = library_of(array)
    if library == "torch":
        return bool(array.device.type == "cpu")
    if library == "jax":
        return all(device.platform == "cpu" for device in array.devices())
    return isinstance(array, np.ndarray)


def spot_of(arrays: Sequence[Any]) -> Spot | None:
    """Return the GPU of the arrays and its current stream; None if all are on the host."""
    libraries = {gpu_of(array): library_of(array) for array in arrays if not on_host(array)}
    if len(libraries) > 1:
        raise ValueError(
            f"the arrays are on GPUs {' and '.join(map(str, sorted(libraries)))}; "
            "bring them to one, or compare those of each GPU in a process of its own"
        )
    for gpu, library in libraries.items():
        return current_stream(library, gpu)
    return None


def gpu_of(array: Any) -> int:
    """Return which GPU an array is on."""
    library = library_of(array)
    if library == "torch" and array.device.type == "cuda":
        return int(array.device.index)
    if library == "cupy":
        return int(array.device.id)
    if library == "jax":
        (device,) = array.devices()
        return int(device.id)
    where = f" on {array.device}" if hasattr(array, "device") else ""
    raise TypeError(
        f"the GPU kernels take NumPy, torch, CuPy and JAX arrays, got {library}'s"
        f" {type(array).__name__}{where}"
    )


def current_stream(library: str, gpu: int) -> Spot:
    """Return the stream on which a library works at the moment; JAX does not tell its own."""
    if library == "torch":
        import torch

        stream = torch.cuda.current_stream(gpu)
        return Spot(gpu, int(stream.cuda_stream), stream)
    if library == "cupy":
        import cupy

        with cupy.cuda.Device(gpu):
            stream = cupy.cuda.get_current_stream()
        return Spot(gpu, int(stream.ptr), stream)
    return Spot(gpu, 0)


def rows_of(array: Any, stream: int) -> Rows:
    """Return a GPU array's rows, ready for work on a stream.

    What is not C-ordered is copied by its own library.
    """
    library, gpu = library_of(array), gpu_of(array)
    if library == "torch":
        array = array.detach().resolve_neg().contiguous()
        dtype, address = str(array.dtype).removeprefix("torch."), array.data_ptr()
    elif library == "cupy":
        if not array.flags.c_contiguous:
            array = array.copy(order="C")
        dtype, address = str(array.dtype), array.data.ptr
    else:
        # Nothing orders its stream before ours.
        array = array.block_until_ready()
        dtype, address = str(array.dtype), array.unsafe_buffer_pointer()
    if library != "jax" and (theirs := current_stream(library, gpu)).stream != stream:
        theirs.owner.synchronize()
    if dtype not in DTYPES:
        raise TypeError(f"the GPU kernels take float32 and float64, got {dtype}")
    return Rows(int(address), tuple(array.shape), DTYPES[dtype], gpu, array)
