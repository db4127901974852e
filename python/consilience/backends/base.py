"""The contract of a backend: a few ops, no metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from consilience._draws import FOR_REFERENCES, FOR_ROWS, some_of
from consilience._mapped import taken
from consilience.needs import PairFunction
from consilience.terms import (
    Floats,
    Graph,
    GraphTerms,
    Indices,
    ListDraws,
    ListTerms,
    MantelTerms,
    Moments,
    PairSums,
    RankTerms,
    RowSums,
    Saved,
    Splits,
)

# Offsets that are means over this many rows leave a 64th more variance than means over all.
REFERENCES = 64

# Moments are taken about the mean of so many rows (docs/theory.md, "Moments about the mean").
SHIFT_ROWS = 4096


@dataclass(frozen=True)
class Channel:
    """A symmetric function of pairs of rows of X: |x - y|, |x - y|², or exp(-gamma |x - y|²)."""

    X: Any
    function: PairFunction = "distance"
    gamma: float = 0.0

    @property
    def at_zero(self) -> float:
        """Return the value for equal rows."""
        return 1.0 if self.function == "rbf" else 0.0


@dataclass(frozen=True)
class PairTable(Saved):
    """Sums over pairs of samples for all pairs of channels; see consilience.terms.PairSums.

    rows, offsets : (n_channels, n_samples);  products : (n_channels, n_channels);
    at_zero : (n_channels,)
    """

    rows: Floats
    products: Floats
    offsets: Floats
    at_zero: Floats

    def pair(self, a: int, b: int) -> PairSums:
        """Return the sums of channels a and b."""
        return PairSums(
            float(self.products[a, b]),
            float(self.products[a, a]),
            float(self.products[b, b]),
            self.rows[a],
            self.rows[b],
            self.offsets[a],
            self.offsets[b],
            float(self.at_zero[a]),
        )


@dataclass(frozen=True)
class RowTable(Saved):
    """Sums over pairs of samples of some rows, kept apart; see csrc/ops/pair_rows.hpp.

    rows, offsets : (n_channels, n_rows);  products : (n_pairs, n_rows);
    pairs : (n_pairs, 2), of channels;  at_zero : (n_channels,)
    """

    n_samples: int
    rows: Floats
    products: Floats
    offsets: Floats
    pairs: Indices
    at_zero: Floats

    @classmethod
    def joined(cls, parts: Sequence[RowTable]) -> RowTable:
        """Return the table of all rows of tables of the same channels and pairs, in order."""
        if len(parts) == 1:
            return parts[0]
        rows, products, offsets = (
            np.concatenate([getattr(part, name) for part in parts], axis=1)
            for name in ("rows", "products", "offsets")
        )
        return replace(parts[0], rows=rows, products=products, offsets=offsets)

    def pair(self, a: int, b: int) -> RowSums:
        """Return the sums of channels a and b."""
        places = {pair: p for p, pair in enumerate(map(tuple, self.pairs.tolist()))}

        def products(x: int, y: int) -> Floats:
            return np.asarray(self.products[places[(x, y) if (x, y) in places else (y, x)]])

        return RowSums(
            self.n_samples,
            products(a, b),
            products(a, a),
            products(b, b),
            self.rows[a],
            self.rows[b],
            self.offsets[a],
            self.offsets[b],
            float(self.at_zero[a]),
        )


class Backend(Protocol):
    """Runs ops on prepared arrays that already live where it works; terms come home."""

    @property
    def name(self) -> str:
        """Return the name `select` knows it by."""

    def with_threads(self, n_threads: int) -> Backend:
        """Return the backend, its ops taking so many threads of the host at most."""

    def knn_exact(self, X: Any, *, k: int, distance: str, rows: Indices | None = None) -> Graph:
        """Return the k nearest other rows of each row, or of `rows`, ascending."""

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 8) -> Graph:
        """Return k near other rows of each row, and how many of the k nearest they are.

        `Graph.recall` is None where the search was exact. The one knob is `effort`, the groups of
        near rows that each row is put into: time grows with it, and recall. Which recall it
        brings depends on the data and is measured, where one to aim at could not be promised.
        """

    def moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats] | None = None,
    ) -> Iterator[Moments]:
        """Yield the augmented cross-moment of each pair of sets.

        shifts : of each set, (n_features,): blocks of rows about the same ones add up; some near
            the means if None
        """

    def pair_terms(self, channels: Sequence[Channel]) -> PairTable:
        """Return row sums and products of all channels, from one sweep over tiles."""

    def pair_rows(
        self, channels: Sequence[Channel], pairs: Sequence[tuple[int, int]], rows: Indices
    ) -> RowTable:
        """Return the sums of these rows (ascending) over all samples, for pairs of channels.

        About the same offsets in any backend, those of `reference_rows`.
        """

    def joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        *,
        rows: Indices | None = None,
    ) -> Floats:
        """Return the two nearest distances in each pair's joint space, (n_pairs, n, 2).

        rows : the samples whose neighbours are wanted, ascending, among all; of all if None
        """

    def rank_counts(
        self,
        X: Any,
        sources: Sequence[Graph],
        ks: Sequence[int],
        *,
        rows: Indices | None = None,
        sample: Indices | None = None,
    ) -> RankTerms:
        """Return sums of ranks in X over the first k neighbours.

        rows : the samples that the rows of the sources belong to; all, in order, if None
        sample : if not None, sums over the whole matrix of ranks too, and its block of these
        """

    def edge_values(
        self, X: Any, graph: Graph, *, centered: bool, products: Floats | None = None
    ) -> Floats:
        """Return ⟨x_i, x_j - mean⟩ (centred) or ⟨x_i, x_j⟩ along the edges, (n, k).

        products : ⟨x_i, x_j⟩, where a search has found them; to be used or not
        """

    def graph_terms(self, x: Graph, y: Graph, e: Floats | None, f: Floats | None) -> GraphTerms:
        """Return sums over shared edges, e and f being the graphs' edge values.

        As all that follows, of the lists of all samples, unless it says otherwise.
        """

    def overlap_terms(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None
    ) -> tuple[Indices, Floats]:
        """Return the overlap and products of `graph_terms` alone, at a fraction of its cost.

        The lists may be of some rows.
        """

    def lists_within(self, graph: Graph, group: Indices, k: int) -> Indices:
        """Return where each list has its first k entries of its own group, or -1, (n, k).

        The lists may be of some rows.
        """

    def members_within(self, graph: Graph, halves: Splits, k: int) -> Splits:
        """Return, for each entry, the splits in which it is among the first k of its own half.

        halves : (n_samples,), bit t being the half that a sample is in under split t. As of all
        that follows for several splits, the lists may be of some rows.
        """

    def overlap_within(
        self,
        x: Graph,
        y: Graph,
        members: tuple[Splits, Splits],
        e: Floats | None,
        f: Floats | None,
        n_splits: int,
    ) -> Floats:
        """Return the products of `overlap_terms`, of the members under each split.

        (n_splits, n_rows); the overlap itself where no values are given.
        """

    def nth_within(self, values: Floats, members: Splits, order: int, n_splits: int) -> Floats:
        """Return the order-th (from 1) member's value under each split, (n_splits, n_rows).

        The last value of the list where there are fewer members.
        """

    def list_terms(
        self, x: Graph, y: Graph, *, cycle: bool = False, lcs: bool = False, edit: bool = False
    ) -> ListTerms:
        """Return comparisons of the ordered neighbour lists; of some rows, all but cycle."""

    def list_draws(self, x: Graph, y: Graph, permutations: Indices, **wanted: bool) -> ListDraws:
        """Return jaccard, cycle, lcs, edit sums of the lists, y's relabelled, per draw."""

    def mantel_terms(self, graph: Graph, e: Floats) -> MantelTerms:
        """Return what permutation moments need to know of a graph with values."""

    def mantel_counts(self, graph: Graph, ks: Sequence[int]) -> list[MantelTerms]:
        """Return those of the graphs of the first k neighbours, without values; ks ascend."""

    def mantel_draws(
        self,
        graphs: Sequence[Graph],
        values: Sequence[Floats | None],
        pairs: Sequence[tuple[int, int]],
        permutations: Indices,
    ) -> Floats:
        """Return Σ e_ij f_q(i)q(j) over the edges that relabelled graphs share.

        (n_pairs, n_draws), e and f being the values of the graphs of a pair, the same relabellings
        for all pairs.
        """

    def pair_distances(self, X: Any, i: Indices, j: Indices) -> Floats:
        """Return the Euclidean distances of the pairs (i, j), from differences."""


def sampled_pairs(n_samples: int, n_pairs: int) -> tuple[Indices, Indices]:
    """Return a seeded sample of pairs (i, j), i ≠ j: the same for all models."""
    rng = np.random.default_rng(0)
    i = rng.integers(0, n_samples, n_pairs)
    j = (i + rng.integers(1, n_samples, n_pairs)) % n_samples
    return i, j


def sampled_rows(n_samples: int, n_rows: int, seed: int) -> Indices:
    """Return n_rows different samples, ascending: a simple random sample of them."""
    return some_of(n_samples, n_rows, FOR_ROWS, seed)


def reference_rows(n_samples: int) -> Indices:
    """Return the samples that offsets of `pair_rows` are about, seeded apart from all others."""
    return some_of(n_samples, REFERENCES, FOR_REFERENCES)


def shift_rows(X: Any) -> Any:
    """Return the rows about whose mean moments are taken: all, or a seeded sample of many."""
    if len(X) <= 2 * SHIFT_ROWS:
        return X
    rng = np.random.default_rng(0)
    return taken(X, rng.choice(len(X), SHIFT_ROWS, replace=False, shuffle=False))
