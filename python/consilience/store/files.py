"""The files that a manifest names: reading, checking and telling them from what is left over."""

from __future__ import annotations

import hashlib
import re

import numpy as np

from consilience.store._safetensors import DTYPES, TensorInfo, parse_header
from consilience.store.folders import Folder
from consilience.store.manifest import (
    MANIFEST,
    MAX_BYTES,
    UNFINISHED,
    FileEntry,
    Manifest,
    parse_manifest,
)

# What a writer makes, and its temporary files; whatever else is in a folder is not ours.
_OWN = re.compile(
    r"(rows|ids|output-\w+)-[0-9a-f]{8}(-\d+)?\.(safetensors|txt)"
    r"|\.((rows|ids|output)-.+|manifest.*\.json)\.\d+\.tmp"
)


def load_manifest(folder: Folder, name: str = "") -> Manifest:
    """Return the manifest of the finished store in a folder, else that of the unfinished one.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If the manifest is damaged or of another format.
    """
    name = name or (MANIFEST if folder.has(MANIFEST) else UNFINISHED)
    if not folder.has(name):
        raise FileNotFoundError(
            f"{folder} is not a store of embeddings: it has no {MANIFEST}; embed into it first"
        )
    if folder.size(name) > MAX_BYTES:
        raise ValueError(f"{folder}/{name} is damaged: it has more than {MAX_BYTES >> 20} MiB")
    return parse_manifest(folder.read(name, 0, MAX_BYTES), f"{folder}/{name}")


def check_size(folder: Folder, entry: FileEntry) -> None:
    """Raise unless a file is there with the bytes it was written with."""
    size = folder.size(entry.file)
    if size != entry.bytes:
        raise ValueError(
            f"{folder}/{entry.file} has {size} bytes, expected {entry.bytes}; embed again"
        )


def read_ids(folder: Folder, entry: FileEntry) -> list[str]:
    """Return the ids of one file, after comparing its checksum."""
    content = folder.read(entry.file, 0, entry.bytes)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ValueError(f"{folder}/{entry.file} does not match its checksum; embed again")
    try:
        ids = content.decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise ValueError(f"{folder}/{entry.file} is not UTF-8 text; embed again") from error
    if len(ids) != entry.rows:
        raise ValueError(f"{folder}/{entry.file} has {len(ids)} ids, expected {entry.rows}")
    return ids


def tensor_of(folder: Folder, entry: FileEntry, shape: tuple[int, ...], dtype: str) -> TensorInfo:
    """Return where the one tensor of a file lies, which must be as expected."""
    file = f"{folder}/{entry.file}"
    tensors = parse_header(
        lambda start, stop: folder.read(entry.file, start, stop), entry.bytes, file
    )
    if (
        len(tensors) != 1
        or tensors[0].shape != shape
        or DTYPES.get(tensors[0].dtype) != np.dtype(dtype)
    ):
        found = [(tensor.shape, tensor.dtype) for tensor in tensors]
        raise ValueError(f"{file} holds {found}, expected {shape} {dtype}")
    return tensors[0]


# ---- what is damaged or left over --------------------------------------------------------


def damaged_files(folder: Folder, entries: tuple[FileEntry, ...]) -> list[str]:
    """Return a sentence for every file that is not what was written."""
    found = []
    for entry in entries:
        try:
            check_size(folder, entry)
            digest = folder.digest(entry.file)
        except (OSError, ValueError) as error:
            found.append(str(error))
            continue
        if digest != entry.sha256:
            found.append(
                f"{folder}/{entry.file} is changed or damaged: its checksum is {digest[:12]}…, "
                f"expected {entry.sha256[:12]}…; embed again"
            )
    return found


def unnamed_files(folder: Folder) -> tuple[str, ...]:
    """Return the files of a store's kind that none of its manifests names."""
    named = set()
    for name in (MANIFEST, UNFINISHED):
        if folder.has(name):
            named |= {entry.file for entry in load_manifest(folder, name).files}
    return tuple(name for name in folder.names() if is_own(name) and name not in named)


def is_own(name: str) -> bool:
    """Return whether a file is one that a writer makes and may remove."""
    return _OWN.fullmatch(name) is not None
