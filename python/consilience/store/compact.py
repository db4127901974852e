"""Small shards joined into large ones that can be mapped side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consilience.store._safetensors import ALIGNMENT
from consilience.store.batches import Batch
from consilience.store.folders import LocalFolder
from consilience.store.manifest import Manifest
from consilience.store.opening import open_manifest
from consilience.store.shards import with_shard, with_shards_of


def compacted(
    manifest: Manifest,
    folder: Path,
    token: str,
    number: int,
    *,
    full: int,
    order: NDArray[np.intp] | None,
) -> Manifest:
    """Return a manifest of shards of `full` rows; what is as it should be stays.

    Only new files are written: the old manifest stays true until the new one takes its place.

    Parameters
    ----------
    manifest, folder
        What is there.
    token, number
        Of the new files.
    full : int
        Rows of a shard.
    order : array of shape (n_samples,), optional
        Rows in the order wanted, if it is another.
    """
    first = 0 if order is not None else _first_poor(manifest, full)
    if first is None:
        return manifest
    stored = open_manifest(LocalFolder(folder), manifest)
    outputs = {name: stored.output(name) for name in manifest.outputs}
    made = with_shards_of(replace(manifest, outputs={}), manifest, range(first))
    for start in range(made.n_samples, manifest.n_samples, full):
        stop = min(start + full, manifest.n_samples)
        if order is None:
            chosen, rows = np.arange(start, stop), stored.read(start, stop)
        else:
            chosen = order[start:stop]
            rows = stored.take(chosen)
        ids = tuple(stored.ids[row] for row in chosen)
        columns = {name: values[chosen] for name, values in outputs.items()}
        made = with_shard(made, folder, token, number, [Batch(ids, rows, columns)])
        number += 1
    return made


def _first_poor(manifest: Manifest, full: int) -> int | None:
    """Return the first shard, but the last, that is small or does not end on a page."""
    for place, shard in enumerate(manifest.shards[:-1]):
        if shard.rows * 4 < full or shard.rows * manifest.row_bytes % ALIGNMENT:
            return place
    return None
