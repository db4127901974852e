"""Sufficient statistics: what an op returns and a metric reads.

Always NumPy on the host, float64 (indices int64), whatever the backend, so that a metric is a
formula in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class Saved:
    """Terms that can be written to one .npz file and read back, bit for bit."""

    def save(self, path: str | Path) -> None:
        """Write all fields to `path` (.npz, no pickles)."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        present = {name: np.asarray(v) for name, v in values.items() if v is not None}
        with Path(path).open("wb") as file:
            np.savez(file, allow_pickle=False, **present)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            values: dict[str, Any] = {name: stored[name] for name in stored.files}
        for name, value in values.items():
            if value.ndim == 0:
                values[name] = value.item()
        return cls(**values)


@dataclass(frozen=True)
class Graph(Saved):
    """Neighbour lists, nearest first; ties by index; self never listed.

    indices, distances : (n_samples, k)
    judged : float64 distances it took to certify the lists (k per row is the least), or 0
        where every distance was computed in float64.
    """

    indices: Indices
    distances: Floats
    judged: int = 0

    @property
    def n_samples(self) -> int:
        return len(self.indices)

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
        )

    def relabelled(self, permutation: Indices) -> Graph:
        """Return the graph of the rows X[permutation], without any distance computed."""
        place = np.empty_like(permutation)
        place[permutation] = np.arange(len(permutation))
        return Graph(place[self.indices[permutation]], self.distances[permutation], self.judged)


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
        d_x, d_y = len(self.shift_x), len(self.shift_y)
        n = self.matrix[-1, -1]
        uv = self.matrix[:d_x, :d_y]
        u_qy, u_sum = self.matrix[:d_x, d_y], self.matrix[:d_x, -1]
        v_qx, v_sum = self.matrix[d_x, :d_y], self.matrix[-1, :d_y]
        qx_qy, qx_sum, qy_sum = (
            self.matrix[d_x, d_y],
            self.matrix[d_x, -1],
            self.matrix[-1, d_y],
        )
        u, v = u_sum / n, v_sum / n
        u2, v2 = u @ u, v @ v
        # |u_i - u|² = q_i - 2 u_i.u + |u|², summed and multiplied out.
        norms_x = qx_sum - 2 * u_sum @ u + n * u2
        norms_y = qy_sum - 2 * v_sum @ v + n * v2
        norms_xy = (
            qx_qy
            - 2 * v_qx @ v
            + v2 * qx_sum
            - 2 * u_qy @ u
            + 4 * u @ uv @ v
            - 2 * v2 * (u @ u_sum)
            + u2 * (qy_sum - 2 * v @ v_sum)
            + n * u2 * v2
        )
        xy = np.outer(u_sum, v_sum)  # in place from here: these are the widest arrays
        xy /= -n
        xy += uv
        return CenteredMoments(
            round(float(n)),
            xy,
            float(norms_x),
            float(norms_y),
            float(norms_xy),
        )


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

    @property
    def diagonals(self) -> tuple[Floats, Floats]:
        """Return a_ii and b_ii."""
        return self.at_zero - 2.0 * self.offsets_a, self.at_zero - 2.0 * self.offsets_b

    def without_offsets(self) -> PairSums:
        """Return the sums of A and B themselves."""
        n = self.n_samples
        a, b = (self.rows_a, self.offsets_a), (self.rows_b, self.offsets_b)

        def product(total: float, x: tuple[Floats, Floats], y: tuple[Floats, Floats]) -> float:
            (rows_x, u), (rows_y, v) = x, y
            cross = 2.0 * float(rows_x @ v + rows_y @ u)
            return total + cross + 2.0 * float((n - 2.0) * (u @ v) + u.sum() * v.sum())

        def rows(x: tuple[Floats, Floats]) -> Floats:
            own, u = x
            return own + (n - 2.0) * u + float(u.sum())

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
