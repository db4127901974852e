"""HDF5 and .h5ad through h5py; nothing outside of the file is followed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line
from consilience.store.readers.rows import (
    ID_NAMES,
    FormatError,
    Rows,
    check_matrix,
    check_piece,
    choose,
    float_type,
    map_rows,
    need,
    plain_parts,
)

MAGIC = b"\x89HDF\r\n\x1a\n"
LEAST = "3.10"
MOST_NAMES = 10_000
MOST_DEPTH = 16


def open_hdf5(file: Path, name: str) -> Rows:
    """Open the only 2-D dataset of floats, or the one at the path `name`."""
    return _open(file, name, annotated=False)


def open_h5ad(file: Path, name: str) -> Rows:
    """Open "obsm/NAME", or X if it is dense, with the names of the observations."""
    return _open(file, name, annotated=True)


def _open(file: Path, name: str, *, annotated: bool) -> Rows:
    h5py = need("h5py", LEAST, "HDF5")
    content = h5py.File(file, "r", locking=False)
    try:
        if not name:
            name = _only_one(file, content, h5py, annotated)
        dataset = _at(file, content, name, h5py)
        if not isinstance(dataset, h5py.Dataset):
            raise FormatError(
                f"{file}::{one_line(name, 60)} is not a dense array; save it dense, or name "
                f"another: {file.name}::obsm/X_pca"
            )
        shape, dtype = _checked(file, dataset)
        ids = _index(file, content, h5py) if annotated else _ids(file, content, name, shape, h5py)
    except BaseException:
        content.close()
        raise

    def fetch(start: int, stop: int) -> NDArray[Any]:
        rows: NDArray[Any] = dataset[start:stop]
        return rows

    mapped = _mapped(file, content, dataset, shape)
    return Rows(file, shape, dtype, fetch, ids=ids, mapped=mapped, shut=content.close)


def _only_one(file: Path, content: Any, h5py: Any, annotated: bool) -> str:
    if annotated and isinstance(content.get("X", getlink=True), h5py.HardLink):
        return "X"
    found = [name for name, thing in _datasets(content, h5py) if _is_matrix(thing)]
    return choose(file, found, "", "2-D dataset of floats")


def _is_matrix(dataset: Any) -> bool:
    return bool(dataset.ndim == 2 and dataset.dtype.kind == "f")


def _datasets(content: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Yield the datasets that hard links lead to, so far as a sane file goes."""
    waiting, seen = [("", content)], 0
    while waiting:
        where, group = waiting.pop()
        for name in group:
            seen += 1
            if seen > MOST_NAMES or where.count("/") > MOST_DEPTH:
                return
            if isinstance(group.get(name, getlink=True), h5py.HardLink):
                thing = group[name]
                if isinstance(thing, h5py.Dataset):
                    yield where + name, thing
                elif isinstance(thing, h5py.Group):
                    waiting.append((f"{where}{name}/", thing))


def _at(file: Path, content: Any, name: str, h5py: Any) -> Any:
    """Return what is at a path, going along hard links only."""
    for part in plain_parts(file, name):
        if not isinstance(content, h5py.Group) or part not in content:
            raise FormatError(f"{file} has nothing at {one_line(name, 60)!r}")
        link = content.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise FormatError(
                f"{file}::{one_line(name, 60)} is a link to elsewhere ({type(link).__name__}), "
                "which is not followed; copy the data into the file"
            )
        content = content[part]
    return content


def _checked(file: Path, dataset: Any) -> tuple[tuple[int, int], np.dtype[Any]]:
    if dataset.is_virtual or dataset.external:
        raise FormatError(
            f"{file} keeps its data in other files, which are not followed; copy it into one"
        )
    dtype = float_type(file, dataset.dtype)
    if dataset.shape is None:
        raise FormatError(f"{file} is empty")
    size, packed = file.stat().st_size, dataset.chunks is not None
    if packed:
        check_piece(file, math.prod(map(int, dataset.chunks)) * dtype.itemsize, size)
    size = min(size, max(dataset.id.get_storage_size(), 0))
    return check_matrix(file, dataset.shape, dtype, size, packed=packed), dtype


def _mapped(file: Path, content: Any, dataset: Any, shape: tuple[int, int]) -> NDArray[Any] | None:
    """Return a map where the rows lie in one stretch as they are."""
    offset = dataset.id.get_offset()
    if dataset.chunks is not None or offset is None or content.userblock_size:
        return None
    return map_rows(file, dataset.dtype, int(offset), shape)


def _index(file: Path, content: Any, h5py: Any) -> tuple[str, ...] | None:
    """Return the names of the observations of an .h5ad file."""
    observations = _at(file, content, "obs", h5py) if "obs" in content else None
    if not isinstance(observations, h5py.Group):
        return None
    return _strings(file, _at(file, observations, str(observations.attrs["_index"]), h5py), h5py)


def _ids(
    file: Path, content: Any, name: str, shape: tuple[int, int], h5py: Any
) -> tuple[str, ...] | None:
    """Return the ids that stand beside a dataset, if any do."""
    folder = name.rpartition("/")[0]
    group = _at(file, content, folder, h5py)
    for known in (*ID_NAMES, "ids", "sample_ids"):
        if isinstance(group, Mapping) and known in group:
            return _strings(file, _at(file, group, known, h5py), h5py)
    return None


def _strings(file: Path, dataset: Any, h5py: Any) -> tuple[str, ...]:
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1:
        raise FormatError(f"{file} has ids that are not a list; write one for each row")
    if dataset.is_virtual or dataset.external:
        raise FormatError(f"{file} keeps its ids in other files, which are not followed")
    if len(dataset) > file.stat().st_size or dataset.dtype.itemsize > 4096:
        raise FormatError(f"{file} is damaged: it cannot hold {len(dataset)} ids; write it again")
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return tuple(dataset.asstr()[:])
    if dataset.dtype.kind in "iu":
        return tuple(map(str, dataset[:].tolist()))
    raise FormatError(f"{file} has ids that are {dataset.dtype}, not text")
