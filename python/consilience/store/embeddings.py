"""A store of embeddings, opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from consilience._mapped import map_rows, side_by_side
from consilience._validate import check_choice, check_integer
from consilience.store._safetensors import TensorInfo
from consilience.store.files import damaged_files, tensor_of, unnamed_files
from consilience.store.folders import Folder, LocalFolder
from consilience.store.manifest import Manifest

READ = "CONSILIENCE_READ"

Read = Literal["mmap", "pread"]


@dataclass(frozen=True, eq=False)
class StoredEmbeddings:
    """The embeddings of one model, on disk.

    Attributes
    ----------
    folder : Folder
        Where the files are.
    manifest : Manifest
        Model, dataset, versions, files and checksums.
    ids : tuple of str
        Sample ids, in row order.
    tensors : tuple of TensorInfo
        Where the rows lie in each shard.
    """

    folder: Folder
    manifest: Manifest
    ids: tuple[str, ...]
    tensors: tuple[TensorInfo, ...]

    @property
    def path(self) -> Any:
        """Folder of the store: a Path, or text if it is a URL."""
        return self.folder.path if isinstance(self.folder, LocalFolder) else str(self.folder)

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

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return self.manifest.n_samples * self.manifest.row_bytes

    # ---- what is not finished ------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether the writer finished."""
        return self.manifest.complete

    @property
    def unfinished(self) -> str:
        """What an interrupted writer left, in a sentence; empty if there is nothing of the kind."""
        said = [] if self.complete else [self._how_many()]
        if self.unnamed:
            said.append(f"no manifest names {', '.join(self.unnamed)}")
        return "; ".join(said)

    @cached_property
    def unnamed(self) -> tuple[str, ...]:
        """Files of rows, ids or outputs that no manifest of the folder names."""
        return unnamed_files(self.folder)

    def _how_many(self) -> str:
        planned = self.manifest.planned
        total = "a number not known" if planned is None else str(planned)
        n, shards = self.shape[0], len(self.manifest.shards)
        return f"{n} of {total} samples are there, in {shards} finished shards"

    # ---- rows ----------------------------------------------------------------------------

    def array(self, *, read: Read | None = None) -> NDArray[Any]:
        """Return all rows, read-only.

        Parameters
        ----------
        read : {"mmap", "pread"}, optional
            "mmap" maps the shards side by side, so that nothing is copied or held in memory.
            "pread" copies through plain reads: for network file systems, and files that
            others may cut short, which under a mapping ends the process. By default
            ``$CONSILIENCE_READ``, else "mmap".

        Returns
        -------
        array of shape (n_samples, n_features)
            Shards that cannot lie side by side (those of an unfinished store) are joined in
            memory, or in a scratch file from 256 MiB on.
        """
        if _how(read) == "pread":
            rows = self.read(0, self.shape[0])
            rows.flags.writeable = False
            return rows
        row = self.manifest.row_bytes
        stretches = [(t.offset, t.shape[0] * row) for t in self.tensors]
        if stretches and not side_by_side(stretches):
            from consilience.store.gather import gathered

            return gathered(self, None)
        entries = zip(self.manifest.shards, self.tensors, strict=True)
        parts = [(self.folder.here(entry), t.offset, t.shape[0]) for entry, t in entries]
        return map_rows(parts, self.dtype, self.shape[1])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return a copy of rows [start, stop), by plain reads instead of a memory map."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        rows = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        for i, first, tensor in self._shards():
            low, high = max(start - first, 0), min(stop - first, tensor.shape[0])
            if low < high:
                self._read_into(i, low, rows[first + low - start : first + high - start])
        return rows

    def take(self, rows: NDArray[np.intp], *, read: Read | None = None) -> NDArray[Any]:
        """Return a copy of some rows, in the order asked for."""
        how = _how(read)
        order = np.argsort(rows, kind="stable")
        wanted = np.asarray(rows)[order]
        found = np.empty((len(wanted), self.shape[1]), self.dtype)
        for i, first, tensor in self._shards():
            low, high = np.searchsorted(wanted, [first, first + tensor.shape[0]])
            if low < high:
                found[order[low:high]] = self._some(i, wanted[low:high] - first, how)
        return found

    def _some(self, shard: int, rows: NDArray[np.intp], how: str) -> NDArray[Any]:
        """Return rows of a shard, given in ascending order."""
        if how == "mmap":
            entry, tensor = self.manifest.shards[shard], self.tensors[shard]
            part = (self.folder.here(entry), tensor.offset, tensor.shape[0])
            return map_rows([part], self.dtype, self.shape[1])[rows]
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        ends = [*np.flatnonzero(np.diff(rows) != 1) + 1, len(rows)]
        for low, high in zip([0, *ends], ends, strict=False):
            self._read_into(shard, int(rows[low]), found[low:high])
        return found

    def _shards(self) -> Iterator[tuple[int, int, TensorInfo]]:
        """Yield each shard's place, its first row, and where its rows lie."""
        first = 0
        for i, tensor in enumerate(self.tensors):
            yield i, first, tensor
            first += tensor.shape[0]

    def _read_into(self, shard: int, row: int, target: NDArray[Any]) -> None:
        start = self.tensors[shard].offset + row * self.manifest.row_bytes
        self.folder.read_into(self.manifest.shards[shard].file, start, target.data.cast("B"))

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
        values = np.empty(self.shape[0], np.dtype("<f8"))
        first = 0
        for entry in self.manifest.outputs[name]:
            tensor = tensor_of(self.folder, entry, (entry.rows, 1), "float64")
            part = values[first : first + entry.rows]
            self.folder.read_into(entry.file, tensor.offset, part.data.cast("B"))
            first += entry.rows
        return values.astype(np.float64, copy=False)

    def verify(self) -> None:
        """Read every byte and compare checksums.

        Raises
        ------
        ValueError
            If a file is not what was written; names every such file.
        """
        if found := damaged_files(self.folder, self.manifest.files):
            raise ValueError("; ".join(found))


def _how(read: Read | None) -> str:
    how = read or os.environ.get(READ) or "mmap"
    check_choice(how, "read", ("mmap", "pread"))
    return how
