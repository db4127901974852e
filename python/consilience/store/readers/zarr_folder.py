"""Zarr of version 3 through zarr, after its metadata was judged."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line, read_json
from consilience.store.readers.rows import (
    FormatError,
    Rows,
    check_matrix,
    check_piece,
    choose,
    need,
    plain_parts,
)

METADATA = "zarr.json"
LEAST = "3.0"
MOST_METADATA = 4 << 20
FLOATS = ("float16", "float32", "float64")
# Others may run code (numcodecs.pickle) or are none that an embedding needs.
CODECS = ("bytes", "gzip", "zstd", "blosc", "crc32c", "transpose", "sharding_indexed")


def open_zarr(folder: Path, name: str) -> Rows:
    """Open the array at `folder`, its only array, or the one at the path `name`."""
    place = folder.joinpath(*plain_parts(folder, name))
    metadata = _metadata(place)
    if metadata.get("node_type") == "group":
        place = place / choose(folder, sorted(_arrays_in(place)), "", "array")
        metadata = _metadata(place)
    if metadata.get("node_type") != "array":
        raise FormatError(f"{place} is no Zarr array; write it again")
    size = _bytes_inside(folder, place)
    shape, dtype = _checked(place, metadata, size)
    zarr = need("zarr", LEAST, "Zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = zarr.open_array(
            zarr.storage.LocalStore(place, read_only=True), mode="r", zarr_format=3
        )
    if tuple(array.shape) != shape:
        raise FormatError(f"{place} is damaged: two shapes of one array; write it again")

    def fetch(start: int, stop: int) -> NDArray[Any]:
        return np.asarray(array[start:stop])

    return Rows(folder, shape, dtype, fetch)


def _metadata(place: Path) -> dict[str, Any]:
    path = place / METADATA
    if not path.is_file():
        raise FormatError(
            f"{place} has no {METADATA}; expected Zarr of version 3: save it with zarr_format=3"
        )
    if path.is_symlink():
        raise FormatError(f"{path} is a link, which is not followed")
    found = read_json(path, MOST_METADATA)
    if not isinstance(found, dict) or found.get("zarr_format") != 3:
        raise FormatError(f"{path} is not Zarr of version 3; save it with zarr_format=3")
    return found


def _arrays_in(group: Path) -> Iterator[str]:
    for path in group.glob(f"*/{METADATA}"):
        if not path.parent.is_symlink() and _metadata(path.parent).get("node_type") == "array":
            yield path.parent.name


def _checked(
    place: Path, metadata: dict[str, Any], size: int
) -> tuple[tuple[int, int], np.dtype[Any]]:
    kind = metadata.get("data_type")
    if kind not in FLOATS:
        raise FormatError(
            f"{place} must be float16, float32 or float64, got {one_line(kind, 40)}; "
            "convert it with .astype('float32') and save it again"
        )
    if metadata.get("storage_transformers"):
        raise FormatError(f"{place} has storage transformers, which are not read")
    dtype = np.dtype(kind)
    shape = _extents(place, metadata.get("shape"))
    grid = metadata.get("chunk_grid")
    if not isinstance(grid, dict) or grid.get("name") != "regular":
        raise FormatError(f"{place} has no regular grid of chunks; write it again")
    codecs = metadata.get("codecs")
    _check_codecs(place, codecs)
    chunks = _extents(place, _piece_of(place, grid, codecs).get("chunk_shape"))
    check_piece(place, math.prod(chunks) * dtype.itemsize, size)
    return check_matrix(place, shape, dtype, size, packed=True), dtype


def _piece_of(place: Path, grid: dict[str, Any], codecs: object) -> dict[str, Any]:
    """Return the settings with the chunk that is unpacked at once: of a shard, an inner one."""
    first = codecs[0] if isinstance(codecs, list) and codecs else None
    sharded = isinstance(first, dict) and first.get("name") == "sharding_indexed"
    return _configuration(place, first if isinstance(first, dict) and sharded else grid)


def _extents(place: Path, value: object) -> tuple[int, ...]:
    whole = isinstance(value, list) and len(value) <= 32 and all(type(v) is int for v in value)
    if not isinstance(value, list) or not whole or any(not 0 <= v < 1 << 62 for v in value):
        raise FormatError(f"{place} is damaged: a shape is {one_line(value, 40)}; write it again")
    return tuple(value)


def _configuration(place: Path, entry: dict[str, Any]) -> dict[str, Any]:
    found = entry.get("configuration", {})
    if not isinstance(found, dict):
        raise FormatError(f"{place} has broken metadata; write it again")
    return found


def _check_codecs(place: Path, codecs: object, depth: int = 0) -> None:
    if not isinstance(codecs, list) or len(codecs) > 8 or depth > 2:
        raise FormatError(f"{place} has broken codecs; write it again")
    for codec in codecs:
        name = codec.get("name") if isinstance(codec, dict) else codec
        if name not in CODECS:
            raise FormatError(
                f"{place} is packed by {one_line(name, 40)!r}, which is not read; "
                f"use one of {', '.join(CODECS)}"
            )
        if name == "sharding_indexed":
            inner = _configuration(place, codec)
            _check_codecs(place, inner.get("codecs"), depth + 1)
            _check_codecs(place, inner.get("index_codecs"), depth + 1)


def _bytes_inside(folder: Path, place: Path) -> int:
    """Return the bytes of the chunks; none may be a link, as it may lead anywhere."""
    size = 0
    for step in (*(p for p in place.parents if folder in (p, *p.parents) and p != folder), place):
        if step.is_symlink() and step != folder:
            raise FormatError(f"{step} is a link, which is not followed")
    for root, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(root, name)
            if path.is_symlink():
                raise FormatError(f"{path} is a link, which is not followed")
        size += sum(Path(root, name).stat().st_size for name in files)
    return size
