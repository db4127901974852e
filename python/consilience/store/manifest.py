"""What a store folder says about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from consilience._files import write_durably

FORMAT = "consilience-embeddings"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"


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
        Shape of the whole store.
    created : str
        Time of writing, ISO 8601, UTC.
    versions : dict
        Versions of the programs involved.
    extra : dict
        Anything else worth keeping, for example seconds taken.
    outputs : dict of str to FileEntry
        What the model predicts of each sample, for example "energy_ev"; one file each.
    ids : FileEntry
        The text file of sample ids, one a line.
    shards : tuple of FileEntry
        The files of rows, in row order.
    """

    model: str
    dataset: dict[str, Any]
    dtype: str
    n_samples: int
    n_features: int
    created: str
    ids: FileEntry
    shards: tuple[FileEntry, ...]
    versions: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, FileEntry] = field(default_factory=dict)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file the manifest names."""
        return (self.ids, *self.shards, *self.outputs.values())

    def save(self, folder: Path) -> None:
        """Write the manifest in one step; from then on the store exists."""
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_durably(folder / MANIFEST, text.encode())


def load_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a store folder.

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest: no store was ever finished there.
    ValueError
        If the manifest is damaged or of another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is not a store of embeddings: it has no {MANIFEST}; "
            "an interrupted write leaves none, so embed again"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = (content.pop("format"), content.pop("format_version"))
        if found != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format is {found}, expected {(FORMAT, FORMAT_VERSION)}")
        ids = FileEntry(**content.pop("ids"))
        shards = tuple(FileEntry(**shard) for shard in content.pop("shards"))
        outputs = {name: FileEntry(**entry) for name, entry in content.pop("outputs", {}).items()}
        manifest = Manifest(ids=ids, shards=shards, outputs=outputs, **content)
        _check_consistent(manifest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); embed again") from error
    return manifest


def _check_consistent(manifest: Manifest) -> None:
    rows = sum(shard.rows for shard in manifest.shards)
    if not rows == manifest.ids.rows == manifest.n_samples:
        raise ValueError(
            f"n_samples is {manifest.n_samples}, the shards have {rows} rows and the ids "
            f"file {manifest.ids.rows}"
        )
    for name, entry in manifest.outputs.items():
        if entry.rows != manifest.n_samples:
            raise ValueError(f"output {name!r} has {entry.rows} rows")
    for entry in manifest.files:
        if Path(entry.file).name != entry.file:
            raise ValueError(f"{entry.file!r} is not a plain file name")
