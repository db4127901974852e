"""Rows of a store in another order, in memory or in a scratch file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import durably
from consilience._mapped import map_rows, release, scratch
from consilience.store._safetensors import header_for
from consilience.store.embeddings import Read, StoredEmbeddings

IN_MEMORY = 256 << 20
BLOCK_BYTES = 32 << 20


def gathered(
    stored: StoredEmbeddings,
    order: NDArray[np.intp] | None,
    *,
    read: Read | None = None,
    folder: str | Path | None = None,
) -> NDArray[Any]:
    """Return rows of a store, read-only, in a given order or in their own.

    Parameters
    ----------
    stored : StoredEmbeddings
        Where they are.
    order : array of int, optional
        Which rows; all by default.
    read : {"mmap", "pread"}, optional
        How they are read.
    folder : path, optional
        Where to keep the rows as a safetensors file, which other processes may map and later
        runs find again. By default they are held in memory, or from 256 MiB on in a scratch
        file that is gone with the array.
    """
    n_rows = stored.shape[0] if order is None else len(order)
    shape = n_rows, stored.shape[1]
    if folder is not None:
        return _kept(stored, order, shape, read, Path(folder))
    small = n_rows * stored.manifest.row_bytes <= IN_MEMORY
    rows = np.empty(shape, stored.dtype) if small else scratch(shape, stored.dtype)
    for start, block in _blocks(stored, order, n_rows, read):
        rows[start : start + len(block)] = block
        release(rows)
    rows.flags.writeable = False
    return rows


def _kept(
    stored: StoredEmbeddings,
    order: NDArray[np.intp] | None,
    shape: tuple[int, int],
    read: Read | None,
    folder: Path,
) -> NDArray[Any]:
    digest = hashlib.sha256(" ".join(f.sha256 for f in stored.manifest.shards).encode())
    digest.update(b"" if order is None else order.astype("<i8").data)
    path = folder / f"aligned-{digest.hexdigest()[:32]}.safetensors"
    dtype = stored.dtype.newbyteorder("<")
    header = header_for(dtype, shape)
    size = len(header) + shape[0] * stored.manifest.row_bytes
    if not path.exists() or path.stat().st_size != size:
        folder.mkdir(parents=True, exist_ok=True)
        with durably(path) as file:
            file.write(header)
            for _, block in _blocks(stored, order, shape[0], read):
                file.write(np.ascontiguousarray(block, dtype).data.cast("B"))
    return map_rows([(path, len(header), shape[0])], dtype, shape[1])


def _blocks(
    stored: StoredEmbeddings, order: NDArray[np.intp] | None, n_rows: int, read: Read | None
) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, BLOCK_BYTES // max(1, stored.manifest.row_bytes))
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        if order is None:
            yield start, stored.read(start, stop)
        else:
            yield start, stored.take(order[start:stop], read=read)
