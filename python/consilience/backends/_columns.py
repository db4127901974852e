"""Ops on sets too large for them in one piece: some samples at a time, answers put together.

Distances are those of float64 differences whatever other samples are there, so the answers are the
same. A part holds the rows that ask and a block of the samples that they are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from consilience._mapped import taken
from consilience.terms import Floats, Graph, Indices, RankTerms

# A part of fewer samples than this costs more to set up than to search.
LEAST_SAMPLES = 64
MERGED_ROWS = 1 << 16


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
    for part, asking in _pairs_of_blocks(n, most) if rows is None else _stripes(n, rows, most):
        here = None if asking is None else np.searchsorted(part, asking)
        found = search(taken(X, part), here)
        places = np.searchsorted(wanted, part if asking is None else asking)
        judged += found.judged
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


def ranks_in_parts(
    X: Any,
    count: Callable[[Any, Sequence[Graph], Indices], RankTerms],
    sources: Sequence[Graph],
    *,
    rows: Indices,
    most: int,
) -> RankTerms:
    """Return the rank sums of `rows`, from counts among at most `most` samples.

    With E the rows and all that they list, #{nearer in all} = #{in E} + Σ_b #{in E or block b} -
    #{in E}: sums of ranks are such counts, of whole and half samples, and add up exactly.
    """
    n = len(X)
    per_row = 1 + sum(graph.k for graph in sources)
    if per_row > most - LEAST_SAMPLES:
        raise MemoryError(
            f"rank_counts: the lists of one row name {per_row} samples, and {most} fit at a time; "
            "raise `max_memory` or take fewer neighbours"
        )
    stripe = max(1, most // 2 // per_row)
    parts = []
    for first in range(0, len(rows), stripe):
        own = rows[first : first + stripe]
        lists = [graph.indices[first : first + stripe] for graph in sources]
        listed = np.unique(np.concatenate([own, *(ends.ravel() for ends in lists)]))

        def counted(part: Indices, own: Indices = own, lists: Sequence[Indices] = lists) -> Floats:
            here = np.searchsorted(part, own)
            graphs = [
                Graph(np.searchsorted(part, ends), np.zeros(ends.shape), rows=here, n_all=len(part))
                for ends in lists
            ]
            return count(taken(X, part), graphs, here).sums

        among = counted(listed)
        total = among.copy()
        for block in _blocks(n, most - len(listed)):
            total += counted(np.union1d(block, listed)) - among
        parts.append(total)
    nothing = np.zeros(0)
    return RankTerms(np.concatenate(parts, axis=1), nothing, nothing, np.zeros((0, 0)))


def most_fitting(n: int, needed: Callable[[int], int], max_memory: int, least: int) -> int:
    """Return how many samples of a part fit into the memory; 0 if fewer than `least`."""
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(middle) <= max_memory else (low, middle - 1)
    return low if low >= least else 0


def _blocks(n: int, size: int) -> Iterator[Indices]:
    """Yield runs of samples, about equally long and none longer than `size`."""
    yield from np.array_split(np.arange(n), -(-n // size))


def _pairs_of_blocks(n: int, most: int) -> Iterator[tuple[Indices, None]]:
    """Yield every two blocks of samples together, so that every two samples meet."""
    blocks = list(_blocks(n, most // 2))
    for b in range(1, len(blocks)):
        for a in range(b):
            yield np.concatenate([blocks[a], blocks[b]]), None


def _stripes(n: int, rows: Indices, most: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield every block of samples together with every stripe of the rows, and the latter."""
    stripe = max(1, most // 2)
    for first in range(0, len(rows), stripe):
        asking = rows[first : first + stripe]
        for block in _blocks(n, most - len(asking)):
            yield np.union1d(block, asking), asking


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
