"""Everything that is wrong with a store, in sentences."""

from __future__ import annotations

from pathlib import Path

from consilience.store.files import damaged_files, load_manifest, unnamed_files
from consilience.store.opening import folder_at, open_manifest


def problems(path: str | Path) -> list[str]:
    """Read every byte of a store and say what is damaged, unfinished or named nowhere.

    Parameters
    ----------
    path : path or URL
        Folder of the store.

    Returns
    -------
    list of str
        Empty if the store is what was written.
    """
    folder = folder_at(path)
    try:
        manifest = load_manifest(folder)
    except (OSError, ValueError) as error:
        return [str(error)]
    found = damaged_files(folder, manifest.files)
    try:
        if not found:
            stored = open_manifest(folder, manifest)
            if not stored.complete:
                found.append(f"{path} is unfinished: {stored.unfinished}; embed again to go on")
                return found
        if unnamed := unnamed_files(folder):
            found.append(f"no manifest of {path} names {', '.join(unnamed)}; remove what is there")
    except (OSError, ValueError) as error:
        found.append(str(error))
    return found
