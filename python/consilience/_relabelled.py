"""The terms of two models, the samples of the second relabelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from consilience.backends import Channel
from consilience.needs import (
    EdgeNeed,
    GraphNeed,
    JointNeed,
    MomentNeed,
    PairNeed,
    RankNeed,
    View,
)
from consilience.terms import (
    CenteredMoments,
    Floats,
    Graph,
    GraphTerms,
    Indices,
    ListTerms,
    PairSums,
    RowSums,
    Shared,
)

if TYPE_CHECKING:
    from consilience._evaluate import Terms

T = TypeVar("T")


class Relabelled:
    """What `Terms` gives of models a and b, with row i of b being its row order[i].

    Graphs, edge values and all that one model has alone are moved, never made again; cross terms
    are, which costs what they cost: O(n k) for graphs, O(n d d') for moments, a sweep over all
    pairs of samples for pair sums, joint neighbours and ranks.
    """

    def __init__(self, terms: Terms, b: int, order: Indices) -> None:
        self._terms, self._b, self._order = terms, b, order
        self.n_samples, self.ops, self.rows = terms.n_samples, terms.ops, terms.rows
        self.name, self.dims = terms.name, terms.dims
        self.nulls = False  # a relabelled score is part of a null

    def values(self, m: int, view: View) -> Any:
        """Return the prepared rows of model m, b's relabelled."""
        values = self._terms.values(m, view)
        return values[self._order, :] if m == self._b else values

    def graph(self, m: int, need: GraphNeed) -> Graph:
        """Return the neighbour graph of model m."""
        graph = self._terms.graph(m, need)
        return graph.relabelled(self._order) if m == self._b else graph

    def edges(self, m: int, need: EdgeNeed) -> Floats:
        """Return the inner products along its edges."""
        edges = self._terms.edges(m, need)
        return edges[self._order] if m == self._b else edges

    def self_products(self, m: int, view: View) -> Floats:
        """Return ⟨x_i, x_i⟩."""
        products = self._terms.self_products(m, view)
        return products[self._order] if m == self._b else products

    def graph_terms(self, a: int, b: int, need: EdgeNeed) -> GraphTerms:
        """Return sums over the edges that the graphs of a and b share, and over their columns."""
        x, y = (self.graph(m, need.graph) for m in (a, b))
        return self.ops.graph_terms(x, y, self.edges(a, need), self.edges(b, need))

    def shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        """Return sums of rows over the edges that the graphs of a and b share."""
        graph = need.graph if isinstance(need, EdgeNeed) else need
        e, f = (self.edges(m, need) if isinstance(need, EdgeNeed) else None for m in (a, b))
        return Shared(*self.ops.overlap_terms(self.graph(a, graph), self.graph(b, graph), e, f))

    def list_terms(self, a: int, b: int, need: GraphNeed, **wanted: bool) -> ListTerms:
        """Return comparisons of the ordered neighbour lists."""
        return self.ops.list_terms(self.graph(a, need), self.graph(b, need), **wanted)

    def mantel(self, m: int, need: GraphNeed | EdgeNeed) -> Any:
        """Return what permutation moments need, which no relabelling changes."""
        return self._terms.mantel(m, need)

    def moments(self, a: int, b: int, need: MomentNeed) -> CenteredMoments:
        """Return the cross-moment of a and b about their means."""
        if a == b:
            return self._terms.moments(a, b, need)
        sets = [self.values(m, need.view) for m in (a, b)]
        return next(iter(self.ops.moments(sets, [(0, 1)]))).centered()

    def derived(self, models: tuple[int, ...], key: Any, make: Callable[[], T]) -> T:
        """Return what is made of moments; no relabelling changes a model's own."""
        return self._terms.derived(models, key, make) if len(set(models)) == 1 else make()

    def of_rows(self, m: int, key: Any, make: Callable[[], T]) -> T:
        """Return what is made of rows, in their order, anew."""
        return make()

    def distance_sample(self, m: int, view: View) -> Floats:
        """Return distances of the same pairs of samples for all models."""
        i, j = self._terms.pairs_of_samples()
        return self.ops.pair_distances(self.values(m, view), i, j)

    def distance_ranks(self, m: int, view: View) -> Floats:
        """Return their ranks, ties sharing their mean."""
        from scipy.stats import rankdata

        if m != self._b:
            return self._terms.distance_ranks(m, view)
        return np.asarray(rankdata(self.distance_sample(m, view)))

    def pair_sums(self, a: int, b: int, need: PairNeed) -> PairSums:
        """Return the sums over all pairs of samples for models a and b."""
        return self.ops.pair_terms(self._channels(a, b, need)).pair(0, 1)

    def row_sums(self, a: int, b: int, need: PairNeed) -> RowSums:
        """Return those of the same rows, kept apart."""
        pairs = [(0, 0), (0, 1), (1, 1)]
        return self.ops.pair_rows(self._channels(a, b, need), pairs, self.rows(need)).pair(0, 1)

    def _channels(self, a: int, b: int, need: PairNeed) -> list[Channel]:
        return [
            Channel(
                self.values(m, need.view),
                need.function,
                0.5 / self._terms.bandwidth(m, need) ** 2 if need.function == "rbf" else 0.0,
            )
            for m in (a, b)
        ]

    def joint(self, a: int, b: int, need: JointNeed) -> Floats:
        """Return the two nearest distances in the joint space of a and b, (n, 2)."""
        sets = [self.values(m, need.view) for m in (a, b)]
        return np.asarray(self.ops.joint_nearest(sets, [(0, 1)], rows=self.rows(need))[0])

    def rank_sums(self, a: int, b: int, need: RankNeed) -> Floats:
        """Return, per row, the sum of the ranks in b of its first k neighbours in a."""
        graph = self.graph(a, need.graph)
        ranks = self.ops.rank_counts(
            self.values(b, need.graph.view), [graph], [need.graph.k], rows=graph.rows
        )
        return ranks.sums[0, :, 0]
