"""Standard errors of scores, from what their metrics say of rows and pairs of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np

from consilience._evaluate import Terms
from consilience._halved import Halved, Halves, wide_enough
from consilience._validate import Embedding
from consilience.inference.dependence import (
    FREEDOM,
    SUBSET_SAMPLES,
    SUBSETS_AT_A_TIME,
    added_by_dependence,
    dependent_std_error,
    disjoint,
)
from consilience.metrics._graph import graph_of
from consilience.metrics._registry import Score
from consilience.metrics._rows import RowSettings
from consilience.needs import EdgeNeed, GraphNeed, Need
from consilience.terms import Floats, Indices

Intervals = Literal["auto", "subsample"]
INTERVALS = ("auto", "subsample")
LEAST_IN_HALF = 8
# Rows under all splits that are scored at once; 2 MiB for each sum of every row.
ROWS_AT_A_TIME = 1 << 18

Cell = tuple[int, ...]
# A metric with its settings, and the cells whose error is wanted with their scores.
Wanted = tuple[Any, dict[Cell, Score]]


def wider_needs(metrics: Iterable[Any], n_samples: int) -> Iterator[Need]:
    """Yield the graphs whose lists are long enough to hold the neighbours of a random half."""
    for metric in metrics:
        half = _halved(metric, n_samples)
        if half is None:
            continue
        for need in half.needs():
            graph = graph_of(need)
            wide = replace(graph, k=max(graph.k, wide_enough(graph.k, n_samples)))
            yield replace(need, graph=wide) if isinstance(need, EdgeNeed) else wide


def std_errors(wanted: Sequence[Wanted], terms: Terms, mode: Intervals | None) -> list[Floats]:
    """Return, for each metric, the standard error of each of its cells (nan where unknown).

    As an estimate of the score of the population that the samples are drawn from: where only some
    rows are scored, what the others would have said is in it.
    """
    found = [np.full(len(cells), np.nan) for _, cells in wanted]
    if mode is None:
        return found
    for (metric, cells), errors in zip(wanted, found, strict=True):
        if metric.dependence == "none":
            errors[:] = [_error(metric, terms, cell, score) for cell, score in cells.items()]
    for dependence, added in (("lists", _added_by_lists), ("subsets", _added_by_subsets)):
        chosen = [at for at, (metric, _) in enumerate(wanted) if metric.dependence == dependence]
        extra = added([wanted[at] for at in chosen], terms)
        for at, of_cells in zip(chosen, extra, strict=True):
            metric, cells = wanted[at]
            found[at][:] = [
                _row_error(metric, terms, cell, added)
                for cell, added in zip(cells, of_cells, strict=True)
            ]
    if mode == "subsample":
        missing = [
            at
            for at, errors in enumerate(found)
            if np.isnan(errors).all() and not sampled(wanted[at][0], terms)
        ]
        rescored = _by_rescoring([wanted[at] for at in missing], terms)
        for at, errors in zip(missing, rescored, strict=True):
            found[at] = errors
    return found


def sampled(metric: Any, terms: Terms) -> bool:
    """Return whether a metric scores only some of the rows."""
    return isinstance(metric, RowSettings) and metric.sampled(terms)


def _models(cell: Cell) -> tuple[int, int]:
    return cell[0], cell[-1]


def _error(metric: Any, terms: Terms, cell: Cell, score: Score) -> float:
    """Return the error of a score made of independent rows, or of pairs of them."""
    a, b = _models(cell)
    if terms.n_samples < LEAST_IN_HALF:
        return np.nan
    of_pairs = metric.pair_error(terms, a, b, score)
    if of_pairs is not None:
        return float(of_pairs)
    rows = metric.influence(terms, a, b)
    return np.nan if rows is None else dependent_std_error(rows, 0.0)


def _row_error(metric: Any, terms: Terms, cell: Cell, added: float) -> float:
    rows = metric.influence(terms, *_models(cell))
    return np.nan if rows is None or np.isnan(added) else dependent_std_error(rows, added)


def _halved(metric: Any, n_samples: int) -> Any:
    """Return the settings for one half of the samples, or None if the halves are too small."""
    size = n_samples // 2
    n_rows = min(n_samples, getattr(metric, "rows", None) or n_samples)
    # Some rows fall into the halves by chance: many enough for either to have its share.
    enough = 2 * LEAST_IN_HALF if n_rows == n_samples else 4 * LEAST_IN_HALF
    if metric.dependence != "lists" or n_rows < enough:
        return None
    half = metric.among(size, n_samples)
    if any(not isinstance(g, GraphNeed) or g.k > size - 2 for g in map(graph_of, half.needs())):
        return None
    return half


def _added_by_lists(wanted: Sequence[Wanted], terms: Terms) -> list[Floats]:
    """Return what dependence adds to each variance: half of what it adds at half the size."""
    n = terms.n_samples
    settings = [_halved(metric, n) for metric, _ in wanted]
    sums = [np.zeros(len(cells)) for _, cells in wanted]

    def splits() -> Iterator[list[Indices]]:
        return disjoint(n, n // 2, 2, FREEDOM) if any(settings) else iter(())

    def add(halves: Halves | Halved, some: Sequence[list[Indices]], *, at_once: bool) -> None:
        for half, (_, cells), total in zip(settings, wanted, sums, strict=True):
            if half is not None and half.splits_at_once == at_once:
                places = [[_places(half, terms, part) for part in split] for split in some]
                added = partial(_added, half, halves, splits=places)
                total += list(pool.map(added, cells) if at_once else map(added, cells))

    # Drawn twice rather than kept: all of them are 24 n indices.
    at_a_time, drawn = max(1, ROWS_AT_A_TIME // n), splits()
    # NumPy works on arrays of all splits here, large enough for threads to help.
    with ThreadPoolExecutor(getattr(terms.ops, "n_threads", 1)) as pool:
        while some := list(islice(drawn, at_a_time)):
            add(Halves(terms, [second for _, second in some]), some, at_once=True)
    if not all(half is None or half.splits_at_once for half in settings):
        for draw, (first_half, second) in enumerate(splits()):
            in_half = np.zeros(n, dtype=np.int64)  # if n is odd, one is in no half but counts
            in_half[second] = 1
            add(Halved(terms, in_half, draw), [[first_half, second]], at_once=False)
    return [
        np.full(len(total), np.nan)
        if half is None
        else total / FREEDOM * (n // 2) / n * (metric.unit / half.unit) ** 2
        for total, half, (metric, _) in zip(sums, settings, wanted, strict=True)
    ]


def _added(
    half: Any, halves: Halves | Halved, cell: Cell, splits: Sequence[Sequence[Indices]]
) -> float:
    """Return the sum over splits of what dependence adds in halves of these rows."""
    try:
        rows = half.influence(halves, *_models(cell))
    except ValueError:  # not defined on these halves
        return np.nan
    if rows is None:
        return np.nan
    return sum(
        added_by_dependence([of_split[part] for part in parts])
        for of_split, parts in zip(np.atleast_2d(rows), splits, strict=True)
    )


def _places(metric: Any, terms: Terms, part: Indices) -> Indices:
    """Return which of the scored rows are among these samples."""
    rows = terms.rows(graph_of(metric.needs()[0]))
    return part if rows is None else np.flatnonzero(np.isin(rows, part, assume_unique=True))


def _added_by_subsets(wanted: Sequence[Wanted], terms: Terms) -> list[Floats]:
    n = terms.n_samples
    size = min(n // 2, SUBSET_SAMPLES)

    def added(metric: Any, parts: Sequence[Terms], cell: Cell) -> float:
        return added_by_dependence([metric.influence(part, *_models(cell)) for part in parts])

    return [total * size / n for total in _over_subsets(wanted, terms, size, added)]


def _by_rescoring(wanted: Sequence[Wanted], terms: Terms) -> list[Floats]:
    """Return standard errors from scores of random halves: they differ as two sets would."""
    size = terms.n_samples // 2

    def squared(metric: Any, parts: Sequence[Terms], cell: Cell) -> float:
        values = [metric.score(part, *_models(cell)).value for part in parts]
        return float(np.var(values, ddof=1)) * size / terms.n_samples

    return [np.sqrt(v) for v in _over_subsets(wanted, terms, size, squared)]


def _over_subsets(
    wanted: Sequence[Wanted],
    terms: Terms,
    size: int,
    compare: Callable[[Any, Sequence[Terms], Cell], float],
) -> list[Floats]:
    """Return the mean of a comparison of disjoint subsets; nan where one is not defined."""
    n = terms.n_samples
    sums = [np.zeros(len(cells)) for _, cells in wanted]
    if not wanted or size < LEAST_IN_HALF:
        return [np.full(len(total), np.nan) for total in sums]
    settings = [metric.among(size, n) for metric, _ in wanted]
    needs = tuple(dict.fromkeys(need for metric in settings for need in metric.needs()))
    pairs = sorted({_models(cell) for _, cells in wanted for cell in cells})
    at_a_time = min(n // size, SUBSETS_AT_A_TIME)
    repeats = -(-FREEDOM // (at_a_time - 1))
    for subsets in disjoint(n, size, at_a_time, repeats):
        parts = [
            Terms([_rows(s, chosen) for s in terms.sets], terms.ops, needs, pairs, nulls=False)
            for chosen in subsets
        ]
        for metric, (_, cells), total in zip(settings, wanted, sums, strict=True):
            for c, cell in enumerate(cells):
                try:
                    total[c] += compare(metric, parts, cell)
                except ValueError:  # not defined for so few samples
                    total[c] = np.nan
    return [total / repeats for total in sums]


def _rows(embedding: Embedding, chosen: Any) -> Embedding:
    from consilience.backends._offsets import rows_of

    return replace(embedding, values=rows_of(embedding.values, chosen))
