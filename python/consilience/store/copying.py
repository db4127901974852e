"""Stores made of what there is already: array files, and other stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from consilience._files import sha256_of
from consilience.store.embeddings import StoredEmbeddings
from consilience.store.readers import open_rows
from consilience.store.writer import write

BLOCK_BYTES = 64 << 20


def convert(
    source: str | Path,
    target: str | Path,
    *,
    model: str,
    ids: Sequence[str] | None = None,
    overwrite: bool = False,
) -> StoredEmbeddings:
    """Write an array file as a store, row block by row block.

    Parameters
    ----------
    source : path
        What `open_rows` reads: a file of any format with one matrix of embeddings, or
        ``PATH::NAME``.
    target : path
        Folder of the store.
    model : str
        Name of the model that made them.
    ids : sequence of str, optional
        Of the rows; by default those in the file, else the row numbers.
    overwrite : bool
        Replace a store that is there.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, or there are not as many ids as rows.
    """
    with open_rows(source) as rows:
        n_rows, width = rows.shape
        names = rows.ids if ids is None else ids
        if names is None:
            names = [str(row) for row in range(n_rows)]
        if len(names) != n_rows:
            raise ValueError(f"{source} has {n_rows} rows, but there are {len(names)} ids")
        step = max(1, BLOCK_BYTES // (width * rows.dtype.itemsize))
        starts = range(0, n_rows, step)
        stops = [min(start + step, n_rows) for start in starts]
        batches = (
            (names[start:stop], rows.read(start, stop))
            for start, stop in zip(starts, stops, strict=True)
        )
        digest = {"sha256": sha256_of(rows.path)} if rows.path.is_file() else {}
        dataset = {"name": Path(source).name} | digest
        return write(target, batches, model=model, dataset=dataset, overwrite=overwrite)


def merge(
    stores: Sequence[StoredEmbeddings], target: str | Path, *, overwrite: bool = False
) -> StoredEmbeddings:
    """Write the samples of several stores of one model as one store, in their order.

    Raises
    ------
    ValueError
        If there are fewer than two stores, they are not of the same model, an id comes twice,
        or one is unfinished.
    """
    if len(stores) < 2:
        raise ValueError(f"a merge needs at least two stores, got {len(stores)}")
    first = stores[0]
    for other in stores:
        if not other.complete:
            raise ValueError(f"{other.path} is unfinished: {other.unfinished}; finish it first")
        for fact, values in _facts(first, other).items():
            if values[0] != values[1]:
                raise ValueError(
                    f"{first.path} and {other.path} differ in {fact}: {values[0]!r} and "
                    f"{values[1]!r}; only rows of the same model belong together"
                )
    step = max(1, BLOCK_BYTES // first.manifest.row_bytes)

    def batches() -> Iterator[tuple[tuple[str, ...], NDArray[Any], dict[str, NDArray[Any]]]]:
        for stored in stores:
            outputs = {name: stored.output(name) for name in stored.manifest.outputs}
            start = 0
            for ids, rows in stored.blocks(step):
                stop = start + len(ids)
                yield ids, rows, {name: values[start:stop] for name, values in outputs.items()}
                start = stop

    made = first.manifest
    return write(
        target,
        batches(),
        model=made.model,
        dataset={"name": "merged", "of": [stored.manifest.dataset for stored in stores]},
        weights=made.weights,
        layer=made.layer,
        pooling=made.pooling,
        versions=made.versions,
        extra={"merged": [stored.manifest.extra for stored in stores]},
        overwrite=overwrite,
    )


def _facts(a: StoredEmbeddings, b: StoredEmbeddings) -> dict[str, tuple[Any, Any]]:
    def facts(stored: StoredEmbeddings) -> dict[str, Any]:
        found = stored.manifest
        return {
            "model": found.model,
            "weights": found.weights,
            "layer": found.layer,
            "pooling": found.pooling,
            "dtype": found.dtype,
            "features": found.n_features,
            "outputs": sorted(found.outputs),
        }

    return {name: (value, facts(b)[name]) for name, value in facts(a).items()}
