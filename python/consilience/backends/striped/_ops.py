"""The ops that are cut by rows: what a stripe of each is, and how stripes make up the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._mapped import read_ahead
from consilience._memory import passed
from consilience.backends.base import Channel, PairTable, RowTable
from consilience.backends.striped._plan import Stripe
from consilience.terms import Floats, Graph, Indices, Moments, RankTerms, Saved

# Rows of moments that are read while as many are worked on.
BLOCK_BYTES = 32 << 20

Arrays = Mapping[str, Sequence[Any]]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Values(Saved):
    """Numbers of an op that has no terms of its own."""

    values: Floats


@dataclass(frozen=True)
class Op:
    """How a task of an op is done, and as what its terms are read back."""

    perform: Callable[[Any, Arrays, Settings, Stripe | None], Saved]
    terms: type[Saved]


def _rows_of(arrays: Arrays, stripe: Stripe | None) -> Indices | None:
    """Return the samples of a stripe: of the rows asked for, if only some were."""
    asked: Any = arrays["rows"][0] if arrays.get("rows") else None
    if stripe is None:
        return None if asked is None else np.asarray(asked)
    return np.arange(*stripe) if asked is None else np.asarray(asked[slice(*stripe)])


def _knn_exact(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> Graph:
    rows = _rows_of(arrays, stripe)
    found: Graph = ops.knn_exact(arrays["sets"][0], rows=rows, **settings)
    return found


def _knn_approx(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> Graph:
    found: Graph = ops.knn_approx(arrays["sets"][0], **settings)
    return found


def _rank_counts(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> RankTerms:
    part = slice(None) if stripe is None else slice(*stripe)
    lists = [np.ascontiguousarray(indices[part]) for indices in arrays["lists"]]
    found: RankTerms = ops.rank_counts(
        arrays["sets"][0],
        [Graph(indices, np.empty((0, 0))) for indices in lists],
        settings["ks"],
        rows=_rows_of(arrays, stripe),
        sample=np.asarray(arrays["sample"][0]) if arrays.get("sample") else None,
    )
    return found


def _moments(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> Values:
    sets, shifts = arrays["sets"], [np.asarray(shift) for shift in arrays["shifts"]]
    pairs = [(a, b) for a, b in settings["pairs"]]
    first, stop = (0, len(sets[0])) if stripe is None else stripe
    # The same blocks whether rows are mapped or in memory, so that sums have the same bits.
    step = max(1024, BLOCK_BYTES // sum(X.shape[1] * X.itemsize for X in sets))
    total: Any = 0.0
    for start in range(first, stop, step):
        rows = slice(start, min(start + step, stop))
        read_ahead(*(X[rows.stop : min(rows.stop + step, stop)] for X in sets))
        block = ops.moments([X[rows] for X in sets], pairs, shifts=shifts)
        total = total + np.concatenate([one.matrix.reshape(-1) for one in block])
        passed(BLOCK_BYTES)
    return Values(total)


def _channels(arrays: Arrays, settings: Settings) -> list[Channel]:
    return [
        Channel(arrays["sets"][place], function, gamma)
        for place, function, gamma in settings["channels"]
    ]


def _pair_terms(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> PairTable:
    found: PairTable = ops.pair_terms(_channels(arrays, settings))
    return found


def _pair_rows(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> RowTable:
    pairs = [(a, b) for a, b in settings["pairs"]]
    found: RowTable = ops.pair_rows(_channels(arrays, settings), pairs, _rows_of(arrays, stripe))
    return found


def _joint_nearest(ops: Any, arrays: Arrays, settings: Settings, stripe: Stripe | None) -> Values:
    pairs = [(a, b) for a, b in settings["pairs"]]
    return Values(ops.joint_nearest(list(arrays["sets"]), pairs, rows=_rows_of(arrays, stripe)))


OPS = {
    "knn_exact": Op(_knn_exact, Graph),
    "knn_approx": Op(_knn_approx, Graph),
    "rank_counts": Op(_rank_counts, RankTerms),
    "moments": Op(_moments, Values),
    "pair_terms": Op(_pair_terms, PairTable),
    "pair_rows": Op(_pair_rows, RowTable),
    "joint_nearest": Op(_joint_nearest, Values),
}


# ---- stripes side by side ----------------------------------------------------------------------


def joined_graphs(parts: Iterable[Graph], rows: Indices | None, n_all: int) -> Graph:
    """Return the lists of all stripes, in order; one stripe's are held beside the whole."""
    n_rows = n_all if rows is None else len(rows)
    indices, distances, judged, at = np.empty(0, np.int64), np.empty(0), 0, 0
    for part in parts:
        if at == 0:
            indices = np.empty((n_rows, part.k), np.int64)
            distances = np.empty((n_rows, part.k))
        there = slice(at, at + len(part.indices))
        indices[there], distances[there] = part.indices, part.distances
        judged, at = judged + part.judged, there.stop
    return Graph(indices, distances, judged, rows=rows, n_all=None if rows is None else n_all)


def joined_ranks(parts: Sequence[RankTerms]) -> RankTerms:
    """Return the sums of all stripes, in order; there are none of the whole matrix."""
    first = parts[0]
    sums = np.concatenate([part.sums for part in parts], axis=1)
    return RankTerms(sums, first.columns, first.squares, first.block)


def split_moments(
    flat: Floats, pairs: Sequence[tuple[int, int]], shifts: Sequence[Floats]
) -> list[Moments]:
    """Return the moments of the pairs out of their matrices, one after the other."""
    shapes = [(len(shifts[a]) + 2, len(shifts[b]) + 2) for a, b in pairs]
    ends = np.cumsum([height * width for height, width in shapes])
    matrices = np.split(flat, ends[:-1])
    return [
        Moments(matrix.reshape(shape), shifts[a], shifts[b])
        for (a, b), matrix, shape in zip(pairs, matrices, shapes, strict=True)
    ]
