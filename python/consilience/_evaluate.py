"""The one path from arrays to a score: validate, gather needs, make terms, apply the formula."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from consilience._mapped import is_mapped
from consilience._memory import DEFAULT_MEMORY, as_bytes, bounded, passed, resident_share
from consilience._validate import Embedding, as_embeddings, check_choice
from consilience.backends import (
    GPU_BACKENDS,
    Backend,
    Channel,
    PairTable,
    RowTable,
    check_run,
    on_device,
    select,
)
from consilience.backends._blas import one_blas_thread
from consilience.backends.base import sampled_pairs, sampled_rows
from consilience.inference.blocks import Block, block_samples
from consilience.inference.cubic import CubicTerms
from consilience.inference.permutation import of_ranks
from consilience.needs import (
    PLAIN,
    EdgeNeed,
    GraphNeed,
    JointNeed,
    MomentNeed,
    Need,
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
    MantelTerms,
    PairSums,
    RankTerms,
    RowSums,
    Shared,
)
from consilience.views import prepare

# Below, the distances of all pairs; above, of a seeded sample of this many.
ALL_PAIRS_SAMPLES = 2048
SAMPLED_PAIRS = 1 << 19
# Samples squared, and products of a cross-moment, up to which one thread is used.
QUICK_PAIRS = 1 << 16
QUICK_PRODUCTS = 1 << 22
# Entries of rows that are looked at one by one, at a time: they stay in cache.
ROW_ENTRIES = 1 << 18

T = TypeVar("T")


class Cell:
    """A term that is made once, by whoever asks first; or that is there already."""

    __slots__ = ("lock", "made", "value")

    def __init__(self, value: Any = None) -> None:
        self.lock = threading.RLock()
        self.made = value is not None
        self.value = value


@dataclass(eq=False)
class Terms:
    """The terms of some models, each made at most once and shared by all metrics and threads.

    Sweeps over pairs of samples serve all models and all `needs` at once: they are merged when
    the first of their terms is asked for. `pairs` are the ordered pairs that will be scored.

    nulls : whether scores carry the moments of their nulls. Without, terms that serve nothing
        else are not made.
    """

    sets: Sequence[Embedding]
    ops: Backend
    needs: Iterable[Need]
    pairs: Sequence[tuple[int, int]]
    nulls: bool = True
    _cache: dict[Any, Cell] = field(default_factory=dict)
    _prepared: dict[tuple[int, View], Any] = field(default_factory=dict)
    _guard: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.needs = tuple(dict.fromkeys(self.needs))

    def with_threads(self, n_threads: int) -> Terms:
        """Return the same terms, made by ops that take so many threads of the host."""
        return replace(self, ops=self.ops.with_threads(n_threads))

    @property
    def n_samples(self) -> int:
        return self.sets[0].n_samples

    def name(self, a: int) -> str:
        """Return the name of model a."""
        return self.sets[a].name

    def dims(self, a: int) -> int:
        """Return n_features of model a."""
        return self.sets[a].n_features

    def values(self, a: int, view: View) -> Any:
        """Return the prepared rows of model a; the last few are kept."""
        if view == PLAIN:
            return self.sets[a].values
        key = (a, view)
        with self._guard:
            if key in self._prepared:
                return self._prepared[key]
            while len(self._prepared) >= 2:
                del self._prepared[next(iter(self._prepared))]
        n_threads = getattr(self.ops, "n_threads", 1)
        made = prepare(self.sets[a], view, n_threads)
        with self._guard:  # another thread may have made the same meanwhile
            return self._prepared.setdefault(key, made)

    def by_rows(self, models: Sequence[int], view: View, of_rows: Callable[..., Floats]) -> Floats:
        """Return what `of_rows` makes of each sample's rows, (..., n_samples).

        It is called with the centred rows of each of the models, NumPy float64, of some samples at
        a time, by threads.
        """
        from consilience.backends._offsets import to_host

        sets = [self.values(m, view) for m in models]
        means = [self._means(m, view) for m in models]
        step = max(1, ROW_ENTRIES // max(X.shape[1] for X in sets))

        def of_block(start: int) -> Floats:
            rows = [
                to_host(X[start : start + step, :]).astype(np.float64) - mean
                for X, mean in zip(sets, means, strict=True)
            ]
            passed(sum(block.nbytes for block in rows))
            return of_rows(*rows)

        starts = range(0, self.n_samples, step)
        n_threads = min(len(starts), getattr(self.ops, "n_threads", 1))
        if n_threads == 1:
            return np.concatenate(list(map(of_block, starts)), axis=-1)
        with one_blas_thread, ThreadPoolExecutor(n_threads) as pool:
            return np.concatenate(list(pool.map(of_block, starts)), axis=-1)

    def _means(self, m: int, view: View) -> Floats:
        """Return the column means of model m's prepared rows, summed in float64."""
        from consilience.backends._offsets import to_host

        def make() -> Floats:
            X = self.values(m, view)
            step = max(1, ROW_ENTRIES // X.shape[1])
            first = to_host(X[:1, :]).astype(np.float64)[0]
            total = np.zeros(X.shape[1])
            for start in range(0, len(X), step):
                block = to_host(X[start : start + step, :]).astype(np.float64)
                total += (block - first).sum(axis=0)
                passed(block.nbytes)
            return np.asarray(first + total / len(X))

        return self._once(("means", m, view), make)  # type: ignore[no-any-return]

    def _once(self, key: Any, make: Any) -> Any:
        cell = self._cache.get(key)
        if cell is None:
            with self._guard:
                cell = self._cache.setdefault(key, Cell())
        if not cell.made:
            # Terms ask for others without a cycle, so that no two threads wait for each other.
            with cell.lock:
                if not cell.made:
                    cell.value = make()
                    cell.made = True
        return cell.value

    def graph(self, a: int, need: GraphNeed) -> Graph:
        """Return the neighbour graph of model a."""

        def make() -> Graph:
            full = self._searched(need)
            if full != need:
                return self.graph(a, full).nearest(need.k)
            return self._search(self.values(a, need.view), need)

        return self._once(("graph", a, need), make)  # type: ignore[no-any-return]

    def _widest_graph(self, a: int, need: GraphNeed) -> Graph:
        """Return the graph that was searched: the first k neighbours in it are those asked for."""
        return self.graph(a, self._searched(need))

    def _searched(self, need: GraphNeed) -> GraphNeed:
        """Return the widest of the graphs that differ from this one in k alone."""
        (full,) = _widest(g for g in self._graph_needs() if _same_but_k(g, need))
        return full

    def _search(self, X: Any, need: GraphNeed) -> Graph:
        if need.method == "approx":
            return self.ops.knn_approx(X, k=need.k, distance=need.distance, seed=need.seed)
        return self.ops.knn_exact(X, k=need.k, distance=need.distance, rows=self.rows(need))

    def rows(self, need: GraphNeed | PairNeed | JointNeed) -> Indices | None:
        """Return the samples that are looked at, ascending; None if all are."""
        if need.rows is None or need.rows >= self.n_samples:
            return None
        return self._once(  # type: ignore[no-any-return]
            ("rows", need.rows, need.seed),
            lambda: sampled_rows(self.n_samples, need.rows, need.seed),
        )

    def steps(self) -> Iterator[Step]:
        """Yield the work that `needs` ask for, so that it can be done in order and watched.

        Scores may be asked for without it: each term is then made when first read.
        """
        if not self.pairs:
            return
        models = sorted({m for pair in self.pairs for m in pair})
        square = float(self.n_samples) ** 2
        for graph in _widest(self._graph_needs()):
            for m in models:
                yield Step(
                    f"neighbours of {self.name(m)}",
                    self._search_cost(graph) * self.dims(m),
                    partial(self._graph_and_edges, m, graph),
                    of_graphs=True,
                )
        for some in self._sweeps():
            channels = self._channels(some)
            first, pairs = channels[0]
            count = float(self.n_samples) * (some[0] if some else self.n_samples)
            yield Step(
                "pairs of samples",
                2 * count * sum(self.dims(m) for m, _ in channels),
                partial(self.row_sums if some else self.pair_sums, first, first, pairs),
            )
        for need in self.needs:
            if isinstance(need, JointNeed):
                count = square if self.rows(need) is None else self.n_samples * (need.rows or 0.0)
                cost = count * (sum(map(self.dims, models)) + 8 * len(self.pairs))
                yield Step("joint neighbours", cost, partial(self.joint, *self.pairs[0], need))
            elif isinstance(need, MomentNeed):
                products = sum(self.dims(a) * self.dims(b) for a, b in self._moment_pairs())
                cost = 2.0 * self.n_samples * products
                yield Step("moments", cost, partial(self.moments, *self.pairs[0], need))
        for graph in _widest(n.graph for n in self.needs if isinstance(n, RankNeed)):
            entries = self._search_cost(graph)
            for source, target in {b: (a, b) for a, b in self.pairs}.values():
                yield Step(
                    f"ranks in {self.name(target)}",
                    entries * (self.dims(target) + 300),
                    partial(self.rank_sums, source, target, RankNeed(graph)),
                )

    def _search_cost(self, need: GraphNeed) -> float:
        """Return about how many distances a search computes."""
        n = float(self.n_samples)
        if need.method == "approx":
            return n * min(n, 50.0 * need.k)
        return n * (n if need.rows is None else min(n, need.rows))

    def _graph_needs(self) -> Iterable[GraphNeed]:
        for need in self.needs:
            if isinstance(need, GraphNeed):
                yield need
            elif isinstance(need, (EdgeNeed, RankNeed)):
                yield need.graph

    def _graph_and_edges(self, a: int, need: GraphNeed) -> None:
        """Make both while the prepared rows are at hand."""
        self.graph(a, need)
        for other in self.needs:
            if isinstance(other, EdgeNeed) and _same_but_k(other.graph, need):
                self.edges(a, other)

    def edges(self, a: int, need: EdgeNeed) -> Floats:
        """Return the inner products along the edges of model a's graph, (n, k)."""

        def make() -> Floats:
            known = self.needs if need in self.needs else (*self.needs, need)
            (full,) = _widest(
                other.graph
                for other in known
                if isinstance(other, EdgeNeed)
                and other.centered == need.centered
                and _same_but_k(other.graph, need.graph)
            )
            if full == need.graph:
                return self._edge_values(a, full, centered=need.centered)
            widest = self.edges(a, replace(need, graph=full))
            return np.ascontiguousarray(widest[:, : need.graph.k])

        return self._once(("edges", a, need), make)  # type: ignore[no-any-return]

    def _edge_values(self, a: int, need: GraphNeed, *, centered: bool) -> Floats:
        graph = self.graph(a, need)
        # A search by inner products has found them.
        products = -graph.distances if need.distance == "ip" else None
        X = self.values(a, need.view)
        return self.ops.edge_values(X, graph, centered=centered, products=products)

    def self_products(self, a: int, view: View) -> Floats:
        """Return ⟨x_i, x_i⟩."""
        loops = Graph(np.arange(self.n_samples)[:, None], np.zeros((self.n_samples, 1)))
        return self._once(  # type: ignore[no-any-return]
            ("loops", a, view),
            lambda: self.ops.edge_values(self.values(a, view), loops, centered=False)[:, 0],
        )

    def graph_terms(self, a: int, b: int, need: EdgeNeed) -> GraphTerms:
        """Return sums over the edges that the graphs of a and b share, and over their columns."""
        return self._once(  # type: ignore[no-any-return]
            ("graph_terms", a, b, need),
            lambda: self.ops.graph_terms(
                self.graph(a, need.graph),
                self.graph(b, need.graph),
                self.edges(a, need),
                self.edges(b, need),
            ),
        )

    def shared(self, a: int, b: int, need: GraphNeed | EdgeNeed) -> Shared:
        """Return sums of rows over the edges that the graphs of a and b share, of all or some."""

        def make() -> Shared:
            x, e = self._lists(a, need)
            y, f = self._lists(b, need) if b != a else (x, e)
            return Shared(*self.ops.overlap_terms(x, y, e, f))

        return self._once(("shared", a, b, need), make)  # type: ignore[no-any-return]

    def _lists(self, a: int, need: GraphNeed | EdgeNeed) -> tuple[Graph, Floats | None]:
        """Return the neighbour lists of model a, with the values along them if asked for."""
        if isinstance(need, EdgeNeed):
            return self.graph(a, need.graph), self.edges(a, need)
        return self.graph(a, need), None

    def nearest(self, a: int, need: GraphNeed, orders: tuple[int, ...]) -> tuple[Floats, ...]:
        """Return the distances of model a's rows to these neighbours, the first being 1."""
        distances = self._widest_graph(a, need).distances
        return tuple(distances[:, order - 1] for order in orders)

    def log_distances(self, a: int, need: GraphNeed) -> Floats:
        """Return the sums of the logarithms of the distances to all k neighbours."""

        def make() -> Floats:
            with np.errstate(divide="ignore"):
                logs = np.log(self._widest_graph(a, need).distances[:, : need.k])
            return np.asarray(logs.sum(axis=1))

        return self._once(("log distances", a, need), make)  # type: ignore[no-any-return]

    def list_terms(self, a: int, b: int, need: GraphNeed, **wanted: bool) -> ListTerms:
        """Return comparisons of the ordered neighbour lists of a and b."""
        return self._once(  # type: ignore[no-any-return]
            ("list_terms", a, b, need, tuple(sorted(wanted))),
            lambda: self.ops.list_terms(self.graph(a, need), self.graph(b, need), **wanted),
        )

    def mantel(self, a: int, need: GraphNeed | EdgeNeed) -> MantelTerms:
        """Return what permutation moments need of model a's graph."""
        return self._once(("mantel", a, need), lambda: self._mantel(a, need))  # type: ignore[no-any-return]

    def _mantel(self, a: int, need: GraphNeed | EdgeNeed) -> MantelTerms:
        if isinstance(need, EdgeNeed):
            return self.ops.mantel_terms(self.graph(a, need.graph), self.edges(a, need))
        ranked = [other.graph for other in self.needs if isinstance(other, RankNeed)]
        # Ranks are asked for of several k, and one pass serves all.
        ks = sorted({g.k for g in ranked if _same_but_k(g, need)} if need in ranked else {need.k})
        widest = replace(need, k=ks[-1])
        made = self._once(
            ("mantel counts", a, widest), lambda: self.ops.mantel_counts(self.graph(a, widest), ks)
        )
        return made[ks.index(need.k)]  # type: ignore[no-any-return]

    def mantel_draws(self, a: int, b: int, need: GraphNeed | EdgeNeed, orders: Indices) -> Floats:
        """Return Σ over the edges that a's graph and b's, relabelled, share; for each of `orders`.

        All pairs on that side of the diagonal are drawn when the first is asked for: scores that
        have these draws are symmetric.
        """
        made = self._once(("mantel draws", need, a < b), dict)
        if made.get("orders") is not orders:
            pairs = [
                pair for pair in self.pairs if pair[0] != pair[1] and (pair[0] < pair[1]) == (a < b)
            ]
            draws = {}
            if (a, b) in pairs:
                draws = dict(zip(pairs, self._mantel_draws(pairs, need, orders), strict=True))
            made.update(orders=orders, draws=draws)
        if (a, b) not in made["draws"]:
            return np.asarray(self._mantel_draws([(a, b)], need, orders)[0])
        return made["draws"][a, b]  # type: ignore[no-any-return]

    def _mantel_draws(
        self, pairs: Sequence[tuple[int, int]], need: GraphNeed | EdgeNeed, orders: Indices
    ) -> Floats:
        models = sorted({m for pair in pairs for m in pair})
        graph = need.graph if isinstance(need, EdgeNeed) else need
        return self.ops.mantel_draws(
            [self.graph(m, graph) for m in models],
            [self.edges(m, need) if isinstance(need, EdgeNeed) else None for m in models],
            [(models.index(a), models.index(b)) for a, b in pairs],
            orders,
        )

    def moments(self, a: int, b: int, need: MomentNeed) -> CenteredMoments:
        """Return the cross-moment of a and b about their means."""
        made = self._once(("moments", need), lambda: self._all_moments(need))
        if (a, b) not in made:
            made[a, b] = (
                made[b, a].transposed()
                if (b, a) in made
                else self._moments_of([(a, b)], need)[a, b]
            )
        return made[a, b]  # type: ignore[no-any-return]

    def derived(self, models: tuple[int, ...], key: Any, make: Callable[[], T]) -> T:
        """Return what `make` makes of the terms of one model or a pair, made once."""
        return self._once(("derived", models, key), make)  # type: ignore[no-any-return]

    def of_rows(self, m: int, key: Any, make: Callable[[], T]) -> T:
        """Return what `make` makes of rows of model m, in their order, made once."""
        return self._once(("of rows", m, key), make)  # type: ignore[no-any-return]

    def _moment_pairs(self) -> list[tuple[int, int]]:
        """Return the pairs a <= b whose moments will be asked for, with a set's own."""
        models = {m for pair in self.pairs for m in pair}
        return sorted({(m, m) for m in models} | {(min(pair), max(pair)) for pair in self.pairs})

    def _all_moments(self, need: MomentNeed) -> dict[tuple[int, int], CenteredMoments]:
        pairs = self._moment_pairs()
        # Prepared rows are copies, of which two models' at most are held at a time.
        if need.view == PLAIN or len({m for pair in pairs for m in pair}) <= 2:
            return self._moments_of(pairs, need)
        made: dict[tuple[int, int], CenteredMoments] = {}
        for pair in pairs:
            made.update(self._moments_of([pair], need))
        return made

    def _moments_of(
        self, pairs: Sequence[tuple[int, int]], need: MomentNeed
    ) -> dict[tuple[int, int], CenteredMoments]:
        models = sorted({m for pair in pairs for m in pair})
        found = self.ops.moments(
            [self.values(m, need.view) for m in models],
            [(models.index(a), models.index(b)) for a, b in pairs],
        )
        return {pair: one.centered() for pair, one in zip(pairs, found, strict=True)}

    def distance_sample(self, a: int, view: View) -> Floats:
        """Return the distances of all pairs i < j, or of the same seeded pairs for all models."""
        return self._once(  # type: ignore[no-any-return]
            ("sample", a, view),
            lambda: self.ops.pair_distances(self.values(a, view), *self.pairs_of_samples()),
        )

    def pairs_of_samples(self) -> tuple[Indices, Indices]:
        """Return the pairs i < j of all samples, or a seeded sample of pairs."""
        n = self.n_samples
        return np.triu_indices(n, 1) if n <= ALL_PAIRS_SAMPLES else sampled_pairs(n, SAMPLED_PAIRS)

    def distance_ranks(self, a: int, view: View) -> Floats:
        """Return the ranks of those distances, ties sharing their mean."""
        from scipy.stats import rankdata

        return self._once(  # type: ignore[no-any-return]
            ("sample ranks", a, view), lambda: rankdata(self.distance_sample(a, view))
        )

    def bandwidth(self, a: int, need: PairNeed) -> float:
        """Return sigma of model a's RBF kernel; the rows that are summed have no say in it."""
        if need.bandwidth != "median":
            return need.bandwidth
        median = float(np.median(self.distance_sample(a, need.view)))
        if median == 0.0:
            raise ValueError(
                f"`{self.name(a)}`: the median distance is 0, as most rows are equal; "
                "give `bandwidth` as a number"
            )
        return need.bandwidth_factor * median

    def pair_sums(self, a: int, b: int, need: PairNeed) -> PairSums:
        """Return the sums over all pairs of samples for models a and b."""

        def make() -> tuple[PairTable, dict[tuple[int, PairNeed], int]]:
            channels = self._channels(None)
            places = {c: place for place, c in enumerate(channels)}
            return self.ops.pair_terms(self._made(channels)), places

        table, places = self._once("pair_terms", make)
        return table.pair(places[a, need], places[b, need])  # type: ignore[no-any-return]

    def row_sums(self, a: int, b: int, need: PairNeed) -> RowSums:
        """Return those of the rows that `need` asks for, kept apart, for models a and b."""
        some = self._some(need)

        def make() -> tuple[RowTable, dict[tuple[int, PairNeed], int]]:
            channels = self._channels(some)
            places = {c: place for place, c in enumerate(channels)}
            pairs = [
                (places[x, other], places[y, other])
                for other in dict.fromkeys(other for _, other in channels)
                for x, y in self._moment_pairs()
            ]
            rows = self.rows(need)
            assert rows is not None
            return self.ops.pair_rows(self._made(channels), pairs, rows), places

        table, places = self._once(("pair_rows", some), make)
        return table.pair(places[a, need], places[b, need])  # type: ignore[no-any-return]

    def _some(self, need: PairNeed) -> tuple[int, int] | None:
        """Return how many rows are wanted, and which sample of them; None if all."""
        return None if self.rows(need) is None else (need.rows or 0, need.seed)

    def _sweeps(self) -> list[tuple[int, int] | None]:
        """Return the rows of each sweep over pairs of samples that is asked for."""
        pairs = (need for need in self.needs if isinstance(need, PairNeed))
        return list(dict.fromkeys(map(self._some, pairs)))

    def _channels(self, some: tuple[int, int] | None) -> list[tuple[int, PairNeed]]:
        """Return the functions of pairs that one sweep is for."""
        wanted = sorted({m for pair in self.pairs for m in pair})
        needs = [need for need in self.needs if isinstance(need, PairNeed)]
        return [(m, need) for need in needs if self._some(need) == some for m in wanted]

    def _made(self, channels: Sequence[tuple[int, PairNeed]]) -> list[Channel]:
        prepared = {(a, need.view): self.values(a, need.view) for a, need in channels}
        return [
            Channel(
                prepared[a, need.view],
                need.function,
                0.5 / self.bandwidth(a, need) ** 2 if need.function == "rbf" else 0.0,
            )
            for a, need in channels
        ]

    def joint(self, a: int, b: int, need: JointNeed) -> Floats:
        """Return the two nearest distances in the joint space of a and b, (n, 2) or (n_rows, 2).

        Of a model with itself: its own distances, sqrt(2) times as large.
        """
        distances = self._once(("joint", need), lambda: self._sweep_joints(need))
        return distances[min(a, b), max(a, b)]  # type: ignore[no-any-return]

    def _sweep_joints(self, need: JointNeed) -> dict[tuple[int, int], Floats]:
        models = sorted({m for pair in self.pairs for m in pair})
        pairs = sorted({(min(pair), max(pair)) for pair in self.pairs} | {(m, m) for m in models})
        sets = [self.values(m, need.view) for m in models]
        places = [(models.index(a), models.index(b)) for a, b in pairs]
        found = self.ops.joint_nearest(sets, places, rows=self.rows(need))
        return dict(zip(pairs, found, strict=True))

    def rank_sums(self, a: int, b: int, need: RankNeed) -> Floats:
        """Return, per row, the sum of the ranks in b of its first k neighbours in a."""

        def make() -> dict[int, Floats]:
            of_k = self.ranks(b, need).sums[:, :, self._rank_ks(need).index(need.graph.k)]
            return dict(zip(self.rank_sources(b), of_k, strict=True))

        return self._once(("rank sums", b, need), make)[a]  # type: ignore[no-any-return]

    def ranks(self, b: int, need: RankNeed) -> RankTerms:
        """Return sums of the ranks in b: of all lists and, for a null, of the whole matrix."""
        (widest,) = _widest([other.graph for other in self._alike(need)])
        rows = self.rows(widest)
        return self._once(  # type: ignore[no-any-return]
            ("ranks", b, widest),
            lambda: self.ops.rank_counts(
                self.values(b, widest.view),
                [self.graph(x, widest) for x in self.rank_sources(b)],
                self._rank_ks(need),
                rows=rows,
                sample=block_samples(self.n_samples) if self.nulls and rows is None else None,
            ),
        )

    def rank_mantel(self, b: int, need: RankNeed) -> MantelTerms:
        """Return what permutation moments need of the ranks in b, less their mean."""

        def make() -> MantelTerms:
            ranks = self.ranks(b, need)
            return of_ranks(ranks.columns, ranks.squares, ranks.block)

        key = ("rank mantel", b, need.graph.view, need.graph.distance)
        return self._once(key, make)  # type: ignore[no-any-return]

    def _alike(self, need: RankNeed) -> list[RankNeed]:
        return [
            other
            for other in self.needs
            if isinstance(other, RankNeed) and _same_but_k(other.graph, need.graph)
        ]

    def _rank_ks(self, need: RankNeed) -> list[int]:
        return sorted({other.graph.k for other in self._alike(need)})

    def rank_sources(self, b: int) -> list[int]:
        """Return the models whose lists are ranked in model b."""
        return sorted({x for x, y in self.pairs if y == b})

    def block(self, a: int, need: Need) -> Block:
        """Return a term of model a among some samples, as the dense matrix it sums up."""
        if isinstance(need, RankNeed):  # of all k
            need = replace(need, graph=replace(need.graph, k=0))
        return self._once(("block", a, need), lambda: self._block(a, need))  # type: ignore[no-any-return]

    def block_rows(self, a: int, view: View) -> Any:
        """Return the prepared rows of model a that are in blocks, on the host."""
        from consilience.backends._offsets import rows_of, to_host

        return self._once(
            ("block rows", a, view),
            lambda: to_host(rows_of(self.values(a, view), block_samples(self.n_samples))),
        )

    def cubic(self, a: int, need: Need, kind: str) -> CubicTerms:
        """Return a block's sums of a kind, one of its `..._terms`, as of all samples."""

        def of_block() -> CubicTerms:
            found: CubicTerms = getattr(self.block(a, need), kind)
            return found.at(self.n_samples)

        def make() -> CubicTerms:
            if not isinstance(need, RankNeed):
                return of_block()
            any_k = replace(need, graph=replace(need.graph, k=0))
            return self._once(("cubic", a, any_k, kind), of_block)  # type: ignore[no-any-return]

        return self._once(("cubic", a, need, kind), make)  # type: ignore[no-any-return]

    def _block(self, a: int, need: Need) -> Block:
        chosen = block_samples(self.n_samples)
        if isinstance(need, RankNeed):
            return Block(self.ranks(a, need).block)
        if isinstance(need, (GraphNeed, EdgeNeed)):
            graph = need.graph if isinstance(need, EdgeNeed) else need
            place = np.full(self.n_samples, -1)
            place[chosen] = np.arange(len(chosen))
            ends = place[self._widest_graph(a, graph).indices[chosen, : graph.k]]
            inside = ends >= 0
            block = np.zeros((len(chosen), len(chosen)))
            block[np.nonzero(inside)[0], ends[inside]] = (
                self.edges(a, need)[chosen][inside] if isinstance(need, EdgeNeed) else 1.0
            )
            return Block(block)
        X = self.block_rows(a, need.view).astype(np.float64)
        X = X - X.mean(axis=0)
        if isinstance(need, MomentNeed):
            return Block(X @ X.T)
        from scipy.spatial.distance import cdist

        distances = cdist(X, X)
        function = need.function if isinstance(need, PairNeed) else "distance"
        if function == "distance":
            return Block(distances)
        if function == "squared" or not isinstance(need, PairNeed):
            return Block(distances * distances)
        return Block(np.exp(-0.5 * (distances / self.bandwidth(a, need)) ** 2))


@dataclass(frozen=True)
class Step:
    """A heavy part of the work: what it is, about how many multiplications, and how to do it.

    of_graphs : whether it finds neighbours; such steps come first
    """

    label: str
    cost: float
    run: Callable[[], object]
    of_graphs: bool = False


def _same_but_k(a: GraphNeed, b: GraphNeed) -> bool:
    return a is b or a == b or replace(a, k=b.k) == b


def _widest(graphs: Iterable[GraphNeed]) -> list[GraphNeed]:
    """Return the graphs without those that are the first neighbours of another."""
    graphs = list(graphs)
    if len(graphs) == 1:
        return graphs
    widest: dict[GraphNeed, GraphNeed] = {}
    for graph in graphs:
        alike = replace(graph, k=0)
        if graph.k > widest.setdefault(alike, graph).k:
            widest[alike] = graph
    return list(widest.values())


def terms_of(
    arrays: Iterable[tuple[str, Any]],
    needs: Iterable[Need],
    pairs: Sequence[tuple[int, int]],
    *,
    backend: str | Backend = "auto",
    device: str = "auto",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    nulls: bool = True,
    around: Callable[[Backend], Backend] | None = None,
) -> Terms:
    """Return the terms of arrays that passed the gate.

    around : what to put around the backend, which then works in host memory: each task brings
        what it wants to the device by itself
    """
    check_run(backend, device)
    max_memory = as_bytes(max_memory)
    sets = as_embeddings(arrays, n_threads)
    if around is not None:
        backend, device = "auto" if backend in GPU_BACKENDS else backend, "auto"
    there = on_device([s.values for s in sets], device)
    if device == "cuda":
        sets = [replace(s, values=X) for s, X in zip(sets, there, strict=True)]
    if n_threads is None and not nulls and _quick([s.values.shape for s in sets]):
        n_threads = 1
    if any(map(is_mapped, there)):
        max_memory = (max_memory or DEFAULT_MEMORY) - resident_share(max_memory)
    ops = select(backend, there, device=device, n_threads=n_threads, max_memory=max_memory)
    return Terms(sets, around(ops) if around else ops, tuple(needs), pairs, nulls)


def _quick(shapes: Sequence[tuple[int, int]]) -> bool:
    """Return whether one thread is done before a second would have started (bench_overhead.py)."""
    n, width = shapes[0][0], sum(d for _, d in shapes)
    return n * n <= QUICK_PAIRS and n * width * width <= QUICK_PRODUCTS


def score(metric: Any, X: Any, Y: Any, **run: Any) -> Any:
    """Return the Score of X and Y under a metric with its settings, without its null."""
    with bounded((X, Y), run.get("max_memory")):
        terms = terms_of((("X", X), ("Y", Y)), metric.needs(), [(0, 1)], nulls=False, **run)
        metric.check(terms)
        return metric.score(terms, 0, 1)


def score_both_ways(metric: Any, X: Any, Y: Any, **run: Any) -> tuple[float, float]:
    """Return the values X → Y and Y → X of a directed metric."""
    both = [(0, 1), (1, 0)]
    with bounded((X, Y), run.get("max_memory")):
        terms = terms_of((("X", X), ("Y", Y)), metric.needs(), both, nulls=False, **run)
        metric.check(terms)
        return metric.score(terms, 0, 1).value, metric.score(terms, 1, 0).value


def score_one(metric: Any, X: Any, **run: Any) -> Any:
    """Return the Score of X under a metric of one set."""
    with bounded((X,), run.get("max_memory")):
        terms = terms_of((("X", X),), metric.needs(), [(0, 0)], nulls=False, **run)
        metric.check(terms)
        return metric.score(terms, 0)


def metric_with(name: str, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what is registered of a metric, and the metric with its settings."""
    from consilience.metrics import METRICS

    check_choice(name, "metric", METRICS)
    registered = METRICS[name]
    try:
        return registered, registered.settings_type(**settings)
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        known = list(inspect.signature(registered.settings_type).parameters)
        raise ValueError(
            f"{name!r} has no setting {str(error).rpartition(' ')[2]}, but {known}"
        ) from error
