"""Ops in plain array code: NumPy, torch, CuPy or JAX, whichever holds the data.

The fallback for arrays on an accelerator, and the second opinion on every kernel: float64 and
differences throughout, O(n²d) elementwise work, a row block at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from array_api_compat import array_namespace, device

from consilience.backends._offsets import to_host, typical_offsets
from consilience.backends._placement import place, require_float64
from consilience.backends.base import (
    Channel,
    PairTable,
    RowTable,
    check_stripe,
    reference_rows,
)
from consilience.terms import (
    Floats,
    Graph,
    GraphTerms,
    Indices,
    ListDraws,
    ListTerms,
    MantelTerms,
    Moments,
    RankTerms,
    Splits,
    require_whole,
)


@dataclass(frozen=True)
class ArrayBackend:
    """Array-API code; `entries` bounds the numbers of one intermediate array."""

    entries: int = 1 << 24
    name: str = "array"

    @classmethod
    def for_arrays(cls, arrays: Sequence[Any]) -> Self:
        """Return the backend if one library holds `arrays`, in which it can compute in float64."""
        from consilience.backends import UnsupportedArraysError

        libraries = sorted({place(array).library for array in arrays})
        if len(libraries) > 1:
            raise UnsupportedArraysError(
                f"backend 'array' works on arrays of one library, got {' and '.join(libraries)}; "
                "convert them with from_dlpack of one of them"
            )
        for array in arrays:
            require_float64(array)
        return cls()

    def with_threads(self, n_threads: int) -> Self:
        return self

    def knn_exact(self, X: Any, *, k: int, distance: str, rows: Indices | None = None) -> Graph:
        xp = array_namespace(X)
        X = xp.astype(X, xp.float64)
        indices, distances = [], []
        chosen = xp.asarray(np.arange(X.shape[0]) if rows is None else rows, device=device(X))
        for start, stop in self._blocks(X, 0, chosen.shape[0]):
            own = chosen[start:stop]
            part = xp.take(X, own, axis=0)[:, None, :]
            if distance == "l2":
                block = xp.sqrt(xp.sum((part - X[None, :, :]) ** 2, axis=2))
            else:
                # No matrix product: ties must not hang on its rounding.
                block = -xp.sum(part * X[None, :, :], axis=2)
            block = _without(xp, block, own)
            order = xp.argsort(block, axis=1, stable=True)[:, :k]
            indices.append(to_host(order))
            distances.append(to_host(xp.take_along_axis(block, order, axis=1)))
        return Graph(
            np.concatenate(indices).astype(np.int64),
            np.concatenate(distances),
            rows=rows,
            n_all=None if rows is None else int(X.shape[0]),
        )

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 8) -> Graph:
        # The reference approximates nothing.
        return self.knn_exact(X, k=k, distance=distance)

    def moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats] | None = None,
    ) -> Iterator[Moments]:
        xp = array_namespace(*sets)
        for a, b in pairs:
            X, Y = (xp.astype(sets[m], xp.float64) for m in (a, b))
            shift_x, shift_y = (
                _means(xp, Z)
                if shifts is None
                else xp.asarray(shifts[m][None, :], device=device(Z))
                for m, Z in ((a, X), (b, Y))
            )
            matrix = _augmented(xp, X - shift_x).T @ _augmented(xp, Y - shift_y)
            if a == b:  # exactly symmetric, which products need not be
                matrix = (matrix + matrix.T) / 2.0
            yield Moments(
                to_host(matrix), to_host(shift_x).reshape(-1), to_host(shift_y).reshape(-1)
            )

    def pair_terms(
        self, channels: Sequence[Channel], *, rows: tuple[int, int] | None = None
    ) -> PairTable:
        xp = array_namespace(*[channel.X for channel in channels])
        sets = [xp.astype(channel.X, xp.float64) for channel in channels]
        n_samples, n_channels = sets[0].shape[0], len(sets)
        first, last = check_stripe(rows, n_samples)
        sums = np.zeros((n_channels, n_samples))
        products = np.zeros((n_channels, n_channels))
        widest = max(sets, key=lambda X: X.shape[1])
        offsets = np.stack([typical_offsets(channel) for channel in channels])
        for start, stop in self._blocks(widest, first, last):
            blocks = []
            for X, channel, u in zip(sets, channels, offsets, strict=True):
                squares = _squares_between(xp, X[start:stop, :], X[start:, :])
                u = xp.asarray(u, device=device(X))
                block = (
                    _channel_values(xp, channel, squares) - u[start:stop, None] - u[None, start:]
                )
                blocks.append(xp.triu(block, k=1))
            for a in range(n_channels):
                sums[a, start:stop] += to_host(xp.sum(blocks[a], axis=1))
                sums[a, start:] += to_host(xp.sum(blocks[a], axis=0))
                for b in range(a, n_channels):
                    products[a, b] += 2.0 * float(xp.sum(blocks[a] * blocks[b]))
        products = np.triu(products) + np.triu(products, 1).T
        at_zero = np.array([channel.at_zero for channel in channels])
        return PairTable(sums, products, offsets, at_zero)

    def pair_rows(
        self, channels: Sequence[Channel], pairs: Sequence[tuple[int, int]], rows: Indices
    ) -> RowTable:
        xp = array_namespace(*[channel.X for channel in channels])
        sets = [xp.astype(channel.X, xp.float64) for channel in channels]
        n_samples, n_channels = sets[0].shape[0], len(sets)
        references = reference_rows(n_samples)
        offsets = np.stack(
            [self._about(channel, X, references) for channel, X in zip(channels, sets, strict=True)]
        )
        sums, products = np.zeros((n_channels, len(rows))), np.zeros((len(pairs), len(rows)))
        widest = max(sets, key=lambda X: X.shape[1])
        for start, stop in self._blocks(widest, 0, len(rows)):
            here = xp.asarray(rows[start:stop], device=device(widest))
            blocks = []
            for X, channel, u in zip(sets, channels, offsets, strict=True):
                squares = _squares_between(xp, xp.take(X, here, axis=0), X)
                u = xp.asarray(u, device=device(X))
                block = _channel_values(xp, channel, squares)
                block = block - xp.take(u, here, axis=0)[:, None] - u[None, :]
                blocks.append(_without(xp, block, here, 0.0))
            for c, block in enumerate(blocks):
                sums[c, start:stop] = to_host(xp.sum(block, axis=1))
            for p, (a, b) in enumerate(pairs):
                products[p, start:stop] = to_host(xp.sum(blocks[a] * blocks[b], axis=1))
        at_zero = np.array([channel.at_zero for channel in channels])
        places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return RowTable(n_samples, sums, products, offsets[:, rows], places, at_zero)

    def _about(self, channel: Channel, X: Any, references: Indices) -> Floats:
        """Return each sample's mean over the other references, less half of their own."""
        xp = array_namespace(X)
        others = xp.take(X, xp.asarray(references, device=device(X)), axis=0)
        means = []
        n_rows = max(1, self.entries // (len(references) * X.shape[1]))
        for first in range(0, X.shape[0], n_rows):
            squares = _squares_between(xp, X[first : first + n_rows, :], others)
            means.append(to_host(xp.sum(_channel_values(xp, channel, squares), axis=1)))
        found: Floats = np.concatenate(means)
        counts = np.full(len(found), float(len(references)))
        counts[references] -= 1.0
        found[references] -= channel.at_zero
        found /= counts
        return found - 0.5 * float(found[references].mean())

    def joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        *,
        rows: Indices | None = None,
    ) -> Floats:
        xp = array_namespace(*sets)
        sets = [xp.astype(X, xp.float64) for X in sets]
        wanted = np.arange(sets[0].shape[0]) if rows is None else rows
        out = np.empty((len(pairs), len(wanted), 2))
        widest = max(sets, key=lambda X: X.shape[1])
        for start, stop in self._blocks(widest, 0, len(wanted)):
            own = xp.asarray(wanted[start:stop], device=device(widest))
            squares = [_squares_between(xp, xp.take(X, own, axis=0), X) for X in sets]
            for p, (a, b) in enumerate(pairs):
                joint = _without(xp, squares[a] + squares[b], own)
                nearest = xp.sort(joint, axis=1)[:, :2]
                out[p, start:stop] = np.sqrt(to_host(nearest))
        return out

    def rank_counts(
        self,
        X: Any,
        sources: Sequence[Graph],
        ks: Sequence[int],
        *,
        rows: Indices | None = None,
        sample: Indices | None = None,
    ) -> RankTerms:
        xp = array_namespace(X)
        X = xp.astype(X, xp.float64)
        n_samples = X.shape[0]
        rows = np.arange(n_samples) if rows is None else rows
        sums = np.empty((len(sources), len(rows), len(ks)))
        columns, squares = np.zeros((2, 0 if sample is None else n_samples))
        places = np.zeros(0, np.int64) if sample is None else np.asarray(sample)
        among = np.empty((n_samples, len(places)))
        for start, stop in self._blocks(X, 0, len(rows)):
            here = rows[start:stop]
            centers = xp.take(X, xp.asarray(here, device=device(X)), axis=0)
            block = np.array(to_host(_squares_between(xp, centers, X)))
            np.put_along_axis(block, here[:, None], np.inf, axis=1)
            ranks = _ranks(block)
            np.put_along_axis(ranks, here[:, None], 0.0, axis=1)
            for s, graph in enumerate(sources):
                chosen = np.take_along_axis(ranks, graph.indices[start:stop], axis=1)
                sums[s, start:stop] = np.cumsum(chosen, axis=1)[:, np.asarray(ks) - 1]
            if sample is not None:
                columns += ranks.sum(axis=0)
                squares[start:stop] = (ranks * ranks).sum(axis=1)
                among[start:stop] = ranks[:, places]
        return RankTerms(sums, columns, squares, among[places])

    def edge_values(
        self, X: Any, graph: Graph, *, centered: bool, products: Floats | None = None
    ) -> Floats:
        xp = array_namespace(X)
        X = xp.astype(X, xp.float64)
        shifted = X - _means(xp, X) if centered else X
        if graph.rows is not None:
            X = xp.take(X, xp.asarray(graph.rows, device=device(X)), axis=0)
        values = np.empty(graph.indices.shape)
        for s in range(graph.k):
            ends = xp.asarray(graph.indices[:, s], device=device(X))
            values[:, s] = to_host(xp.sum(X * xp.take(shifted, ends, axis=0), axis=1))
        return values

    def graph_terms(self, x: Graph, y: Graph, e: Floats | None, f: Floats | None) -> GraphTerms:
        require_whole(x, y)
        e = np.ones(x.indices.shape) if e is None else e
        f = np.ones(y.indices.shape) if f is None else f
        edges_x, edges_y = _edge_dicts(x, e), _edge_dicts(y, f)
        n = x.n_samples
        overlap = np.zeros(n, np.int64)
        products, rows_e, rows_f, columns_e, columns_f, reciprocal = np.zeros((6, n))
        for i in range(n):
            for j in sorted(edges_x[i].keys() & edges_y[i].keys()):
                e_ij, f_ij = edges_x[i][j], edges_y[i][j]
                overlap[i] += 1
                products[i] += e_ij * f_ij
                rows_e[i] += e_ij
                rows_f[i] += f_ij
                columns_e[j] += e_ij
                columns_f[j] += f_ij
                if i in edges_x[j] and i in edges_y[j]:
                    reciprocal[i] += e_ij * edges_y[j][i]
        return GraphTerms(overlap, products, rows_e, rows_f, columns_e, columns_f, reciprocal)

    def overlap_terms(
        self, x: Graph, y: Graph, e: Floats | None, f: Floats | None
    ) -> tuple[Indices, Floats]:
        e = np.ones(x.indices.shape) if e is None else e
        f = np.ones(y.indices.shape) if f is None else f
        overlap, products = np.zeros(len(x.indices), np.int64), np.zeros(len(x.indices))
        for i, (row_x, row_y) in enumerate(zip(_edge_dicts(x, e), _edge_dicts(y, f), strict=True)):
            shared = sorted(row_x.keys() & row_y.keys())
            overlap[i] = len(shared)
            products[i] = sum(row_x[j] * row_y[j] for j in shared)
        return overlap, products

    def lists_within(self, graph: Graph, group: Indices, k: int) -> Indices:
        own = group[graph.indices] == group[_samples(graph)][:, None]
        order = np.argsort(~own, axis=1, kind="stable")[:, :k]
        return np.where(np.take_along_axis(own, order, axis=1), order, -1)

    def members_within(self, graph: Graph, halves: Splits, k: int) -> Splits:
        members = np.zeros(graph.indices.shape, np.uint32)
        for t in range(32):
            half = (halves >> np.uint32(t)) & np.uint32(1)
            own = half[graph.indices] == half[_samples(graph)][:, None]
            first = own & (np.cumsum(own, axis=1) <= k)
            members |= first.astype(np.uint32) << np.uint32(t)
        return members

    def overlap_within(
        self,
        x: Graph,
        y: Graph,
        members: tuple[Splits, Splits],
        e: Floats | None,
        f: Floats | None,
        n_splits: int,
    ) -> Floats:
        e = np.ones(x.indices.shape) if e is None else e
        f = np.ones(y.indices.shape) if f is None else f
        found = []
        for t in range(n_splits):
            sides = []
            for graph, values, some in zip((x, y), (e, f), members, strict=True):
                inside = (some >> np.uint32(t)) & np.uint32(1) > 0
                rows = zip(graph.indices, values, inside, strict=True)
                sides.append([dict(zip(j[m], v[m], strict=True)) for j, v, m in rows])
            found.append(
                [sum(a[j] * b[j] for j in b if j in a) for a, b in zip(*sides, strict=True)]
            )
        return np.array(found, dtype=np.float64)

    def nth_within(self, values: Floats, members: Splits, order: int, n_splits: int) -> Floats:
        found = []
        for t in range(n_splits):
            counts = np.cumsum((members >> np.uint32(t)) & np.uint32(1), axis=1)
            place = np.minimum((counts < order).sum(axis=1), values.shape[1] - 1)
            found.append(np.take_along_axis(values, place[:, None], axis=1)[:, 0])
        return np.array(found)

    def list_terms(
        self, x: Graph, y: Graph, *, cycle: bool = False, lcs: bool = False, edit: bool = False
    ) -> ListTerms:
        n = x.n_samples
        nothing = np.zeros(0)
        cycles, lengths, edits = nothing, nothing, nothing
        if cycle:
            require_whole(x, y)
            cycles = np.array([float((x.indices[y.indices[i]] == i).any()) for i in range(n)])
        if lcs:
            pairs = zip(x.indices.tolist(), y.indices.tolist(), strict=True)
            lengths = np.array([float(_lcs(a, b)) for a, b in pairs])
        if edit:
            pairs = zip(x.indices.tolist(), y.indices.tolist(), strict=True)
            edits = np.array([float(_levenshtein(a, b)) for a, b in pairs])
        return ListTerms(cycles, lengths, edits)

    def list_draws(self, x: Graph, y: Graph, permutations: Indices, **wanted: bool) -> ListDraws:
        draws: dict[str, list[float]] = {"jaccard": [], "cycle": [], "lcs": [], "edit": []}
        lists = {name: wanted.get(name, False) for name in ("cycle", "lcs", "edit")}
        for q in permutations:
            other = y.relabelled(q)
            found = self.list_terms(x, other, **lists)
            for name, asked in lists.items():
                if asked:
                    draws[name].append(float(getattr(found, name).sum()))
            if wanted.get("jaccard"):
                shared = self.graph_terms(x, other, None, None).overlap
                draws["jaccard"].append(float((shared / (x.k + y.k - shared)).sum()))
        return ListDraws(**{name: np.array(sums) for name, sums in draws.items()})

    def mantel_counts(self, graph: Graph, ks: Sequence[int]) -> list[MantelTerms]:
        return [self.mantel_terms(graph.nearest(k), np.ones((graph.n_samples, k))) for k in ks]

    def mantel_terms(self, graph: Graph, e: Floats) -> MantelTerms:
        require_whole(graph)
        rows = e.sum(axis=1)
        columns = np.bincount(graph.indices.ravel(), e.ravel(), graph.n_samples)
        edges = _edge_dicts(graph, e)
        reciprocal = sum(
            value * edges[j].get(i, 0.0) for i in range(len(edges)) for j, value in edges[i].items()
        )
        return MantelTerms(
            float(rows.sum()),
            float((e * e).sum()),
            float(reciprocal),
            float(rows @ rows),
            float(columns @ columns),
            float(rows @ columns),
        )

    def mantel_draws(
        self,
        graphs: Sequence[Graph],
        values: Sequence[Floats | None],
        pairs: Sequence[tuple[int, int]],
        permutations: Indices,
    ) -> Floats:
        require_whole(*graphs)
        edges = [
            _edge_dicts(graph, np.ones(graph.indices.shape) if e is None else e)
            for graph, e in zip(graphs, values, strict=True)
        ]
        draws = np.zeros((len(pairs), len(permutations)))
        for p, q in enumerate(permutations.tolist()):
            for at, (x, y) in enumerate(pairs):
                for i, row in enumerate(edges[x]):
                    target = edges[y][q[i]]
                    draws[at, p] += sum(e * target.get(q[j], 0.0) for j, e in row.items())
        return draws

    def pair_distances(self, X: Any, i: Indices, j: Indices) -> Floats:
        xp = array_namespace(X)
        X = xp.astype(X, xp.float64)
        parts = []
        batch = max(1, self.entries // X.shape[1])
        for first in range(0, len(i), batch):
            ends = [
                xp.take(X, xp.asarray(end[first : first + batch], device=device(X)), axis=0)
                for end in (i, j)
            ]
            parts.append(to_host(xp.sqrt(xp.sum((ends[0] - ends[1]) ** 2, axis=1))))
        return np.concatenate(parts)

    def _blocks(self, X: Any, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield row ranges whose (rows, n, d) differences stay within `entries`."""
        n_rows = max(1, self.entries // (X.shape[0] * X.shape[1]))
        for first in range(start, stop, n_rows):
            yield first, min(stop, first + n_rows)


def _samples(graph: Graph) -> Indices:
    """Return which samples the lists are of."""
    return np.arange(graph.n_samples) if graph.rows is None else graph.rows


def _means(xp: Any, X: Any) -> Any:
    first = X[:1, :]
    return first + xp.mean(X - first, axis=0, keepdims=True)


def _augmented(xp: Any, X: Any) -> Any:
    norms = xp.sum(X * X, axis=1, keepdims=True)
    return xp.concat([X, norms, xp.ones_like(norms)], axis=1)


def _channel_values(xp: Any, channel: Channel, squares: Any) -> Any:
    if channel.function == "distance":
        return xp.sqrt(squares)
    if channel.function == "squared":
        return squares
    return xp.exp(-channel.gamma * squares)


def _squares_between(xp: Any, X: Any, Y: Any) -> Any:
    difference = X[:, None, :] - Y[None, :, :]
    return xp.sum(difference * difference, axis=2)


def _without(xp: Any, block: Any, rows: Any, value: float = float("inf")) -> Any:
    columns = xp.arange(block.shape[1], device=device(block))
    value_there = xp.asarray(value, dtype=block.dtype, device=device(block))
    return xp.where(rows[:, None] == columns[None, :], value_there, block)


def _ranks(block: Floats) -> Floats:
    """Return 1 + #{smaller} + ½ #{ties} within each row (self at infinity is never asked)."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(block, axis=1), dtype=np.float64)


def _edge_dicts(graph: Graph, values: Floats) -> list[dict[int, float]]:
    return [
        dict(zip(ends, row, strict=True))
        for ends, row in zip(graph.indices.tolist(), values.tolist(), strict=True)
    ]


def _lcs(a: list[int], b: list[int]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for t, y in enumerate(b, 1):
            diagonal, row[t] = row[t], diagonal + 1 if x == y else max(row[t], row[t - 1])
    return row[-1]


def _levenshtein(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for s, x in enumerate(a, 1):
        diagonal, row[0] = row[0], s
        for t, y in enumerate(b, 1):
            diagonal, row[t] = row[t], min(diagonal + (x != y), row[t] + 1, row[t - 1] + 1)
    return row[-1]
