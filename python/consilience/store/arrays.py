"""Single array files: .npy and .safetensors, opened without running anything in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience.store._safetensors import BFLOAT16, DTYPES, map_tensor, read_header

SUFFIXES = (".npy", ".safetensors")


def read_array(path: str | Path) -> NDArray[Any]:
    """Open one 2-D array of embeddings, read-only and memory-mapped.

    Parameters
    ----------
    path : path
        A .npy file, or a .safetensors file with exactly one tensor. Pickles are refused.
        bfloat16 tensors are widened to float32, which is exact.

    Returns
    -------
    array of shape (n_samples, n_features)
        float16, float32 or float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is pickled, truncated, unreadable, not 2-D or not floating point; says
        what to do.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist")
    if file.suffix not in SUFFIXES or not file.is_file():
        raise ValueError(f"{file} must be a .npy or .safetensors file; save it as one of them")
    array = _read_npy(file) if file.suffix == ".npy" else _read_safetensors(file)
    if array.ndim != 2:
        raise ValueError(
            f"{file} must hold an array of shape (n_samples, n_features), got {array.shape}; "
            "reshape it, for example by a mean over tokens, and save it again"
        )
    if 0 in array.shape:
        raise ValueError(f"{file} is empty: its array has shape {array.shape}")
    return array


def _read_npy(file: Path) -> NDArray[Any]:
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise ValueError(_npy_problem(file, str(error))) from error
    if array.dtype.newbyteorder("<") not in DTYPES.values():
        raise ValueError(
            f"{file} must be float16, float32 or float64, got {array.dtype}; "
            "convert it with .astype('float32') and save it again"
        )
    return array


def _npy_problem(file: Path, message: str) -> str:
    if "object" in message.lower():
        return (
            f"{file} holds pickled Python objects, which are never loaded; save a plain "
            "float array with np.save(..., allow_pickle=False)"
        )
    if "magic" in message:
        return f"{file} is not a .npy file; save the array with np.save"
    return f"{file} is truncated or unreadable ({message}); save the array again"


def _read_safetensors(file: Path) -> NDArray[Any]:
    tensors = read_header(file)
    if len(tensors) != 1:
        names = ", ".join(tensor.name for tensor in tensors) or "none"
        raise ValueError(
            f"{file} must hold exactly one tensor, got {len(tensors)} ({names}); "
            "save each model in a file of its own"
        )
    tensor = tensors[0]
    if tensor.dtype not in DTYPES and tensor.dtype != BFLOAT16:
        raise ValueError(
            f"{file} must be float16, bfloat16, float32 or float64, got {tensor.dtype}; "
            "convert it to float32 and save it again"
        )
    if 0 in tensor.shape:  # an empty stretch of a file cannot be mapped
        return np.empty(tensor.shape)
    return map_tensor(file, tensor)
