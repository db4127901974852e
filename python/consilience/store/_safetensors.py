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

from consilience._files import parse_json

ALIGNMENT = 4096
# Some forty thousand tensors; what unpacks from more JSON than that is an attack on memory.
MAX_HEADER = 4 << 20
TENSOR = "embeddings"
DTYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
BFLOAT16 = "BF16"
ITEMSIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", BFLOAT16), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}


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
    if size < 8 or not 2 <= length <= size - 8:
        raise ValueError(f"{path} is not a safetensors file, or is cut short: {size} bytes")
    if length > MAX_HEADER:
        raise ValueError(f"{path} has a header of {length} bytes, at most {MAX_HEADER} are read")
    text = read(8, 8 + length)
    try:
        entries = parse_json(text)
        entries.pop("__metadata__", None)
        spans = [_span(name, entry) for name, entry in entries.items()]
        end = _check_spans(spans)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} has a broken safetensors header: {error}") from error
    if size < 8 + length + end:
        raise ValueError(f"{path} is cut short: {size} bytes of {8 + length + end}; write it again")
    return [
        TensorInfo(name, entry["dtype"], tuple(entry["shape"]), 8 + length + begin)
        for (name, entry), (begin, _) in zip(entries.items(), spans, strict=True)
    ]


def _span(name: str, entry: dict[str, Any]) -> tuple[int, int]:
    """Return where a tensor begins and ends, after checking that this is its size."""
    begin, end = _whole(entry["data_offsets"])
    shape, code = _whole(entry["shape"]), entry["dtype"]
    if not isinstance(code, str) or not name.isprintable():
        raise ValueError(f"tensor {name[:80]!r} has no plain name and dtype")
    if code in ITEMSIZES and end - begin != math.prod(shape) * ITEMSIZES[code]:
        raise ValueError(f"tensor {name[:80]!r} of shape {shape} has {end - begin} bytes")
    return begin, end


def _whole(numbers: object) -> tuple[int, ...]:
    """Return a list of sizes; JSON also knows 1.5, NaN, true and numbers of any length."""
    if not isinstance(numbers, list) or len(numbers) > 32:
        raise ValueError("a shape or an offset is no list of sizes")
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
        raise ValueError("a shape or an offset is no list of sizes")
    return tuple(numbers)


def _check_spans(spans: list[tuple[int, int]]) -> int:
    """Return where the last tensor ends, if none reaches into another."""
    last = 0
    for begin, end in sorted(spans):
        if not last <= begin <= end:
            raise ValueError("its tensors overlap")
        last = end
    return last


def map_tensor(path: Path, tensor: TensorInfo) -> NDArray[Any]:
    """Return a read-only memory map of a tensor; bfloat16 is widened, exactly, to float32."""
    if tensor.dtype == BFLOAT16:
        bits = np.memmap(path, np.dtype("<u2"), "r", tensor.offset, tensor.shape)
        return (bits.astype(np.uint32) << 16).view(np.float32)
    return np.memmap(path, DTYPES[tensor.dtype], "r", tensor.offset, tensor.shape)
