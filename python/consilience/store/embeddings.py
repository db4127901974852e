"""A store of embeddings, opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import sha256_of
from consilience._validate import check_integer
from consilience.store._safetensors import (
    DTYPES,
    TensorInfo,
    map_tensor,
    read_header,
    read_rows,
)
from consilience.store.manifest import FileEntry, Manifest, load_manifest


@dataclass(frozen=True, eq=False)
class StoredEmbeddings:
    """The embeddings of one model, on disk.

    Attributes
    ----------
    path : Path
        Folder of the store.
    manifest : Manifest
        Model, dataset, versions, files and checksums.
    ids : tuple of str
        Sample ids, in row order.
    """

    path: Path
    manifest: Manifest
    ids: tuple[str, ...]
    tensors: tuple[TensorInfo, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.manifest.model

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_features)."""
        return self.manifest.n_samples, self.manifest.n_features

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the rows."""
        return np.dtype(self.manifest.dtype)

    def array(self) -> NDArray[Any]:
        """Return all rows, read-only: a memory map if there is one shard, else a copy."""
        if len(self.tensors) == 1:
            return map_tensor(self._file(0), self.tensors[0])
        rows = np.concatenate([map_tensor(self._file(i), t) for i, t in enumerate(self.tensors)])
        rows.flags.writeable = False
        return rows

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a copy of rows [start, stop), by plain reads instead of a memory map."""
        pieces, first = [], 0
        for i, tensor in enumerate(self.tensors):
            low, high = max(start - first, 0), min(stop - first, tensor.shape[0])
            if low < high:
                pieces.append(read_rows(self._file(i), tensor, low, high))
            first += tensor.shape[0]
        if not pieces:
            return np.empty((0, self.shape[1]), self.dtype)
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]

    def blocks(self, n_rows: int) -> Iterator[tuple[tuple[str, ...], NDArray[Any]]]:
        """Yield (ids, rows) in order, at most `n_rows` at a time."""
        check_integer(n_rows, "n_rows", 1)
        for start in range(0, self.shape[0], n_rows):
            stop = min(start + n_rows, self.shape[0])
            yield self.ids[start:stop], self.read(start, stop)

    def output(self, name: str) -> NDArray[np.float64]:
        """Return what the model predicted of each sample, of shape (n_samples,).

        Raises
        ------
        KeyError
            If the store has no such output.
        """
        if name not in self.manifest.outputs:
            known = ", ".join(self.manifest.outputs) or "none"
            raise KeyError(f"{self.path} has no output {name!r}; it has {known}")
        path = self.path / self.manifest.outputs[name].file
        (tensor,) = read_header(path)
        values: NDArray[np.float64] = np.array(map_tensor(path, tensor)[:, 0])
        return values

    def verify(self) -> None:
        """Read every byte and compare checksums.

        Raises
        ------
        ValueError
            If a file is not what was written; names the file.
        """
        for entry in self.manifest.files:
            found = sha256_of(self.path / entry.file)
            if found != entry.sha256:
                raise ValueError(
                    f"{self.path / entry.file} was changed or damaged after it was written: "
                    f"sha256 {found[:12]}…, expected {entry.sha256[:12]}…; embed again"
                )

    def _file(self, shard: int) -> Path:
        return self.path / self.manifest.shards[shard].file


def open(path: str | Path) -> StoredEmbeddings:
    """Open a store and check that its files are there, of the right size and shape.

    Checksums of the rows are compared by `StoredEmbeddings.verify`, as that reads all of
    them; the ids are compared here, because a wrong id would pair wrong rows in silence.

    Parameters
    ----------
    path : path
        Folder of the store.

    Raises
    ------
    FileNotFoundError
        If there is no store, or a file of it is missing.
    ValueError
        If a file is truncated or does not match the manifest.
    """
    folder = Path(path)
    manifest = load_manifest(folder)
    for entry in manifest.files:
        _check_size(folder, entry)
    ids = _read_ids(folder, manifest.ids)
    tensors = tuple(_shard_tensor(folder, manifest, shard) for shard in manifest.shards)
    return StoredEmbeddings(folder, manifest, ids, tensors)


def _check_size(folder: Path, entry: FileEntry) -> None:
    file = folder / entry.file
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing though the manifest names it; embed again")
    size = file.stat().st_size
    if size != entry.bytes:
        raise ValueError(f"{file} has {size} bytes, expected {entry.bytes}; embed again")


def _read_ids(folder: Path, entry: FileEntry) -> tuple[str, ...]:
    content = (folder / entry.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ValueError(f"{folder / entry.file} does not match its checksum; embed again")
    ids = tuple(content.decode().split("\n")[:-1])
    if len(ids) != entry.rows:
        raise ValueError(f"{folder / entry.file} has {len(ids)} ids, expected {entry.rows}")
    return ids


def _shard_tensor(folder: Path, manifest: Manifest, entry: FileEntry) -> TensorInfo:
    tensors = read_header(folder / entry.file)
    expected = (entry.rows, manifest.n_features)
    if (
        len(tensors) != 1
        or tensors[0].shape != expected
        or DTYPES.get(tensors[0].dtype) != np.dtype(manifest.dtype)
    ):
        found = [(tensor.shape, tensor.dtype) for tensor in tensors]
        raise ValueError(
            f"{folder / entry.file} holds {found}, expected {expected} {manifest.dtype}"
        )
    return tensors[0]
