"""The graph terms of all models, every sample's neighbours taken from its own half."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from consilience.needs import EdgeNeed, GraphNeed
from consilience.terms import Floats, Graph, Indices, ListTerms, Shared, Splits

if TYPE_CHECKING:
    from consilience._evaluate import Terms


T = TypeVar("T")


def wider(need: GraphNeed, n_samples: int) -> GraphNeed:
    """Return the graph whose lists are long enough."""
    return replace(need, k=wide_enough(need.k, n_samples))


def wide_enough(k: int, n_samples: int) -> int:
    """Return how long lists must be to hold k neighbours of the own half.

    But for one row in a thousand: their number in a list is binomial.
    """
    return min(n_samples - 1, 2 * k + math.ceil(3.2 * math.sqrt(2 * k) + 6))


class Halves:
    """What `Terms` gives of graphs, for several splits of the samples into halves at once.

    Arrays are (n_splits, n_rows). Neighbours come from the wide lists of `terms`; a row that holds
    too few of its own half, about one in a thousand, has none in their place, and its last distance
    for theirs.
    """

    def __init__(self, terms: Terms, seconds: Sequence[Indices]) -> None:
        self._terms, self.n_splits = terms, len(seconds)
        self.n_samples, self.ops, self.name = terms.n_samples, terms.ops, terms.name
        self._in_second = np.zeros(terms.n_samples, np.uint32)
        for split, second in enumerate(seconds):
            self._in_second[second] |= np.uint32(1 << split)
        self._cache: dict[Hashable, Any] = {}

    def shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        """Return sums over the edges that the graphs of a and b share; no overlap of values."""
        if a != b:
            return self._shared(a, b, need)
        # A model's own serve all its pairs.
        return self._once(("shared", a, need), lambda: self._shared(a, a, need))

    def nearest(self, m: int, need: GraphNeed, orders: tuple[int, ...]) -> tuple[Floats, ...]:
        """Return the distances to these neighbours, the first being 1."""
        wide = self._terms.graph(m, wider(need, self.n_samples))
        members = self._members(m, need)
        return tuple(
            self.ops.nth_within(wide.distances, members, order, self.n_splits) for order in orders
        )

    def log_distances(self, m: int, need: GraphNeed) -> Floats:
        """Return the sums of the logarithms of the distances."""
        graph, members = self._terms.graph(m, wider(need, self.n_samples)), self._members(m, need)
        with np.errstate(divide="ignore"):
            logs = np.log(graph.distances)
        sides = (members, members)
        sums = self.ops.overlap_within(graph, graph, sides, logs, None, self.n_splits)
        found = self.ops.overlap_within(graph, graph, sides, None, None, self.n_splits)
        missing = need.k - found
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(missing > 0, sums + missing * logs[:, -1], sums))

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]  # type: ignore[no-any-return]

    def _shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        graph = need.graph if isinstance(need, EdgeNeed) else need
        wide = wider(graph, self.n_samples)
        x, y = (self._terms.graph(m, wide) for m in (a, b))
        members = self._members(a, graph), self._members(b, graph)
        if not isinstance(need, EdgeNeed):
            overlap = self.ops.overlap_within(x, y, members, None, None, self.n_splits)
            return Shared(overlap, overlap)
        e, f = (self._terms.edges(m, replace(need, graph=wide)) for m in (a, b))
        products = self.ops.overlap_within(x, y, members, e, f, self.n_splits)
        return Shared(np.zeros((self.n_splits, 0)), products)

    def _members(self, m: int, need: GraphNeed) -> Splits:
        wide = self._terms.graph(m, wider(need, self.n_samples))
        return self._once(
            ("members", m, need), lambda: self.ops.members_within(wide, self._in_second, need.k)
        )


class Halved:
    """What `Terms` gives of graphs and their ordered lists, for one split into halves.

    Rows are those of the graphs, all samples or some. Lists come from the wide lists of `terms`; a
    row that holds too few of its own half, about one in a thousand, is filled with others of that
    half at random, along edges of value 0.
    """

    def __init__(self, terms: Terms, in_second: Indices, seed: int) -> None:
        self._terms, self._half, self._seed = terms, in_second, seed
        self.n_samples, self.ops, self.name = terms.n_samples, terms.ops, terms.name
        self.rows = terms.rows
        self._cache: dict[Hashable, Any] = {}

    def graph(self, m: int, need: GraphNeed) -> Graph:
        """Return the graph of model m, neighbours of either half in it."""
        return self._once(("graph", m, need), lambda: self._graph(m, need))

    def edges(self, m: int, need: EdgeNeed) -> Floats:
        """Return the inner products along its edges."""
        return self._once(("edges", m, need), lambda: self._edges(m, need))

    def shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        """Return sums over the edges that the graphs of a and b share."""
        return self._once(("shared", a, b, need), lambda: self._shared(a, b, need))

    def list_terms(self, a: int, b: int, need: GraphNeed, **wanted: bool) -> ListTerms:
        """Return comparisons of the ordered neighbour lists of a and b."""
        return self.ops.list_terms(self.graph(a, need), self.graph(b, need), **wanted)

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]  # type: ignore[no-any-return]

    def _shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        if not isinstance(need, EdgeNeed):
            x, y = self.graph(a, need), self.graph(b, need)
            return Shared(*self.ops.overlap_terms(x, y, None, None))
        e, f = self.edges(a, need), self.edges(b, need)
        if a == b:
            return Shared(np.full(len(e), need.graph.k), (e * e).sum(axis=1))
        x, y = self.graph(a, need.graph), self.graph(b, need.graph)
        return Shared(*self.ops.overlap_terms(x, y, e, f))

    def _wide(self, need: GraphNeed) -> GraphNeed:
        return wider(need, self.n_samples)

    def _places(self, m: int, need: GraphNeed) -> Indices:
        """Return where in the wide lists the chosen entries stand, -1 where filled."""
        wide = self._terms.graph(m, self._wide(need))
        return self._once(
            ("places", m, need), lambda: self.ops.lists_within(wide, self._half, need.k)
        )

    def _edges(self, m: int, need: EdgeNeed) -> Floats:
        wide = self._terms.edges(m, replace(need, graph=self._wide(need.graph)))
        places = self._places(m, need.graph)
        return np.where(places >= 0, self._chosen(wide, m, need.graph), 0.0)

    def _graph(self, m: int, need: GraphNeed) -> Graph:
        wide = self._terms.graph(m, self._wide(need))
        places = self._places(m, need)
        indices = self._chosen(wide.indices, m, need)
        distances = self._chosen(wide.distances, m, need)
        rng = np.random.default_rng([self._seed, m])
        for i in np.flatnonzero(places[:, -1] < 0):
            filled = places[i] < 0
            sample = i if wide.rows is None else wide.rows[i]
            free = self._half == self._half[sample]
            free[wide.indices[i]] = free[sample] = False
            others = np.flatnonzero(free)
            indices[i, filled] = rng.choice(others, int(filled.sum()), replace=False)
            distances[i, filled] = wide.distances[i, -1]
        return Graph(indices, distances, rows=wide.rows, n_all=wide.n_all)

    def _chosen(self, values: Any, m: int, need: GraphNeed) -> Any:
        """Return the entries of wide lists at the places of model m; any where filled."""

        def flat() -> Indices:
            places = self._places(m, need)
            starts = np.arange(len(places))[:, None] * values.shape[1]
            return np.asarray(np.maximum(places, 0) + starts)

        return np.take(values, self._once(("flat", m, need), flat))
