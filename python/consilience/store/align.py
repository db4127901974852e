"""The same samples in the same row order, for many stores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from consilience._validate import check_choice
from consilience.store.embeddings import Read, StoredEmbeddings
from consilience.store.gather import gathered


class DroppedSamples(UserWarning):
    """Some samples are not in every store."""


def align(
    stores: Sequence[StoredEmbeddings],
    *,
    how: Literal["inner", "error"] = "error",
    read: Read | None = None,
    folder: str | Path | None = None,
) -> tuple[tuple[str, ...], list[NDArray[Any]]]:
    """Return the rows of every store in one order, matched by sample id.

    Parameters
    ----------
    stores : sequence of StoredEmbeddings
        At least one.
    how : {"error", "inner"}
        "error" wants the same set of ids everywhere; "inner" keeps the ids that all have, and
        warns with `DroppedSamples` of those it drops.
    read : {"mmap", "pread"}, optional
        As in `StoredEmbeddings.array`.
    folder : path, optional
        Where rows in another order are kept as files, for other processes and later runs.

    Returns
    -------
    ids : tuple of str
        In the row order of the first store.
    arrays : list of arrays of shape (len(ids), n_features)
        Read-only. The store's own mapped array, or a stretch of it, where rows need no other
        order; else a copy in memory, or from 256 MiB on in a mapped scratch file.

    Raises
    ------
    ValueError
        If ids are missing under "error" (one is named), or no id is common to all.
    """
    check_choice(how, "how", ("inner", "error"))
    if not stores:
        raise ValueError("`stores` must have at least one store, got none")
    first = stores[0].ids
    # Of each sample of the first store: its row in every store, or -1.
    places = _all_places(first, [store.ids for store in stores])
    common = np.all([place >= 0 for place in places], axis=0)
    if not common.any():
        raise ValueError(_nothing_common(stores))
    if how == "error":
        _check_the_same(stores, places)
    elif dropped := _dropped(stores, int(common.sum())):
        warnings.warn(dropped, DroppedSamples, stacklevel=2)
    kept = np.flatnonzero(common)
    ids = first if len(kept) == len(first) else tuple(first[i] for i in kept)
    rows = [
        _rows(store, place[kept], read, folder) for store, place in zip(stores, places, strict=True)
    ]
    return ids, rows


def _all_places(
    wanted: tuple[str, ...], stores: Sequence[tuple[str, ...]]
) -> list[NDArray[np.intp]]:
    places: list[NDArray[np.intp]] = []
    for i, ids in enumerate(stores):
        # Models that embedded the same samples mostly did so in the same order.
        same = next((j for j in range(i) if stores[j] == ids), None)
        places.append(_places(wanted, ids) if same is None else places[same])
    return places


def _places(wanted: tuple[str, ...], ids: tuple[str, ...]) -> NDArray[np.intp]:
    if wanted is ids:
        return np.arange(len(wanted))
    row_of = dict(zip(ids, range(len(ids)), strict=True))
    return np.fromiter(map(row_of.get, wanted, repeat(-1)), np.intp, len(wanted))


def _rows(
    store: StoredEmbeddings,
    order: NDArray[np.intp],
    read: Read | None,
    folder: str | Path | None,
) -> NDArray[Any]:
    start, stop = int(order[0]), int(order[-1]) + 1
    if stop - start == len(order) and np.all(np.diff(order) == 1):
        return store.array(read=read)[start:stop]
    return gathered(store, order, read=read, folder=folder)


def _check_the_same(stores: Sequence[StoredEmbeddings], places: Sequence[NDArray[np.intp]]) -> None:
    first = stores[0]
    for other, place in zip(stores[1:], places[1:], strict=True):
        missing = np.flatnonzero(place < 0)
        if missing.size:
            raise ValueError(_lacks(other, first, first.ids[missing[0]], missing.size))
        if len(other.ids) > len(first.ids):
            there = set(first.ids)
            more = [sample for sample in other.ids if sample not in there]
            raise ValueError(_lacks(first, other, more[0], len(more)))


def _lacks(lacking: StoredEmbeddings, having: StoredEmbeddings, sample: str, n_missing: int) -> str:
    why = "" if lacking.complete else f", as it is unfinished: {lacking.unfinished}"
    return (
        f"{lacking.model!r} ({lacking.path}) lacks sample {sample!r} that {having.model!r} has, "
        f"{n_missing} in all{why}; embed the missing samples or align with how='inner'"
    )


def _dropped(stores: Sequence[StoredEmbeddings], n_common: int) -> str:
    """Return what is lost of which store, or nothing if nothing is."""
    lost = [
        f"{store.shape[0] - n_common} of {store.shape[0]} of {store.model!r}"
        + ("" if store.complete else " (unfinished)")
        for store in stores
        if store.shape[0] > n_common
    ]
    return f"{n_common} samples are common to all stores; dropped {', '.join(lost)}" * bool(lost)


def _nothing_common(stores: Sequence[StoredEmbeddings]) -> str:
    some = [store for store in stores[:3] if store.ids]
    examples = ", ".join(f"{store.model!r} has {store.ids[0]!r}" for store in some)
    return (
        f"no sample id is common to the {len(stores)} stores ({examples}, …); "
        "embed the same dataset with every model"
    )
