"""A Hugging Face dataset on disk: a list of Arrow streams in state.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consilience._files import one_line, read_json
from consilience.store.readers.arrow_file import open_streams
from consilience.store.readers.rows import FormatError, Rows, choose, plain_parts

STATE, SPLITS = "state.json", "dataset_dict.json"
MOST_STATE = 4 << 20


def open_saved_dataset(folder: Path, name: str) -> Rows:
    """Open what `Dataset.save_to_disk` wrote; of a DatasetDict, "SPLIT" or "SPLIT/COLUMN"."""
    if (folder / SPLITS).is_file() and not (folder / STATE).is_file():
        splits = _read(folder / SPLITS).get("splits")
        known = [s for s in splits if isinstance(s, str)] if isinstance(splits, list) else []
        split, _, name = name.partition("/")
        folder = _inside(folder, choose(folder, known, split, "split"))
    state = _read(folder / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise FormatError(
            f"{folder} keeps a selection of its rows; call .flatten_indices() and save it again"
        )
    entries = state.get("_data_files")
    if not isinstance(entries, list) or not entries:
        raise FormatError(f"{folder / STATE} names no files; save the dataset again")
    parts = [_inside(folder, _filename(folder, entry)) for entry in entries]
    if len(set(parts)) < len(parts):
        raise FormatError(f"{folder / STATE} names a file twice; save the dataset again")
    return open_streams(folder, parts, name)


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, MOST_STATE)
    if not isinstance(content, dict):
        raise FormatError(f"{path} is damaged; save the dataset again")
    return content


def _filename(folder: Path, entry: object) -> str:
    name = entry.get("filename") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise FormatError(f"{folder / STATE} is damaged; save the dataset again")
    return name


def _inside(folder: Path, name: str) -> Path:
    """Return a plain file of the folder; no path and no link may lead out of it."""
    plain_parts(folder, name)
    path = folder / name
    if Path(name).name != name or path.is_symlink():
        raise FormatError(f"{folder} names {one_line(name, 60)!r}, which leads out of it")
    if not path.exists():
        raise FormatError(f"{path} is missing though {folder.name} names it; save it again")
    return path
