"""The same samples in the same row order, for many stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from consilience._validate import check_choice
from consilience.store.embeddings import StoredEmbeddings


def align(
    stores: Sequence[StoredEmbeddings], *, how: Literal["inner", "error"] = "error"
) -> tuple[tuple[str, ...], list[NDArray[Any]]]:
    """Return the rows of every store in one order, matched by sample id.

    Parameters
    ----------
    stores : sequence of StoredEmbeddings
        At least one.
    how : {"error", "inner"}
        "error" wants the same set of ids everywhere; "inner" keeps the ids that all have.

    Returns
    -------
    ids : tuple of str
        In the row order of the first store.
    arrays : list of arrays of shape (len(ids), n_features)
        A memory map where a store needs no reordering, else a copy.

    Raises
    ------
    ValueError
        If ids are missing under "error" (one is named), or no id is common to all.
    """
    check_choice(how, "how", ("inner", "error"))
    if not stores:
        raise ValueError("`stores` must have at least one store, got none")
    common = set(stores[0].ids).intersection(*(store.ids for store in stores[1:]))
    if not common:
        raise ValueError(_nothing_common(stores))
    if how == "error":
        _check_complete(stores)
    ids = tuple(sample for sample in stores[0].ids if sample in common)
    return ids, [_rows(store, ids) for store in stores]


def _rows(store: StoredEmbeddings, ids: tuple[str, ...]) -> NDArray[Any]:
    if store.ids == ids:
        return store.array()
    row_of = {sample: row for row, sample in enumerate(store.ids)}
    rows: NDArray[Any] = store.array()[[row_of[sample] for sample in ids]]
    rows.flags.writeable = False
    return rows


def _check_complete(stores: Sequence[StoredEmbeddings]) -> None:
    first = stores[0]
    for other in stores[1:]:
        for lacking, having in ((other, first), (first, other)):
            there = set(lacking.ids)
            missing = [sample for sample in having.ids if sample not in there]
            if missing:
                raise ValueError(
                    f"{lacking.model!r} ({lacking.path}) lacks sample {missing[0]!r} that "
                    f"{having.model!r} has, {len(missing)} in all; embed the missing samples "
                    "or align with how='inner'"
                )


def _nothing_common(stores: Sequence[StoredEmbeddings]) -> str:
    examples = ", ".join(f"{store.model!r} has {store.ids[0]!r}" for store in stores[:3])
    return (
        f"no sample id is common to the {len(stores)} stores ({examples}, …); "
        "embed the same dataset with every model"
    )
