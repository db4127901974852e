"""Writing a store, so that a crash at any moment leaves the old store or none."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import exclusive, write_durably
from consilience.store._safetensors import DTYPES, TENSOR, header_for
from consilience.store.embeddings import StoredEmbeddings
from consilience.store.embeddings import open as open_store
from consilience.store.manifest import MANIFEST, FileEntry, Manifest, load_manifest

Batch = (
    tuple[Sequence[str], NDArray[Any]]
    | tuple[Sequence[str], NDArray[Any], Mapping[str, NDArray[Any]]]
)


def write(
    path: str | Path,
    batches: Iterable[Batch],
    *,
    model: str,
    dataset: Mapping[str, Any],
    versions: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    shard_bytes: int = 256 << 20,
    overwrite: bool = False,
) -> StoredEmbeddings:
    """Write batches of embeddings as a store and open it.

    Parameters
    ----------
    path : path
        Folder of the store; made if it is not there.
    batches : iterable of (ids, array) or (ids, array, outputs)
        `ids` are the sample ids of the rows of `array`, of shape (n_rows, n_features), and
        `outputs` maps names to one prediction a row. Consumed once and in order; at most
        one shard is held in memory.
    model : str
        Name of the model.
    dataset : mapping
        What was embedded, JSON-able.
    versions, extra : mapping, optional
        Kept in the manifest, which is written after the last batch; JSON-able.
    shard_bytes : int
        A shard is closed when it would outgrow this.
    overwrite : bool
        Replace a store that is already there. It stays whole until the new one is.

    Returns
    -------
    StoredEmbeddings

    Raises
    ------
    FileExistsError
        If a store is there and `overwrite` is False, or another process is writing it.
    ValueError
        If an id comes twice, ids and rows do not match, or batches differ in width or dtype.

    Notes
    -----
    Files are written under fresh names, flushed to disk and renamed; the manifest comes
    last. What an interrupted write left behind is removed by the next one.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a store needs a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        if (folder / MANIFEST).exists() and not overwrite:
            raise FileExistsError(
                f"{folder} already has a store; pass overwrite=True to replace it"
            )
        token = secrets.token_hex(4)
        try:
            rows, shards, ids = _write_rows(folder, token, batches, shard_bytes)
            outputs = _write_outputs(folder, token, rows)
        except BaseException:
            _remove(folder.glob(f"*{token}*"))
            raise
        Manifest(
            model=model,
            dataset=dict(dataset),
            dtype=rows.dtype.name,
            n_samples=len(rows.ids),
            n_features=rows.width,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            ids=ids,
            shards=shards,
            versions=dict(versions or {}),
            extra=dict(extra or {}),
            outputs=outputs,
        ).save(folder)
        _remove_leftovers(folder)
    return open_store(folder)


def _write_rows(
    folder: Path, token: str, batches: Iterable[Batch], shard_bytes: int
) -> tuple[_Rows, tuple[FileEntry, ...], FileEntry]:
    rows = _Rows()
    shards = tuple(
        _write_shard(folder, f"rows-{token}-{i:05d}.safetensors", shard)
        for i, shard in enumerate(_shards(rows.checked(batches), shard_bytes))
    )
    if not rows.ids:
        raise ValueError(f"no rows to write to {folder}: the batches were empty")
    text = "".join(f"{sample}\n" for sample in rows.ids)
    return rows, shards, _write_text(folder, f"ids-{token}.txt", len(rows.ids), text)


class _Rows:
    """Checks batches as they pass, and remembers what all of them share."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.width = 0
        self.outputs: dict[str, list[NDArray[np.float64]]] | None = None

    def checked(self, batches: Iterable[Batch]) -> Iterator[NDArray[Any]]:
        for ids, array, *more in batches:
            rows = np.asarray(array)
            self._check_array(rows, len(ids))
            self._keep_outputs(more[0] if more else {}, len(ids))
            for sample in ids:
                self._add_id(sample)
            if len(rows):
                yield np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("<"))

    def _check_array(self, rows: NDArray[Any], n_ids: int) -> None:
        if rows.ndim != 2 or rows.shape[1] == 0:
            raise ValueError(f"a batch must be (n_rows, n_features), got shape {rows.shape}")
        if rows.dtype.newbyteorder("<") not in DTYPES.values():
            raise ValueError(f"a batch must be float16, float32 or float64, got {rows.dtype}")
        if len(rows) != n_ids:
            raise ValueError(f"a batch has {n_ids} ids and {len(rows)} rows")
        if not self.width:
            self.dtype, self.width = rows.dtype, rows.shape[1]
        if (rows.dtype, rows.shape[1]) != (self.dtype, self.width):
            raise ValueError(
                f"every batch must be {self.dtype} with {self.width} features as the first, "
                f"got {rows.dtype} with {rows.shape[1]}"
            )

    def _keep_outputs(self, outputs: Mapping[str, NDArray[Any]], n_rows: int) -> None:
        if self.outputs is None:
            self.outputs = {name: [] for name in outputs}
        if set(outputs) != set(self.outputs):
            raise ValueError(
                f"every batch must have the outputs {sorted(self.outputs)} of the first, "
                f"got {sorted(outputs)}"
            )
        for name, values in outputs.items():
            column = np.asarray(values, dtype=np.float64)
            if column.shape != (n_rows,) or not name.isidentifier():
                raise ValueError(
                    f"output {name!r} must be a plain name with one number for each of "
                    f"{n_rows} rows, got shape {column.shape}"
                )
            self.outputs[name].append(column)

    def _add_id(self, sample: str) -> None:
        if not isinstance(sample, str) or not sample or "\n" in sample or "\r" in sample:
            raise ValueError(f"a sample id must be one non-empty line of text, got {sample!r}")
        if sample in self.ids:
            raise ValueError(f"sample id {sample!r} comes twice; ids must be unique")
        self.ids[sample] = None


def _shards(batches: Iterable[NDArray[Any]], shard_bytes: int) -> Iterator[NDArray[Any]]:
    """Join batches into shards of at most `shard_bytes`, or of one batch if it is larger."""
    held: list[NDArray[Any]] = []
    size = 0
    for rows in batches:
        if held and size + rows.nbytes > shard_bytes:
            yield np.concatenate(held)
            held, size = [], 0
        held.append(rows)
        size += rows.nbytes
    if held:
        yield np.concatenate(held)


def _write_outputs(folder: Path, token: str, rows: _Rows) -> dict[str, FileEntry]:
    return {
        name: _write_shard(
            folder,
            f"output-{name}-{token}.safetensors",
            np.concatenate(columns).astype("<f8")[:, None],
            tensor=name,
        )
        for name, columns in (rows.outputs or {}).items()
    }


def _write_shard(folder: Path, name: str, rows: NDArray[Any], tensor: str = TENSOR) -> FileEntry:
    header, data = header_for(rows, tensor), rows.data.cast("B")
    digest = hashlib.sha256(header)
    digest.update(data)
    write_durably(folder / name, header, data)
    return FileEntry(name, len(rows), len(header) + len(data), digest.hexdigest())


def _write_text(folder: Path, name: str, rows: int, text: str) -> FileEntry:
    content = text.encode()
    write_durably(folder / name, content)
    return FileEntry(name, rows, len(content), hashlib.sha256(content).hexdigest())


def _remove_leftovers(folder: Path) -> None:
    """Remove rows and ids that the manifest does not name; readers keep what they mapped."""
    named = {entry.file for entry in load_manifest(folder).files}
    for pattern in ("rows-*.safetensors", "output-*.safetensors", "ids-*.txt", ".*.tmp"):
        _remove(file for file in folder.glob(pattern) if file.name not in named)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
