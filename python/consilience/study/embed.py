"""One model over one dataset, onto the disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience import store
from consilience._files import sha256_of
from consilience.datasets import Samples, find_dataset, load_samples
from consilience.datasets._archives import ARCHIVES
from consilience.models import Model, embed, embed_layers, find_model, versions
from consilience.store import Pieces, StoredEmbeddings

Rows = tuple[tuple[str, ...], NDArray[Any], dict[str, NDArray[Any]]]


def embed_to_store(
    model: str,
    data: str,
    path: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    layer: str | None = None,
    pooling: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    progress: bool = False,
) -> StoredEmbeddings:
    """Embed a dataset with a model and write the result as a store.

    A run that was interrupted goes on where it was: rows are written down as they come, and a
    new run with the same question begins after them.

    Parameters
    ----------
    model : str
        Name out of `consilience.models.MODELS`, with ``:WEIGHTS`` where the user gives them.
    data : str
        Name out of `consilience.datasets.DATASETS`, with ``:PATH`` where one is wanted.
    path : path
        Folder of the store.
    n, seed : int
        How many samples, and which.
    batch_size : int, optional
        Samples per batch.
    layer, pooling : str, optional
        Another hidden layer or pooling than the model's own.
    device : str
        Where the model runs.
    overwrite : bool
        Replace a store that is there.
    progress : bool
        Show a bar.

    Returns
    -------
    StoredEmbeddings
        Its manifest keeps model, dataset, versions and the seconds taken.

    Raises
    ------
    ValueError
        If a name is unknown or the dataset cannot give what was asked.
    ModelError
        If the model cannot run.
    FileExistsError
        If a store is there and `overwrite` is False.
    """
    found = find_model(model)
    started = time.perf_counter()
    samples = load_samples(data, n=n, seed=seed)
    question = question_of(model, data, n=n, seed=seed, layer=layer, pooling=pooling)
    extra: dict[str, Any] = {**found.facts(), "question": question, "n_skipped": samples.n_skipped}
    pieces = Pieces(path, question)
    how: dict[str, Any] = {"layer": layer, "pooling": pooling, "device": device}

    def rows() -> Iterator[Rows]:
        done: set[str] = set()
        for ids, kept, outputs in pieces.kept():
            done.update(ids)
            yield ids, kept, outputs
        rest = _without(samples, done)
        n_rows = len(done)
        batches = embed(found, rest, batch_size=batch_size, **how) if len(rest) else iter(())
        for ids, made, outputs in _watched(pieces.keep(batches), len(samples), n_rows, progress):
            n_rows += len(ids)
            yield ids, made, outputs
        # The manifest, and so `extra`, is written after the last batch.
        extra["seconds"] = round(time.perf_counter() - started, 2)
        extra["n_resumed"] = len(done)
        extra["n_unsupported"] = len(samples) - n_rows

    stored = store.write(
        path,
        rows(),
        model=found.name,
        dataset=dataset_facts(data, n, seed),
        versions={"consilience": _own_version(), **versions(found)},
        extra=extra,
        overwrite=overwrite,
    )
    pieces.clear()
    return stored


def embed_layers_to_stores(
    model: str,
    data: str,
    folder: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    pooling: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
) -> dict[str, StoredEmbeddings]:
    """Embed a dataset with every hidden layer of a model: one store a layer, one pass.

    The rows of all layers are held in memory until the pass ends.

    Parameters
    ----------
    model, data, n, seed, batch_size, pooling, device, overwrite
        As in `embed_to_store`.
    folder : path
        Holds one store per layer, called by their place and name.

    Returns
    -------
    dict of str to StoredEmbeddings
        By layer, from the input on.
    """
    found = find_model(model)
    samples = load_samples(data, n=n, seed=seed)
    ids: list[str] = []
    held: dict[str, list[NDArray[Any]]] = {}
    options: dict[str, Any] = {"batch_size": batch_size, "pooling": pooling, "device": device}
    for batch_ids, layers, _ in embed_layers(found, samples, layers="all", **options):
        ids.extend(batch_ids)
        for name, rows in layers.items():
            held.setdefault(name, []).append(rows)
    stores = {}
    for place, (name, parts) in enumerate(held.items()):
        question = question_of(model, data, n=n, seed=seed, layer=name, pooling=pooling)
        stores[name] = store.write(
            Path(folder) / f"{place:03d}-{name.replace('/', '-')}",
            [(ids, np.concatenate(parts))],
            model=found.name,
            dataset=dataset_facts(data, n, seed),
            versions={"consilience": _own_version(), **versions(found)},
            extra={**found.facts(), "layer": name, "question": question},
            overwrite=overwrite,
        )
    return stores


def open_layers(folder: str | Path) -> dict[str, StoredEmbeddings]:
    """Open what `embed_layers_to_stores` wrote; empty if nothing was."""
    folders = sorted(path for path in Path(folder).glob("[0-9]*-*") if path.is_dir())
    stores = [store.open(path) for path in folders]
    return {found.manifest.extra["layer"]: found for found in stores}


def find_cached(
    model: str,
    data: str,
    path: str | Path,
    *,
    n: int | None,
    seed: int,
    layer: str | None = None,
    pooling: str | None = None,
) -> StoredEmbeddings | None:
    """Return the store at `path` if it is whole and what would be made now, else None."""
    try:
        found = store.open(path)
    except (FileNotFoundError, ValueError):
        return None
    question = question_of(model, data, n=n, seed=seed, layer=layer, pooling=pooling)
    return found if found.manifest.extra.get("question") == question else None


def question_of(
    model: str,
    data: str,
    *,
    n: int | None,
    seed: int,
    layer: str | None = None,
    pooling: str | None = None,
) -> dict[str, Any]:
    """Return what embeddings answer: the model with its weights, and the samples."""
    found = find_model(model)
    package = found.package.partition("==")[0]
    return {
        "model": found.name,
        "checkpoint": found.checkpoint,
        "weights": _weights(found),
        "package": [package, versions(found).get(package)],
        "dataset": dataset_facts(data, n, seed),
        "layer": layer,
        "pooling": pooling or found.pooling,
    }


def dataset_facts(data: str, n: int | None, seed: int) -> dict[str, Any]:
    """Return what identifies a sample of a dataset."""
    name, _, path = data.partition(":")
    found = find_dataset(name)
    shipped = found.package
    if found.archive:
        shipped = f"{ARCHIVES[found.archive].package}=={ARCHIVES[found.archive].version}"
    facts = {"name": data, "n": n, "seed": seed, "package": shipped}
    if path and Path(path).is_file():
        facts["sha256"] = sha256_of(Path(path))
    return facts


def _weights(found: Model) -> str:
    """Return the digest of weights that the user gives as a file or folder."""
    path = Path(found.checkpoint)
    if not (found.takes_weights and found.checkpoint and path.exists()):
        return ""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path)} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _without(samples: Samples, done: set[str]) -> Samples:
    if not done:
        return samples
    return samples.subset(np.array([i for i, s in enumerate(samples.ids) if s not in done], int))


def _watched(batches: Iterable[Rows], total: int, done: int, progress: bool) -> Iterator[Rows]:
    if not progress:
        yield from batches
        return
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit="sample", disable=None) as bar:
        for batch in batches:
            bar.update(len(batch[0]))
            yield batch


def _own_version() -> str:
    try:
        return version("consilience")
    except PackageNotFoundError:
        return "not installed"
