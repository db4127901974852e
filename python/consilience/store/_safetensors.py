"""The safetensors layout for one 2-D tensor, with the data on a page boundary.

A file is the length of the header (8 bytes, little endian), a JSON header padded with
spaces, and the raw rows. The `safetensors` library reads what is written here; reading goes
through our own memory map because that is several times faster than its slices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 4096
MAX_HEADER = 100_000_000
TENSOR = "embeddings"
DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
BFLOAT16 = "BF16"


@dataclass(frozen=True)
class TensorInfo:
    """Where one tensor lies in a safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


def header_for(dtype: Any, shape: tuple[int, ...], name: str = TENSOR) -> bytes:
    """Return the bytes that stand before the rows of an array."""
    code = next(code for code, known in DTYPES.items() if known == dtype)
    size = math.prod(shape) * DTYPES[code].itemsize
    entry = {"dtype": code, "shape": list(shape), "data_offsets": [0, size]}
    text = json.dumps({name: entry}).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def read_header(path: Path) -> list[TensorInfo]:
    """Return the tensors of a safetensors file after checking the sizes it claims.

    Raises
    ------
    ValueError
        If the header cannot be read or the file does not hold the bytes it names.
    """
    with path.open("rb") as file:

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        return parse_header(read, path.stat().st_size, path)


def parse_header(
    read: Callable[[int, int], bytes], size: int, path: Path | str
) -> list[TensorInfo]:
    """Return the tensors of a safetensors file of `size` bytes, read through `read(start, stop)`.

    Raises
    ------
    ValueError
        As `read_header`.
    """
    length = int.from_bytes(read(0, 8), "little")
    if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
        raise ValueError(f"{path} is not a safetensors file, or is cut short: {size} bytes")
    text = read(8, 8 + length)
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = [_tensor(path, name, entry, 8 + length) for name, entry in entries.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} has a broken safetensors header: {error}") from error
    end = 8 + length + max((int(e["data_offsets"][1]) for e in entries.values()), default=0)
    if size < end:
        raise ValueError(f"{path} is cut short: {size} bytes of {end}; write it again")
    return tensors


def _tensor(path: Path | str, name: str, entry: dict[str, Any], data_start: int) -> TensorInfo:
    begin, end = (int(offset) for offset in entry["data_offsets"])
    shape = tuple(int(extent) for extent in entry["shape"])
    code = str(entry["dtype"])
    if code in DTYPES or code == BFLOAT16:
        itemsize = DTYPES[code].itemsize if code in DTYPES else 2
        if begin < 0 or min(shape, default=0) < 0 or end - begin != math.prod(shape) * itemsize:
            raise ValueError(f"tensor {name!r} of shape {shape} has {end - begin} bytes")
    return TensorInfo(name, code, shape, data_start + begin)


def map_tensor(path: Path, tensor: TensorInfo) -> NDArray[Any]:
    """Return a read-only memory map of a tensor; bfloat16 is widened, exactly, to float32."""
    if tensor.dtype == BFLOAT16:
        bits = np.memmap(path, np.dtype("<u2"), "r", tensor.offset, tensor.shape)
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return np.memmap(path, DTYPES[tensor.dtype], "r", tensor.offset, tensor.shape)
