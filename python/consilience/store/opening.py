"""Opening stores: one, or a folder of them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from consilience.store.embeddings import StoredEmbeddings
from consilience.store.files import check_size, load_manifest, read_ids, tensor_of
from consilience.store.folders import Folder, LocalFolder
from consilience.store.manifest import MANIFEST, UNFINISHED, Manifest


def open(path: str | Path) -> StoredEmbeddings:
    """Open a store and check the sizes of its files.

    Checksums of the rows are compared by `StoredEmbeddings.verify`, as that reads all of
    them; the ids are compared here, because a wrong id would pair wrong rows in silence.

    Parameters
    ----------
    path : path or URL
        Folder of the store; a URL such as ``s3://bucket/store`` is read through fsspec.

    Returns
    -------
    StoredEmbeddings
        If no writer has finished there, the shards an unfinished one has closed: see
        `StoredEmbeddings.complete`.

    Raises
    ------
    FileNotFoundError
        If there is no store, or a file of it is missing.
    ValueError
        If a file is truncated or does not match the manifest.
    """
    folder = folder_at(path)
    manifest = load_manifest(folder)
    try:
        return open_manifest(folder, manifest)
    except FileNotFoundError:
        # A writer may have put newer files in the place of these since the manifest was read.
        newer = load_manifest(folder)
        if newer == manifest:
            raise
        return open_manifest(folder, newer)


def open_set(path: str | Path) -> dict[str, StoredEmbeddings]:
    """Open every store in a folder, by the name of its own folder.

    Raises
    ------
    FileNotFoundError
        If there is no store in the folder.
    ValueError
        As `open`.
    """
    return {name: open(at) for name, at in folders_of_set(path).items()}


def folders_of_set(path: str | Path) -> dict[str, str]:
    """Return the paths or URLs of the stores in a folder, by the names of their folders.

    Raises
    ------
    FileNotFoundError
        If there is no store in the folder.
    """
    at = local_path(path)
    if isinstance(at, str):
        from consilience.store.remote import folders_in

        inside = folders_in(at)
    else:
        inside = {p.name: str(p) for p in sorted(at.glob("*")) if p.is_dir()}
    found = {name: folder for name, folder in inside.items() if is_store(folder)}
    if not found:
        raise FileNotFoundError(
            f"{path} is not a store of embeddings, and has none in it: no manifest.json"
        )
    return found


def is_store(path: str | Path) -> bool:
    """Return whether a folder has a manifest, finished or not."""
    folder = folder_at(path)
    return folder.has(MANIFEST) or folder.has(UNFINISHED)


def folder_at(path: str | Path) -> Folder:
    """Return the folder at a path or URL."""
    path = local_path(path)
    if isinstance(path, str):
        from consilience.store.remote import RemoteFolder

        return RemoteFolder(path)
    return LocalFolder(path)


def local_path(path: str | Path) -> Path | str:
    """Return a path of this machine as a Path, and any other URL as text."""
    if str(path).startswith("file://"):
        return Path(url2pathname(urlsplit(str(path)).path))
    return str(path) if "://" in str(path) else Path(path)


def open_manifest(folder: Folder, manifest: Manifest) -> StoredEmbeddings:
    """Open what a manifest names, after checking sizes, headers and ids."""
    for entry in manifest.files:
        check_size(folder, entry)
    ids = tuple(sample for entry in manifest.ids for sample in read_ids(folder, entry))
    if len(set(ids)) != len(ids):
        raise ValueError(f"{folder} has an id twice; embed again")
    expected = manifest.n_features, manifest.dtype
    tensors = tuple(
        tensor_of(folder, shard, (shard.rows, expected[0]), expected[1])
        for shard in manifest.shards
    )
    return StoredEmbeddings(folder, manifest, ids, tensors)
