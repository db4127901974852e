"""Sufficient statistics: what an op returns and a metric reads.

Always NumPy on the host, float64 (indices int64), whatever the backend, so that a metric is a
formula in NumPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# One bit for each of several ways to split the samples in two.
Splits = NDArray[np.uint32]


def mean(values: Floats) -> float:
    """Return the mean of a vector, bit for bit what NumPy's takes several times as long for."""
    return float(np.add.reduce(values) / len(values))


class Saved:
    """Terms that can be written to one .npz file and read back, bit for bit.

    Fields named in `_parts` are terms themselves, stored as "field.field_of_theirs".
    """

    _parts: ClassVar[dict[str, type[Saved]]] = {}

    def save(self, path: str | Path) -> None:
        """Write all fields to `path` (.npz, no pickles)."""
        with Path(path).open("wb") as file:
            np.savez(file, allow_pickle=False, **self._arrays())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls._from_arrays({name: stored[name] for name in stored.files})

    def _arrays(self) -> dict[str, Any]:
        arrays: dict[str, Any] = {}
        for entry in fields(self):  # type: ignore[arg-type]
            value = getattr(self, entry.name)
            if isinstance(value, Saved):
                own = value._arrays()
                arrays |= {f"{entry.name}.{name}": array for name, array in own.items()}
            elif value is not None:
                arrays[entry.name] = np.asarray(value)
        return arrays

    @classmethod
    def _from_arrays(cls, arrays: dict[str, Any]) -> Self:
        values: dict[str, Any] = {}
        parts: dict[str, dict[str, Any]] = {}
        for name, array in arrays.items():
            part, dot, rest = name.partition(".")
            if dot:
                parts.setdefault(part, {})[rest] = array
            else:
                values[name] = array.item() if array.ndim == 0 else array
        for part, own in parts.items():
            values[part] = cls._parts[part]._from_arrays(own)
        return cls(**values)


@dataclass(frozen=True)
class Recall(Saved):
    """Share of the true k nearest that an approximate graph lists, from a sample of its rows.

    estimate : mean over the sampled rows; a neighbour as far as the true k-th counts
    low, high : interval of the mean over all rows, by docs/theory.md#approximate-neighbours
    n_rows : rows sampled, without replacement
    confidence : of the interval
    hits : (n_rows, k), how many of the first 1 ... k true neighbours of a row are listed; None if
        it was not kept
    """

    estimate: float
    low: float
    high: float
    n_rows: int
    confidence: float
    hits: Indices | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_hits(cls, hits: Indices, confidence: float = 0.95) -> Recall:
        """Return the recall of rows that list hits[:, -1] of their k = hits.shape[1] nearest."""
        n_rows, k = hits.shape
        estimate = float(hits[:, -1].sum()) / (n_rows * k)
        # One more row that missed everything: what a sample of this size may not have met.
        rows = np.append(hits[:, -1] / k, 0.0)
        mean, variance = float(rows.mean()), float(rows.var())
        effective = n_rows * mean * (1.0 - mean) / variance if variance > 0.0 else float(n_rows)
        excess = math.log(2.0 / (1.0 - confidence)) / effective
        low, high = _chernoff(estimate, excess, 0.0), _chernoff(estimate, excess, 1.0)
        return cls(estimate, low, high, n_rows, confidence, hits)

    def nearest(self, k: int, of: int) -> Recall:
        """Return the recall of the first k of `of` listed neighbours."""
        if self.hits is not None:
            return self.from_hits(self.hits[:, :k], self.confidence)
        # All that is missed may be among the first k, or nothing of it.
        low = max(0.0, 1.0 - (1.0 - self.low) * of / k)
        estimate = max(0.0, 1.0 - (1.0 - self.estimate) * of / k)
        return Recall(estimate, low, 1.0, self.n_rows, self.confidence)


def _chernoff(mean: float, excess: float, end: float) -> float:
    """Return the p furthest towards `end` whose divergence from `mean` stays within `excess`."""

    def divergence(p: float) -> float:
        sides = ((mean, p), (1.0 - mean, 1.0 - p))
        if any(share > 0.0 and part <= 0.0 for share, part in sides):
            return math.inf
        return sum(share * math.log(share / part) for share, part in sides if share > 0.0)

    inside, outside = mean, end
    if divergence(outside) <= excess:
        return outside
    for _ in range(60):
        middle = 0.5 * (inside + outside)
        if divergence(middle) <= excess:
            inside = middle
        else:
            outside = middle
    return outside


@dataclass(frozen=True)
class Graph(Saved):
    """Neighbour lists, nearest first; ties by index; self never listed.

    indices, distances : (n_samples, k), or (n_rows, k)
    judged : float64 distances it took to certify the lists (k per row is the least), or 0
        where every distance was computed in float64.
    recall : of an approximate graph; None if the graph is exact.
    rows : (n_rows,), ascending: the samples that have lists, of `n_all`; None if all have.
    """

    _parts: ClassVar[dict[str, type[Saved]]] = {"recall": Recall}

    indices: Indices
    distances: Floats
    judged: int = 0
    recall: Recall | None = None
    rows: Indices | None = None
    n_all: int | None = None

    @property
    def n_samples(self) -> int:
        return len(self.indices) if self.n_all is None else self.n_all

    @property
    def k(self) -> int:
        return int(self.indices.shape[1])

    def nearest(self, k: int) -> Graph:
        """Return the graph of the first k neighbours."""
        if k == self.k:
            return self
        return Graph(
            np.ascontiguousarray(self.indices[:, :k]),
            np.ascontiguousarray(self.distances[:, :k]),
            self.judged,
            self.recall and self.recall.nearest(k, self.k),
            self.rows,
            self.n_all,
        )

    def relabelled(self, permutation: Indices) -> Graph:
        """Return the graph of the rows X[permutation], without any distance computed."""
        require_whole(self)
        place = np.empty_like(permutation)
        place[permutation] = np.arange(len(permutation))
        indices, distances = place[self.indices[permutation]], self.distances[permutation]
        return Graph(indices, distances, self.judged, self.recall)


def require_whole(*graphs: Graph) -> None:
    """Raise unless all samples have lists."""
    for graph in graphs:
        if graph.rows is not None:
            raise ValueError(
                f"this reads the neighbours of all {graph.n_samples} samples, and only "
                f"{len(graph.rows)} have any: leave `rows` out"
            )


@dataclass(frozen=True)
class GraphTerms(Saved):
    """Sums over the edges two graphs share, each (n_samples,); see csrc/ops/graph_terms.hpp."""

    overlap: Indices
    products: Floats
    rows_e: Floats
    rows_f: Floats
    columns_e: Floats
    columns_f: Floats
    reciprocal: Floats


class Shared(NamedTuple):
    """The two of `GraphTerms` that look at no other row, each (n_rows,)."""

    overlap: Indices | Floats
    products: Floats


@dataclass(frozen=True)
class ListTerms(Saved):
    """Comparisons of ordered neighbour lists, each (n_samples,), or empty if not asked for."""

    cycle: Floats
    lcs: Floats
    edit: Floats


@dataclass(frozen=True)
class ListDraws(Saved):
    """Comparisons of ordered lists, one of them relabelled, summed over samples: (n_draws,).

    Empty if not asked for; see csrc/ops/graph_terms.hpp.
    """

    jaccard: Floats
    cycle: Floats
    lcs: Floats
    edit: Floats


@dataclass(frozen=True)
class RankTerms(Saved):
    """Sums of ranks over neighbour lists, and of the matrix of ranks; csrc/ops/rank_counts.hpp.

    sums : (n_sources, n_rows, n_ks)
    columns, squares : (n_samples,), column sums and squared row norms; empty if not asked for
    block : (n_sample, n_sample), the ranks among a sample of the samples; likewise
    """

    sums: Floats
    columns: Floats
    squares: Floats
    block: Floats


@dataclass(frozen=True)
class Moments(Saved):
    """The augmented cross-moment Z_xᵀ Z_y, Z = [x - shift | ‖x - shift‖² | 1].

    matrix : (d_x + 2, d_y + 2)
    shift_x, shift_y : (d_x,), (d_y,)
    """

    matrix: Floats
    shift_x: Floats
    shift_y: Floats

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both blocks of rows."""
        same_x = np.array_equal(self.shift_x, other.shift_x)
        if not (same_x and np.array_equal(self.shift_y, other.shift_y)):
            raise ValueError("moments add up only about the same shifts")
        return Moments(self.matrix + other.matrix, self.shift_x, self.shift_y)

    @property
    def n_samples(self) -> int:
        return round(float(self.matrix[-1, -1]))

    def centered(self) -> CenteredMoments:
        """Move from the shifts to the exact means."""
        matrix, d_x, d_y = self.matrix, len(self.shift_x), len(self.shift_y)
        uv = matrix[:d_x, :d_y]
        u_qy, u_sum = matrix[:d_x, d_y], matrix[:d_x, -1]
        v_qx, v_sum = matrix[d_x, :d_y], matrix[-1, :d_y]
        # Python's floats, with which it calculates faster than with NumPy's.
        qx_qy, qx_sum = matrix[d_x, d_y:].tolist()
        qy_sum, n = matrix[-1, d_y:].tolist()
        u, v = u_sum / n, v_sum / n
        u2, v2 = float(u.dot(u)), float(v.dot(v))
        # |u_i - u|² = q_i - 2 u_i.u + |u|², summed and multiplied out; Σ u_i.u = n |u|².
        norms_xy = (
            qx_qy
            - 2 * float(v_qx.dot(v))
            + v2 * qx_sum
            - 2 * float(u_qy.dot(u))
            + 4 * float(u.dot(uv.dot(v)))
            + u2 * qy_sum
            - 3 * n * u2 * v2
        )
        xy = u_sum[:, None] * v_sum  # in place from here: these are the widest arrays
        xy /= -n
        xy += uv
        return CenteredMoments(round(n), xy, qx_sum - n * u2, qy_sum - n * v2, norms_xy)


@dataclass(frozen=True)
class CenteredMoments:
    """Cross-moment about the means, and sums of the centred rows' squared norms.

    xy : XᵀY, (d_x, d_y);  norms_x = Σ‖x_i‖²;  norms_xy = Σ‖x_i‖²‖y_i‖²
    """

    n_samples: int
    xy: Floats
    norms_x: float
    norms_y: float
    norms_xy: float

    def transposed(self) -> CenteredMoments:
        """Return the moments of the two sets the other way round."""
        return CenteredMoments(self.n_samples, self.xy.T, self.norms_y, self.norms_x, self.norms_xy)


@dataclass(frozen=True)
class PairSums(Saved):
    """Sums of two symmetric functions of pairs of samples about offsets of the samples.

    With A the function's values and u the offsets, a_ij = A_ij - u_i - u_j: what is centred
    later does not see u, and digits that would cancel are never lost.

    ab, aa, bb : Σ_{i≠j} a_ij b_ij and so on
    rows_a, rows_b : (n_samples,), Σ_{j≠i} a_ij
    offsets_a, offsets_b : (n_samples,), u
    at_zero : A_ii = B_ii, the same for all i (0 for distances, 1 for RBF)
    """

    ab: float
    aa: float
    bb: float
    rows_a: Floats
    rows_b: Floats
    offsets_a: Floats
    offsets_b: Floats
    at_zero: float

    @property
    def n_samples(self) -> int:
        return len(self.rows_a)

    def without_offsets(self) -> PairSums:
        """Return the sums of A and B themselves."""
        n = self.n_samples
        Side = tuple[Floats, Floats, float]
        a, b = (
            (rows, u, float(np.add.reduce(u)))
            for rows, u in ((self.rows_a, self.offsets_a), (self.rows_b, self.offsets_b))
        )

        def product(total: float, x: Side, y: Side) -> float:
            (rows_x, u, sum_u), (rows_y, v, sum_v) = x, y
            cross = 2.0 * float(rows_x @ v + rows_y @ u)
            return total + cross + 2.0 * ((n - 2.0) * float(u @ v) + sum_u * sum_v)

        def rows(x: Side) -> Floats:
            own, u, sum_u = x
            return own + (n - 2.0) * u + sum_u

        nothing = np.zeros(n)
        return PairSums(
            product(self.ab, a, b),
            product(self.aa, a, a),
            product(self.bb, b, b),
            rows(a),
            rows(b),
            nothing,
            nothing,
            self.at_zero,
        )


@dataclass(frozen=True)
class RowSums(Saved):
    """Those sums of some rows i, kept apart: what `PairSums` adds up, each (n_rows,).

    ab, aa, bb : Σ_{j≠i} a_ij b_ij and so on
    rows_a, rows_b : Σ_{j≠i} a_ij
    offsets_a, offsets_b : u of these rows
    """

    n_samples: int
    ab: Floats
    aa: Floats
    bb: Floats
    rows_a: Floats
    rows_b: Floats
    offsets_a: Floats
    offsets_b: Floats
    at_zero: float

    @property
    def n_rows(self) -> int:
        return len(self.ab)


@dataclass(frozen=True)
class MantelTerms(Saved):
    """What the permutation moments of Σ A_ij B_π(i)π(j) need of A, without its diagonal.

    See csrc/ops/mantel.hpp.
    """

    sum: float
    squares: float
    reciprocal: float
    row_squares: float
    col_squares: float
    row_col: float
