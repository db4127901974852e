"""One model over one dataset, onto the disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
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
from consilience.store import StoredEmbeddings, Writer
from consilience.store.manifest import MANIFEST

Rows = tuple[tuple[str, ...], NDArray[Any], dict[str, NDArray[Any]]]

# Held in memory of all layers together.
LAYERS_BYTES = 256 << 20


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

    A run that was interrupted goes on where it was: shards are closed as rows come, and a new
    run with the same question embeds what is not in them.

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
    extra: dict[str, Any] = {**found.facts(), "n_skipped": samples.n_skipped}
    how: dict[str, Any] = {"layer": layer, "pooling": pooling, "device": device}
    with Writer(
        path,
        planned=samples.ids,
        extra=extra,
        overwrite=overwrite,
        **_manifest_facts(found, question),
    ) as writer:
        n_resumed = len(writer.ids)
        rest = _without(samples, writer.ids)
        batches = embed(found, rest, batch_size=batch_size, **how) if len(rest) else iter(())
        for ids, made, outputs in _watched(batches, len(samples), n_resumed, progress):
            writer.append(ids, made, outputs)
        writer.extra["seconds"] = round(time.perf_counter() - started, 2)
        writer.extra["n_resumed"] = n_resumed
        writer.extra["n_unsupported"] = len(samples) - len(writer.ids)
    return writer.stored


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
    options: dict[str, Any] = {"batch_size": batch_size, "pooling": pooling, "device": device}
    question = question_of(model, data, n=n, seed=seed, pooling=pooling)
    writers: dict[str, Writer] = {}
    with ExitStack() as stack:
        for ids, layers, _ in embed_layers(found, samples, layers="all", **options):
            for place, (name, rows) in enumerate(layers.items()):
                if name not in writers:
                    made = Writer(
                        Path(folder) / f"{place:03d}-{name.replace('/', '-')}",
                        planned=len(samples),
                        extra={**found.facts(), "layer": name},
                        shard_bytes=LAYERS_BYTES // len(layers),
                        overwrite=overwrite,
                        resume=False,
                        **_manifest_facts(found, {**question, "layer": name}),
                    )
                    writers[name] = stack.enter_context(made)
                writers[name].append(ids, rows)
    return {name: writer.stored for name, writer in writers.items()}


def open_layers(folder: str | Path) -> dict[str, StoredEmbeddings]:
    """Open what `embed_layers_to_stores` wrote; empty if nothing was, or it did not finish."""
    folders = sorted(path for path in Path(folder).glob("[0-9]*-*") if path.is_dir())
    stores = [store.open(path) for path in folders if store.is_store(path)]
    if not all(found.complete for found in stores):
        return {}
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
    if not (Path(path) / MANIFEST).is_file():  # whole, but for the last rename: embedding does it
        return None
    question = question_of(model, data, n=n, seed=seed, layer=layer, pooling=pooling)
    return found if found.complete and found.manifest.question == question else None


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


def _manifest_facts(found: Model, question: dict[str, Any]) -> dict[str, Any]:
    names = ("model", "dataset", "weights", "layer", "pooling")
    return {
        **{name: question[name] for name in names},
        "question": question,
        "versions": {"consilience": _own_version(), **versions(found)},
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


def _without(samples: Samples, done: Collection[str]) -> Samples:
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
