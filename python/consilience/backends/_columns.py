"""Ops on sets too large for them in one piece: some samples at a time, answers put together.

Distances are those of float64 differences whatever other samples are there, so the answers are the
same. A part holds the rows that ask and a block of the samples that they are held against; each
block is copied once for as many rows as fit beside it, and files are read in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from consilience._mapped import is_mapped, read_ahead, release, taken
from consilience._memory import passed
from consilience.terms import Floats, Graph, Indices, RankTerms

# A part of fewer samples than this costs more to set up than to search.
LEAST_SAMPLES = 64
MERGED_ROWS = 1 << 16
# Rows next to each other in a file, from which they are read as a run.
LEAST_RUN = 1024
# Entries of a mapped array that are read at a time: those that ranks are counted in
# (csrc/cpu/rank_stream.cpp).
BLOCK_ENTRIES = 1 << 24
# Bytes of a listed neighbour while ranks are counted: its place, square, order, counts and so on.
LISTED_BYTES = 96


def knn_in_parts(
    X: Any,
    search: Callable[[Any, Indices | None], Graph],
    *,
    k: int,
    rows: Indices | None,
    most: int,
) -> Graph:
    """Return the graph of all samples, or of `rows`, from searches among at most `most` samples.

    search : finds the k nearest in a set, of all or of some rows; ties by index
    """
    n = len(X)
    wanted = np.arange(n) if rows is None else rows
    indices = np.full((len(wanted), k), n, dtype=np.int64)
    distances = np.full((len(wanted), k), np.inf)
    judged = 0
    unlike = unlike_rows([X])
    parts = _pairs_of_blocks(n, unlike, most) if rows is None else _stripes(n, unlike, rows, most)
    for part, asking in parts:
        here = None if rows is None else np.searchsorted(part, asking)
        found = search(gathered(X, part), here)
        judged += found.judged
        places = np.searchsorted(wanted, part if here is None else asking)
        for first in range(0, len(places), MERGED_ROWS):
            some = places[first : first + MERGED_ROWS]
            new = found.indices[first : first + MERGED_ROWS]
            indices[some], distances[some] = _nearest(
                np.concatenate([indices[some], part[new]], axis=1),
                np.concatenate(
                    [distances[some], found.distances[first : first + MERGED_ROWS]], axis=1
                ),
                k,
            )
    return Graph(indices, distances, judged, rows=rows, n_all=None if rows is None else n)


def joint_in_parts(
    sets: Sequence[Any],
    search: Callable[[Sequence[Any], Indices | None], Floats],
    *,
    n_pairs: int,
    rows: Indices | None,
    most: int,
) -> Floats:
    """Return the two nearest distances of all samples, or of `rows`, as `joint_nearest` does.

    search : the same among all samples of some sets

    Of the rows that ask and a block, what is not among those of the rows alone came with the
    block: distances are enough to tell, be there ties or not.
    """
    n = len(sets[0])
    wanted = np.arange(n) if rows is None else rows
    own = np.full((n_pairs, len(wanted), 2), np.inf)
    nearest = own.copy()
    unlike = unlike_rows(sets)

    def found(part: Indices, asking: Indices) -> Floats:
        here, some = np.searchsorted(part, asking), [gathered(X, part) for X in sets]
        # All at once are found once for either of two.
        return search(some, None)[:, here] if rows is None else search(some, here)

    if rows is None:
        alone: Iterator[tuple[Indices, Indices]] = _alone(n, unlike, most)
        parts = _pairs_of_blocks(n, unlike, most)
    else:
        alone = _askers(rows, unlike, most)
        parts = _stripes(n, unlike, rows, most)
    for part, asking in alone:
        places = np.searchsorted(wanted, asking)
        own[:, places] = nearest[:, places] = found(part, asking)
    for part, asking in parts:
        places = np.searchsorted(wanted, asking)
        nearest[:, places] = _two_nearest(nearest[:, places], own[:, places], found(part, asking))
    return nearest


def ranks_in_parts(
    X: Any,
    sources: Sequence[Graph],
    ks: Sequence[int],
    *,
    rows: Indices | None,
    squares: Callable[[Any, Any, Indices, Indices], Floats],
    nearer: Callable[[Any, Any, Indices, Floats], Indices],
    stripe: int,
    block: int,
) -> RankTerms:
    """Return the rank sums of `rows`, or of all, counted in `block` samples at a time.

    squares : (Y, X, i, j) -> |y_i - x_j|² of pairs
    nearer : (X, Y, selves, squares) -> doubled counts of the samples nearer than each square,
        ties once, but for the row itself (csrc/ops/rank_counts.hpp)
    stripe : rows at a time; X is read twice for each of them

    What blocks count adds up: whole and half samples.
    """
    n, widest = len(X), max(ks)
    rows = np.arange(n) if rows is None else np.asarray(rows)
    sums = np.empty((len(sources), len(rows), len(ks)))
    for first in range(0, len(rows), stripe):
        some = slice(first, first + stripe)
        Y = gathered(X, rows[some])
        ends = np.concatenate([graph.indices[some, :widest] for graph in sources], axis=1)
        apart = np.empty(ends.shape)
        for part, samples in _runs(X, block):
            places = np.flatnonzero((ends >= samples.start) & (ends < samples.stop))
            here = ends.ravel()[places] - samples.start
            apart.ravel()[places] = squares(Y, part, places // ends.shape[1], here)
        order = np.argsort(apart, axis=1)
        apart = np.take_along_axis(apart, order, axis=1)
        doubled = np.ones(ends.shape, dtype=np.int64)  # 2, less the tie of each with itself
        for part, samples in _runs(X, block):
            doubled += nearer(part, Y, rows[some] - samples.start, apart)
        np.put_along_axis(ends, order, doubled, axis=1)  # as they were listed
        totals = np.cumsum(ends.reshape(len(ends), len(sources), widest), axis=2)
        sums[:, some] = 0.5 * totals[:, :, np.asarray(ks) - 1].transpose(1, 0, 2)
    nothing = np.zeros(0)
    return RankTerms(sums, nothing, nothing, np.zeros((0, 0)))


def most_fitting(n: int, needed: Callable[[int], int], max_memory: int, least: int) -> int:
    """Return how many samples of a part fit into the memory; 0 if fewer than `least`."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle) <= max_memory else (low, middle - 1)
    return low if low >= least else 0


def pages(*sets: Any) -> int:
    """Return the bytes of the sets that are mapped: pages of theirs that ops read again stay."""
    return sum(X.nbytes for X in sets if is_mapped(X))


def unlike_rows(sets: Sequence[Any]) -> Indices:
    """Return a few samples that differ in each of the sets, so that no part with them is constant.

    Three at least, as many as two neighbours take.
    """
    found = set(range(min(3, len(sets[0]))))
    for X in sets:
        step = max(1, (1 << 18) // X.shape[1])
        for start in range(0, len(X), step):
            unlike = (X[start : start + step] != X[0]).any(axis=1)
            if unlike.any():
                found.add(start + int(unlike.argmax()))
                break
    return np.array(sorted(found))


def gathered(X: Any, part: Indices) -> Any:
    """Return a copy of some rows, ascending; runs of a mapped array are read one after another."""
    if not is_mapped(X):
        return np.ascontiguousarray(X[part])
    out = np.empty((len(part), X.shape[1]), X.dtype)
    alone = np.ones(len(part), dtype=bool)
    step = max(1, BLOCK_ENTRIES // X.shape[1])
    for first, stop in pairwise([0, *(np.flatnonzero(np.diff(part) != 1) + 1), len(part)]):
        if stop - first < LEAST_RUN:
            continue
        alone[first:stop] = False
        run, to = X[part[first] : part[stop - 1] + 1], out[first:stop]
        for start in range(0, len(run), step):
            some = slice(start, start + step)
            read_ahead(run[some])
            to[some] = run[some]
            passed(to[some].nbytes)
    out[alone] = taken(X, part[alone])
    release(X)  # what follows reads the copy
    return out


def _runs(X: Any, size: int) -> Iterator[tuple[Any, range]]:
    """Yield runs of rows and which samples they are."""
    for start in range(0, len(X), size):
        run = X[start : start + size]
        read_ahead(run)
        yield run, range(start, start + len(run))
        passed(run.nbytes)


def _blocks(n: int, size: int) -> Iterator[Indices]:
    """Yield runs of samples, about equally long and none longer than `size`."""
    yield from np.array_split(np.arange(n), -(-n // size))


def _alone(n: int, unlike: Indices, most: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield every block of `_pairs_of_blocks`, as they are there, and its own samples."""
    for block in _blocks(n, (most - len(unlike)) // 2):
        yield np.union1d(block, unlike), block


def _pairs_of_blocks(n: int, unlike: Indices, most: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield every two blocks of samples together, so that every two samples meet; and all of them.

    The samples `unlike` are in all.
    """
    blocks = list(_blocks(n, (most - len(unlike)) // 2))
    for b in range(1, len(blocks)):
        for a in range(b):
            both = np.concatenate([blocks[a], blocks[b]])
            yield np.union1d(both, unlike), both


def _askers(rows: Indices, unlike: Indices, most: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield every stripe of the rows, with the samples `unlike` and without."""
    stripe = max(1, (most - len(unlike)) // 2)
    for first in range(0, len(rows), stripe):
        asking = rows[first : first + stripe]
        yield np.union1d(asking, unlike), asking


def _stripes(
    n: int, unlike: Indices, rows: Indices, most: int
) -> Iterator[tuple[Indices, Indices]]:
    """Yield every block of samples together with every stripe of the rows, and the latter."""
    for together, asking in _askers(rows, unlike, most):
        for block in _blocks(n, most - len(together)):
            yield np.union1d(block, together), asking


def _nearest(indices: Indices, distances: Floats, k: int) -> tuple[Indices, Floats]:
    """Return the first k by (distance, index) of each row, each sample once."""

    def ordered(order: Any) -> tuple[Indices, Floats]:
        return (
            np.take_along_axis(indices, order, axis=1),
            np.take_along_axis(distances, order, axis=1),
        )

    for key in (0, 1):  # by index, then by distance, of which neither undoes the other
        order = np.argsort((indices, distances)[key], axis=1, kind="stable")
        indices, distances = ordered(order)
    again = np.zeros(indices.shape, dtype=bool)
    again[:, 1:] = indices[:, 1:] == indices[:, :-1]
    indices, distances = ordered(np.argsort(again, axis=1, kind="stable"))
    return indices[:, :k], distances[:, :k]


def _two_nearest(nearest: Floats, own: Floats, found: Floats) -> Floats:
    """Return the two smallest of `nearest` and of what `found` has and `own` has not, (..., 2).

    `found` are the two smallest of more than those that `own` are of.
    """
    first = found[..., 0] == own[..., 0]
    second = found[..., 1] == np.where(first, own[..., 1], own[..., 0])
    known = np.stack([first, second], axis=-1)
    both = np.concatenate([nearest, np.where(known, np.inf, found)], axis=-1)
    return np.sort(both, axis=-1)[..., :2]
