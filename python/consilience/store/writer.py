"""Writing a store shard by shard, so that a crash at any moment loses at most the open shard."""

from __future__ import annotations

import json
import secrets
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import exclusive, sync_folder
from consilience._validate import check_integer
from consilience.store.batches import Batch, Held, checked, full_shard
from consilience.store.compact import compacted
from consilience.store.embeddings import StoredEmbeddings
from consilience.store.files import damaged_files, is_own, load_manifest, read_ids
from consilience.store.folders import LocalFolder
from consilience.store.manifest import MANIFEST, UNFINISHED, Manifest
from consilience.store.opening import local_path
from consilience.store.opening import open as open_store
from consilience.store.shards import files_of, with_shard, with_shards_of

SECONDS = 20.0
SHARD_BYTES = 256 << 20

Rows = (
    tuple[Sequence[str], NDArray[Any]]
    | tuple[Sequence[str], NDArray[Any], Mapping[str, NDArray[Any]]]
)


class Writer:
    """Writes a store, batch by batch, and goes on where an interrupted writer was.

    ``with Writer(path, model="m", dataset={"name": "d"}) as writer`` holds the folder against
    other writers; leaving the block finishes the store. If the block raises, the shards that
    are closed stay, and a writer that is asked the same goes on after them.

    Parameters
    ----------
    path : path
        Folder of the store; made if it is not there.
    model : str
        Name of the model.
    dataset : mapping
        What is embedded, JSON-able.
    planned : int or sequence of str, optional
        How many samples there are to be, or their ids: then the finished store has their order.
    question : mapping, optional
        What the rows answer, JSON-able; model and dataset by default. An unfinished store is
        gone on with if its question is the same, else begun anew.
    weights, layer, pooling
        Of the model, for the manifest.
    versions, extra : mapping, optional
        Kept in the manifest; JSON-able. `extra` may be changed until the end.
    shard_bytes : int
        A shard is closed at this size, or at the least that fills whole pages.
    seconds : float
        A shard is closed after this long.
    overwrite : bool
        Replace a finished store that is already there. It stays whole until the new one is.
    resume : bool
        False begins anew in any case, and leaves nothing if the block raises.

    Attributes
    ----------
    ids : dict
        The sample ids that are there, as keys, those of an interrupted writer included.
    stored : StoredEmbeddings
        The store, once it is finished.

    Raises
    ------
    FileExistsError
        If a finished store is there and `overwrite` is False, or another process is writing it.
    """

    stored: StoredEmbeddings

    def __init__(
        self,
        path: str | Path,
        *,
        model: str,
        dataset: Mapping[str, Any],
        planned: int | Sequence[str] | None = None,
        question: Mapping[str, Any] | None = None,
        weights: str = "",
        layer: str | None = None,
        pooling: str | None = None,
        versions: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        shard_bytes: int = SHARD_BYTES,
        seconds: float = SECONDS,
        overwrite: bool = False,
        resume: bool = True,
    ) -> None:
        check_integer(shard_bytes, "shard_bytes", 1)
        self.path = _local(path)
        self.extra = dict(extra or {})
        self.ids: dict[str, None] = {}
        self.shard_bytes, self.seconds = shard_bytes, seconds
        self.overwrite, self.resume = overwrite, resume
        self._order = None if isinstance(planned, int | None) else tuple(planned)
        asked = {"model": model, "dataset": dataset} if question is None else question
        self._manifest = Manifest(
            model=model,
            dataset=dict(dataset),
            created=_now(),
            planned=planned if isinstance(planned, int | None) else len(planned),
            question=json.loads(json.dumps(asked)),
            weights=weights,
            layer=layer,
            pooling=pooling,
            versions=dict(versions or {}),
            extra=self.extra,
        )
        self._held = Held()
        self._since = 0.0
        self._token = secrets.token_hex(4)
        self._number = 0

    def __enter__(self) -> Writer:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file; a store needs a folder of its own")
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(exclusive(self.path))
            if (self.path / MANIFEST).exists() and not self.overwrite:
                raise FileExistsError(
                    f"{self.path} already has a store; pass overwrite=True to replace it"
                )
            self._begin()
            self._lock = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if kind is None:
                self._finish()
            elif self.resume and self.ids:
                with suppress(OSError):  # what failed before is what there is to tell
                    self._close(self._held.n_rows)
            else:
                self._discard()

    def append(
        self, ids: Sequence[str], rows: Any, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Add samples.

        Parameters
        ----------
        ids : sequence of str
            New ones.
        rows : array of shape (n_rows, n_features)
            float16, float32 or float64.
        outputs : mapping of str to array of shape (n_rows,), optional
            What the model predicts of each sample.

        Raises
        ------
        ValueError
            If an id comes twice, ids and rows do not match, or batches differ in width, dtype
            or outputs. Nothing of the batch is kept then.
        OSError
            If there is no room; what was closed before is kept.
        """
        batch = checked(ids, rows, outputs or {}, self.ids)
        self._check_like_first(batch)
        if not batch.ids:
            return
        if not self._held.n_rows:
            self._since = time.monotonic()
        self._held.add(batch)
        self.ids.update(dict.fromkeys(batch.ids))
        full = full_shard(batch.rows.dtype.itemsize * batch.rows.shape[1], self.shard_bytes)
        try:
            while self._held.n_rows >= full:
                self._close(full)
            if time.monotonic() - self._since >= self.seconds:
                self._close(self._held.n_rows)
        finally:
            self._held.own()

    def _check_like_first(self, batch: Batch) -> None:
        if self._held.n_rows:
            first = self._held.batches[0]
            dtype, width, outputs = first.rows.dtype, first.rows.shape[1], set(first.outputs)
        elif self._manifest.shards:
            dtype, width = np.dtype(self._manifest.dtype), self._manifest.n_features
            outputs = set(self._manifest.outputs)
        else:
            return
        if (batch.rows.dtype.name, batch.rows.shape[1]) != (dtype.name, width):
            raise ValueError(
                f"every batch must be {dtype.name} with {width} features as the first, "
                f"got {batch.rows.dtype.name} with {batch.rows.shape[1]}"
            )
        if set(batch.outputs) != outputs:
            raise ValueError(
                f"every batch must have the outputs {sorted(outputs)} of the first, "
                f"got {sorted(batch.outputs)}"
            )

    # ---- begin, close, finish ------------------------------------------------------------

    def _begin(self) -> None:
        found = self._interrupted() if self.resume else None
        if found is not None:
            self._manifest = found
            folder = LocalFolder(self.path)
            self.ids = dict.fromkeys(i for entry in found.ids for i in read_ids(folder, entry))
        self._manifest.save(self.path, UNFINISHED)
        self._remove_leftovers()

    def _interrupted(self) -> Manifest | None:
        """Return what is whole of an unfinished store that answers the same question."""
        folder = LocalFolder(self.path)
        if not folder.has(UNFINISHED):
            return None
        try:
            found = load_manifest(folder, UNFINISHED)
        except ValueError as error:
            warnings.warn(f"{error}", stacklevel=4)
            return None
        if found.question != self._manifest.question:
            return None
        whole = []
        for place, shard in enumerate(found.shards):
            problems = damaged_files(folder, files_of(found, place))
            if not problems:
                whole.append(place)
                continue
            again = f"its {shard.rows} samples are made again"
            warnings.warn(f"{'; '.join(problems)}: {again}", stacklevel=4)
        return with_shards_of(self._manifest, found, whole)

    def _close(self, n_rows: int) -> None:
        """Write rows that are held as a shard, then name it."""
        if not n_rows:
            return
        batches = self._held.pop(n_rows)
        self._since = time.monotonic()
        try:
            with self._telling_what_is_kept():
                made = with_shard(self._manifest, self.path, self._token, self._number, batches)
                made.save(self.path, UNFINISHED)
        except BaseException:
            self._held.put_back(batches)
            raise
        self._manifest = made
        self._number += 1

    def _finish(self) -> None:
        self._close(self._held.n_rows)
        if not self._manifest.n_samples:
            self._discard()
            raise ValueError(f"no rows to write to {self.path}: the batches were empty")
        manifest = self._manifest
        full = full_shard(manifest.row_bytes, self.shard_bytes)
        order = self._wanted_order()
        with self._telling_what_is_kept():
            made = compacted(manifest, self.path, self._token, self._number, full=full, order=order)
            made = replace(made, complete=True, created=_now(), extra=self.extra)
            made.save(self.path, UNFINISHED)
        # One rename takes away the unfinished manifest and puts the finished one in place.
        (self.path / UNFINISHED).replace(self.path / MANIFEST)
        sync_folder(self.path)
        self._manifest = made
        self._remove_leftovers()
        self.stored = open_store(self.path)

    def _wanted_order(self) -> NDArray[np.intp] | None:
        """Return the rows in the planned order, or None if they have it."""
        if self._order is None:
            return None
        place = {sample: i for i, sample in enumerate(self._order)}
        places = np.fromiter((place.get(s, len(place)) for s in self.ids), np.intp, len(self.ids))
        return np.argsort(places, kind="stable") if np.any(np.diff(places) < 0) else None

    @contextmanager
    def _telling_what_is_kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            n = self._manifest.n_samples
            kept = f"{n} samples are kept; make room and run it again" if n else "nothing is kept"
            raise OSError(error.errno, f"{self.path}: {error.strerror}; {kept}") from error

    # ---- what is removed -----------------------------------------------------------------

    def _discard(self) -> None:
        """Remove what this writer wrote; a finished store stays."""
        (self.path / UNFINISHED).unlink(missing_ok=True)
        sync_folder(self.path)
        self._manifest = replace(self._manifest, shards=(), ids=(), outputs={})
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Remove files that no manifest names; readers keep what they mapped."""
        folder = LocalFolder(self.path)
        named = {entry.file for entry in self._manifest.files}
        if folder.has(MANIFEST):
            try:
                named |= {entry.file for entry in load_manifest(folder, MANIFEST).files}
            except ValueError:  # perhaps it can be mended: nothing of it is touched
                return
        for name in folder.names():
            if is_own(name) and name not in named:
                (self.path / name).unlink(missing_ok=True)


def write(
    path: str | Path,
    batches: Iterable[Rows],
    *,
    model: str,
    dataset: Mapping[str, Any],
    weights: str = "",
    layer: str | None = None,
    pooling: str | None = None,
    versions: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
    shard_bytes: int = SHARD_BYTES,
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
    weights, layer, pooling
        Of the model, for the manifest.
    versions, extra : mapping, optional
        Kept in the manifest; JSON-able.
    shard_bytes : int
        A shard is closed at this size, or at the least that fills whole pages.
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
    If the batches raise, nothing is left of them; use `Writer` to keep what there is.
    """
    how: dict[str, Any] = {"versions": versions, "extra": extra, "shard_bytes": shard_bytes}
    how |= {"weights": weights, "layer": layer, "pooling": pooling}
    how |= {"overwrite": overwrite, "resume": False}
    with Writer(path, model=model, dataset=dataset, **how) as writer:
        for ids, rows, *outputs in batches:
            writer.append(ids, rows, *outputs)
    return writer.stored


def _local(path: str | Path) -> Path:
    local = local_path(path)
    if isinstance(local, str):
        raise ValueError(f"{path} cannot be written to; write to a local folder and copy it there")
    return local


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
