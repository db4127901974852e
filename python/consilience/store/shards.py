"""Files of a store, written so that each is whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import write_durably
from consilience.store._safetensors import TENSOR, header_for
from consilience.store.batches import Batch, joined
from consilience.store.manifest import FileEntry, Manifest


def with_shard(
    manifest: Manifest, folder: Path, token: str, number: int, batches: Sequence[Batch]
) -> Manifest:
    """Write batches as one more shard and return the manifest that names it.

    A shard is a file of rows, a file of ids, and one of each output, by the same number.
    """
    first = batches[0]
    dtype = first.rows.dtype.newbyteorder("<")
    rows = [np.ascontiguousarray(batch.rows, dtype=dtype) for batch in batches]
    ids = "".join(f"{sample}\n" for batch in batches for sample in batch.ids)
    n_rows, width = sum(map(len, rows)), first.rows.shape[1]
    name = f"{token}-{number:05d}"
    shard = _write_rows(folder, f"rows-{name}.safetensors", rows, (n_rows, width))
    text = _write(folder, f"ids-{name}.txt", n_rows, ids.encode())
    outputs = dict(manifest.outputs)
    for output in first.outputs:
        column = joined((batch.outputs[output] for batch in batches), "<f8")[:, None]
        file = f"output-{output}-{name}.safetensors"
        entry = _write_rows(folder, file, [column], column.shape, output)
        outputs[output] = (*outputs.get(output, ()), entry)
    return replace(
        manifest,
        dtype=dtype.name,
        n_features=width,
        n_samples=manifest.n_samples + n_rows,
        shards=(*manifest.shards, shard),
        ids=(*manifest.ids, text),
        outputs=outputs,
    )


def with_shards_of(about: Manifest, found: Manifest, places: Sequence[int]) -> Manifest:
    """Return `about` with some of the shards of another manifest."""
    return replace(
        about,
        dtype=found.dtype,
        n_features=found.n_features if places else 0,
        n_samples=sum(found.shards[place].rows for place in places),
        shards=tuple(found.shards[place] for place in places),
        ids=tuple(found.ids[place] for place in places),
        outputs={
            name: tuple(entries[place] for place in places)
            for name, entries in found.outputs.items()
            if places
        },
    )


def files_of(manifest: Manifest, place: int) -> tuple[FileEntry, ...]:
    """Return the files of one shard."""
    outputs = (entries[place] for entries in manifest.outputs.values())
    return (manifest.shards[place], manifest.ids[place], *outputs)


def _write_rows(
    folder: Path, name: str, parts: list[NDArray[Any]], shape: tuple[int, ...], tensor: str = TENSOR
) -> FileEntry:
    header = header_for(parts[0].dtype, shape, tensor)
    return _write(folder, name, shape[0], header, *(part.data.cast("B") for part in parts))


def _write(folder: Path, name: str, rows: int, *parts: bytes | memoryview) -> FileEntry:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    write_durably(folder / name, *parts)
    return FileEntry(name, rows, sum(map(len, parts)), digest.hexdigest())
