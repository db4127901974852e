"""The graph terms of all models, every sample's neighbours taken from its own half."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from consilience.needs import EdgeNeed, GraphNeed
from consilience.terms import Floats, Graph, Indices, ListTerms, Shared

if TYPE_CHECKING:
    from consilience._evaluate import Terms


T = TypeVar("T")


def wide_enough(k: int, n_samples: int) -> int:
    """Return how long lists must be to hold k neighbours of the own half.

    But for one row in a thousand: their number in a list is binomial.
    """
    return min(n_samples - 1, 2 * k + math.ceil(3.2 * math.sqrt(2 * k) + 6))


class Halved:
    """What `Terms` gives of graphs, for two halves at once that do not know of each other.

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
        return replace(need, k=wide_enough(need.k, self.n_samples))

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
