"""safetensors files, mapped by our own header reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.store._safetensors import BFLOAT16, DTYPES, read_header
from consilience.store.readers.rows import (
    FormatError,
    Rows,
    check_matrix,
    choose,
    from_map,
    map_rows,
)


def open_safetensors(file: Path, name: str) -> Rows:
    """Open the only tensor of a file, or the one called `name`; bfloat16 is widened."""
    tensors = {tensor.name: tensor for tensor in read_header(file)}
    tensor = tensors[choose(file, list(tensors), name, "tensor")]
    if tensor.dtype not in DTYPES and tensor.dtype != BFLOAT16:
        raise FormatError(
            f"{file} must be float16, bfloat16, float32 or float64, got {tensor.dtype}; "
            "convert it to float32 and save it again"
        )
    dtype = DTYPES.get(tensor.dtype, np.dtype("<f2"))  # bfloat16 is as long as float16
    shape = check_matrix(file, tensor.shape, dtype, file.stat().st_size)
    if tensor.dtype != BFLOAT16:
        return from_map(file, map_rows(file, dtype, tensor.offset, shape))
    bits = map_rows(file, np.dtype("<u2"), tensor.offset, shape)

    def fetch(start: int, stop: int) -> NDArray[Any]:
        return (bits[start:stop].astype(np.uint32) << 16).view(np.float32)

    return Rows(file, shape, np.dtype(np.float32), fetch)
