"""torch's .pt and .pth: raw storages and a pickle in a zip; torch reads it and runs nothing."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line
from consilience.store.readers.rows import (
    FormatError,
    Rows,
    check_matrix,
    choose,
    map_rows,
    need,
)
from consilience.store.readers.zipped import data_offset, open_zip

# Before 2.10 there were ways around weights_only (CVE-2025-32434, CVE-2026-24747).
LEAST = "2.10"
MOST_PICKLE = 4 << 20
REMEDY = "save the tensor again with torch.save"


def open_torch(file: Path, name: str) -> Rows:
    """Open a tensor, or the only 2-D tensor of a mapping (or the one called `name`)."""
    torch = need("torch", LEAST, "torch")
    members = _checked_members(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            raise FormatError(
                f"{file} holds more than tensors, or is damaged ({one_line(error, 120)}); "
                "nothing in it was run: torch.save the tensor alone"
            ) from error
    tensor = _chosen(file, content, name, torch)
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise FormatError(f"{file} holds a tensor that is not dense; {REMEDY} after .to_dense()")
    tensor = tensor.detach().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        dtype = np.dtype(np.float32)
    elif tensor.dtype in (torch.float16, torch.float32, torch.float64):
        dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
    else:
        raise FormatError(
            f"{file} must be float16, bfloat16, float32 or float64, got {tensor.dtype}; "
            f"convert it with .float() and {REMEDY}"
        )
    # an expanded tensor has more entries than bytes
    shape = check_matrix(file, tuple(tensor.shape), dtype, 2 * file.stat().st_size)

    def fetch(start: int, stop: int) -> NDArray[Any]:
        part = tensor[start:stop]
        rows: NDArray[Any] = (part.float() if dtype.itemsize == 4 else part).numpy()
        return rows

    return Rows(file, shape, dtype, fetch, mapped=_mapped(file, members, tensor, shape, dtype))


def _checked_members(file: Path) -> list[zipfile.ZipInfo]:
    with open_zip(file, f"{REMEDY} of version 1.6 or later") as archive:
        members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise FormatError(f"{file} has a compressed member, as torch writes none; {REMEDY}")
        if member.filename.endswith(".pkl") and member.file_size > MOST_PICKLE:
            raise FormatError(f"{file} holds far more than a tensor; {REMEDY} alone")
    return members


def _chosen(file: Path, content: Any, name: str, torch: Any) -> Any:
    if isinstance(content, torch.Tensor):
        if name:
            raise FormatError(f"{file} holds one tensor without a name, not {one_line(name)!r}")
        return content
    if not isinstance(content, Mapping):
        raise FormatError(
            f"{file} holds a {type(content).__name__}, not a tensor or a dict of tensors; {REMEDY}"
        )
    tensors = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if not name:
        matrices = {k: v for k, v in tensors.items() if v.ndim == 2}
        tensors = tensors if len(tensors) == 1 else matrices
    return tensors[choose(file, list(tensors), name, "2-D tensor")]


def _mapped(
    file: Path,
    members: list[zipfile.ZipInfo],
    tensor: Any,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> NDArray[Any] | None:
    """Return a map of the tensor where it lies, if there is no doubt where that is."""
    size = tensor.untyped_storage().nbytes()
    found = [m for m in members if "/data/" in m.filename and m.file_size == size]
    little = not any(
        m.filename.endswith("/byteorder") and _text(file, m) != b"little" for m in members
    )
    plain = tensor.is_contiguous() and tensor.element_size() == dtype.itemsize
    if len(found) != 1 or not plain or not little:
        return None
    offset = data_offset(file, found[0]) + tensor.storage_offset() * dtype.itemsize
    return map_rows(file, dtype.newbyteorder("<"), offset, shape)


def _text(file: Path, member: zipfile.ZipInfo) -> bytes:
    with zipfile.ZipFile(file) as archive, archive.open(member) as stream:
        return stream.read(16)
