"""One model over one dataset, onto the disk."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from consilience import store
from consilience.datasets import find_dataset, load_samples
from consilience.models import DEFAULT_BATCH_SIZE, Batches, embed, find_model, versions
from consilience.store import StoredEmbeddings


def embed_to_store(
    model: str,
    data: str,
    path: str | Path,
    *,
    n: int | None = None,
    seed: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
    overwrite: bool = False,
) -> StoredEmbeddings:
    """Embed a dataset with a model and write the result as a store.

    Parameters
    ----------
    model : str
        Name out of `consilience.models.MODELS`.
    data : str
        Name out of `consilience.datasets.DATASETS`, with ``:PATH`` where one is wanted.
    path : path
        Folder of the store.
    n, seed : int
        How many samples, and which.
    batch_size : int
        Samples per batch.
    overwrite : bool
        Replace a store that is there.

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
    extra = {**found.facts(), "n_skipped": samples.n_skipped, "batch_size": batch_size}

    def timed() -> Batches:
        yield from embed(found, samples, batch_size=batch_size)
        # The manifest, and so `extra`, is written after the last batch.
        extra["seconds"] = round(time.perf_counter() - started, 2)

    return store.write(
        path,
        timed(),
        model=found.name,
        dataset=dataset_facts(data, n, seed),
        versions={"consilience": _own_version(), **versions(found)},
        extra=extra,
        overwrite=overwrite,
    )


def find_cached(
    model: str, data: str, path: str | Path, *, n: int | None, seed: int
) -> StoredEmbeddings | None:
    """Return the store at `path` if it is whole and what would be made now, else None."""
    try:
        found = store.open(path)
    except (FileNotFoundError, ValueError):
        return None
    runner, made = find_model(model), found.manifest
    package = runner.package.partition("==")[0]
    same_samples = made.dataset == dataset_facts(data, n, seed)
    same_model = (made.model, made.extra.get("checkpoint")) == (model, runner.checkpoint)
    same_weights = made.versions.get(package) == versions(runner).get(package)
    return found if same_samples and same_model and same_weights else None


def dataset_facts(data: str, n: int | None, seed: int) -> dict[str, Any]:
    """Return what identifies a sample of a dataset."""
    package = find_dataset(data.partition(":")[0]).package
    return {"name": data, "n": n, "seed": seed, "package": package}


def _own_version() -> str:
    try:
        return version("consilience")
    except PackageNotFoundError:
        return "not installed"
