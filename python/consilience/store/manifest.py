"""What a store folder says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from consilience._files import check_file_name, one_line, parse_json, write_durably
from consilience.store._safetensors import DTYPES

FORMAT = "consilience-embeddings"
FORMAT_VERSION = 2
MANIFEST = "manifest.json"
UNFINISHED = "manifest.unfinished.json"
MAX_BYTES = 64 << 20

_NAMES = tuple(dtype.name for dtype in DTYPES.values())
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """A file of the store, relative to its folder, and how to tell that it is whole."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The manifest of a store.

    Attributes
    ----------
    model : str
        Name of the model that made the embeddings.
    dataset : dict
        What was embedded: at least its name, and whatever makes it repeatable (n, seed).
    dtype : str
        NumPy name of the data type: "float16", "float32" or "float64".
    n_samples, n_features : int
        Shape of what is there.
    created : str
        Time of writing, ISO 8601, UTC.
    ids, shards : tuple of FileEntry
        The text files of sample ids, one a line, and the files of rows, both in row order.
    outputs : dict of str to tuple of FileEntry
        What the model predicts of each sample, for example "energy_ev", in row order.
    complete : bool
        Whether the writer finished.
    planned : int or None
        How many samples the writer set out to write, if it knew.
    question : dict
        What the rows answer; an interrupted writer goes on only if it is asked the same.
    weights : str
        SHA-256 of the model's weights, if they are files of the user's.
    layer, pooling : str or None
        Which hidden layer, and how its atoms or tokens became one row.
    versions : dict
        Versions of the programs involved.
    extra : dict
        Anything else worth keeping, for example seconds taken.
    """

    model: str
    dataset: dict[str, Any]
    dtype: str = "float32"
    n_samples: int = 0
    n_features: int = 0
    created: str = ""
    ids: tuple[FileEntry, ...] = ()
    shards: tuple[FileEntry, ...] = ()
    outputs: dict[str, tuple[FileEntry, ...]] = field(default_factory=dict)
    complete: bool = False
    planned: int | None = None
    question: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    layer: str | None = None
    pooling: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file the manifest names."""
        outputs = (entry for entries in self.outputs.values() for entry in entries)
        return (*self.ids, *self.shards, *outputs)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.n_features * np.dtype(self.dtype).itemsize

    def save(self, folder: Path, name: str = MANIFEST) -> None:
        """Write the manifest in one step; from then on the store is what it says."""
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_durably(folder / name, text.encode())


def parse_manifest(content: bytes, path: Path | str) -> Manifest:
    """Read and check the bytes of the manifest `path`.

    Raises
    ------
    ValueError
        If the manifest is damaged, of another format, or names files that cannot be.
    """
    try:
        body = parse_json(content)
        form, version = body.pop("format"), body.pop("format_version")
        if form != FORMAT or version not in (1, FORMAT_VERSION):
            raise ValueError(f"format is {(form, version)}, expected {(FORMAT, FORMAT_VERSION)}")
        if version == 1:
            _upgrade(body)
        ids, shards = _entries(body.pop("ids")), _entries(body.pop("shards"))
        outputs = {name: _entries(entries) for name, entries in body.pop("outputs", {}).items()}
        manifest = Manifest(ids=ids, shards=shards, outputs=outputs, **body)
        _check_types(manifest)
        _check_consistent(manifest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({one_line(error, 500)}); embed again") from error
    return manifest


def _upgrade(body: dict[str, Any]) -> None:
    """Bring the first format, which had one file of ids and no unfinished stores, up to date."""
    body["ids"] = [body["ids"]]
    body["outputs"] = {name: [entry] for name, entry in body.get("outputs", {}).items()}
    body["complete"] = True
    body["question"] = body.get("extra", {}).get("question", {})


def _entries(found: list[dict[str, Any]]) -> tuple[FileEntry, ...]:
    return tuple(FileEntry(**entry) for entry in found)


def _check_types(manifest: Manifest) -> None:
    words = ("model", "dtype", "created", "weights")
    _check(all(isinstance(getattr(manifest, name), str) for name in words), f"{words} are text")
    for name in ("dataset", "question", "versions", "extra"):
        _check(isinstance(getattr(manifest, name), Mapping), f"{name} is not a mapping")
    for name in ("layer", "pooling"):
        _check(isinstance(getattr(manifest, name), str | None), f"{name} is not text")
    _check(isinstance(manifest.complete, bool), "complete is neither true nor false")
    _check(manifest.dtype in _NAMES, f"dtype is {manifest.dtype!r}, expected one of {_NAMES}")
    counts = [manifest.n_samples, manifest.n_features, manifest.planned or 0]
    for entry in manifest.files:
        _check_entry(entry)
        counts += [entry.rows, entry.bytes]
    for count in counts:
        _check(type(count) is int and 0 <= count < 1 << 62, f"{count!r} is not a count")


def _check_entry(entry: FileEntry) -> None:
    for text in (entry.file, entry.sha256):
        _check(isinstance(text, str), f"{text!r} of a file is not text")
    check_file_name(entry.file, "a file of the store")
    _check(_SHA256.fullmatch(entry.sha256), f"{entry.file!r} has no SHA-256: {entry.sha256!r}")


def _check_consistent(manifest: Manifest) -> None:
    n = manifest.n_samples
    rows = sum(shard.rows for shard in manifest.shards)
    ids = sum(entry.rows for entry in manifest.ids)
    if not rows == ids == n:
        raise ValueError(
            f"n_samples is {n}, the shards have {rows} rows and the files of ids {ids}"
        )
    _check((n and manifest.n_features) or not (n or manifest.complete), "it has no rows")
    for name, entries in manifest.outputs.items():
        _check(name.isidentifier(), f"output {name!r} is not a plain name")
        rows = sum(entry.rows for entry in entries)
        _check(rows == n, f"output {name!r} has {rows} rows, expected {n}")
    for shard in manifest.shards:
        least = shard.rows * manifest.row_bytes
        _check(shard.bytes > least, f"{shard.file!r} has {shard.bytes} bytes for {least} of rows")


def _check(holds: Any, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
