r"""The third moment of :math:`T = \sum_{ij} A_{ij} B_{\pi(i)\pi(j)}` over all relabellings.

T³ is a sum over three edges, six ends. The ends coincide in one of 203 ways (set partitions);
given which do, distinct ends go to distinct places, each choice of places being as likely:

.. math:: E[T^3] = \sum_p \frac{M_p(A)\, M_p(B)}{(n)_{|p|}}

with :math:`M_p` the sum over distinct indices for the blocks of p. Möbius inversion takes it from
sums over any indices, which factor over connected graphs of at most three edges: `SHAPES`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field

import numpy as np

from consilience.terms import Floats

# Connected graphs of up to three edges and how many vertices each has: r row sums, d diagonal,
# p row sums of squares.
SHAPES = {
    "d": 1,
    "r": 2,
    "dd": 1,
    "dr": 2,
    "p": 2,
    "rr": 3,
    "ddd": 1,
    "ddr": 2,
    "dAd": 2,
    "dp": 2,
    "cube": 2,
    "drr": 3,
    "dAr": 3,
    "pr": 3,
    "triangle": 3,
    "rrr": 4,
    "rAr": 4,
}
Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class CubicTerms:
    """Sums of a symmetric matrix over connected graphs of up to three edges, as in `SHAPES`."""

    n: int
    sums: dict[str, float]
    _over_distinct: dict[int, Floats] = field(default_factory=dict, repr=False)

    def at(self, n: int) -> CubicTerms:
        """Return what the sums would be for n samples like these.

        A sum over m of them grows with the m-th power of their number.
        """
        growth = n / self.n
        return CubicTerms(n, {name: s * growth ** SHAPES[name] for name, s in self.sums.items()})

    def over_distinct(self, order: int) -> Floats:
        """Return M_p for all partitions p; kept, as a model's serve all its pairs."""
        found = self._over_distinct.get(order)
        if found is None:
            graphs, inversion = _inversion(order)
            products = np.array([math.prod(self.sums[name] for name in graph) for graph in graphs])
            found = self._over_distinct[order] = np.asarray(inversion @ products)
        return found


def cubic_terms(A: Floats) -> CubicTerms:
    """Return the sums of a dense symmetric matrix; O(n³) for the triangles."""
    d, r, squares = A.diagonal(), A.sum(axis=1), A * A
    p, Ar = squares.sum(axis=1), A @ A.sum(axis=1)
    sums = {
        "d": d.sum(),
        "r": r.sum(),
        "dd": d @ d,
        "dr": d @ r,
        "p": p.sum(),
        "rr": r @ r,
        "ddd": (d**3).sum(),
        "ddr": (d * d) @ r,
        "dAd": d @ A @ d,
        "dp": d @ p,
        "cube": np.vdot(squares, A),
        "drr": d @ (r * r),
        "dAr": d @ Ar,
        "pr": p @ r,
        "triangle": np.vdot(A @ A.T, A),  # half the products of A @ A
        "rrr": (r**3).sum(),
        "rAr": r @ Ar,
    }
    return CubicTerms(len(A), {name: float(value) for name, value in sums.items()})


def skewness(A: CubicTerms, B: CubicTerms) -> float:
    """Return the skewness of T over all relabellings; 0 where T does not vary."""
    first, second, third = (moment(A, B, order) for order in (1, 2, 3))
    variance = second - first * first
    if not variance > 1e-14 * second:
        return 0.0
    return float((third - 3.0 * first * second + 2.0 * first**3) / variance**1.5)


def moment(A: CubicTerms, B: CubicTerms, order: int) -> float:
    """Return E[T^order] for an order of at most 3."""
    terms = A.over_distinct(order) * B.over_distinct(order) / _places(A.n, order)
    return float(terms.cumsum()[-1])  # one after another


@functools.lru_cache(maxsize=16)
def _places(n: int, order: int) -> Floats:
    """Return in how many ways distinct blocks find places, of all partitions; inf if in none."""
    ways = [float(math.perm(n, blocks)) for blocks in _blocks(order)]
    return np.array([count or math.inf for count in ways])


@functools.cache
def _partitions(size: int) -> tuple[tuple[int, ...], ...]:
    """Return the set partitions of `size` things, each as the block every thing is in."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(size):
        found = [(*p, b) for p in found for b in range(max(p, default=-1) + 2)]
    return tuple(found)


@functools.cache
def _blocks(order: int) -> tuple[int, ...]:
    return tuple(max(p) + 1 for p in _partitions(2 * order))


@functools.cache
def _inversion(order: int) -> tuple[tuple[tuple[str, ...], ...], Floats]:
    """Return the graphs that occur, and M_p in terms of their sums, (n_partitions, n_graphs)."""
    partitions = _partitions(2 * order)
    columns: dict[tuple[str, ...], int] = {}
    entries = []
    for row, p in enumerate(partitions):
        for merge in _partitions(max(p) + 1):
            merged = tuple(merge[b] for b in p)
            sizes = np.bincount(merge)
            sign = math.prod((-1) ** (int(m) - 1) * math.factorial(int(m) - 1) for m in sizes)
            column = columns.setdefault(_shapes(merged), len(columns))
            entries.append((row, column, sign))
    inversion = np.zeros((len(partitions), len(columns)))
    for row, column, sign in entries:
        inversion[row, column] += sign
    return tuple(columns), inversion


def _shapes(ends: tuple[int, ...]) -> tuple[str, ...]:
    """Return the connected shapes of the edges (ends[0], ends[1]), (ends[2], ends[3]), ..."""
    edges = [(ends[2 * e], ends[2 * e + 1]) for e in range(len(ends) // 2)]
    parts: list[list[tuple[int, int]]] = []
    for edge in edges:
        touching = [part for part in parts if any(set(edge) & set(other) for other in part)]
        parts = [part for part in parts if part not in touching]
        parts.append([edge, *(other for part in touching for other in part)])
    return tuple(sorted(_shape(tuple(part)) for part in parts))


def _shape(edges: Edges) -> str:
    loops = [u for u, v in edges if u == v]
    links = [tuple(sorted(edge)) for edge in edges if edge[0] != edge[1]]
    degree = {u: sum(u in link for link in links) for edge in edges for u in edge}
    vertices = len(degree)
    if not links:
        return "d" * len(loops)
    if len(links) == 1:
        return {0: "r", 1: "dr", 2: "ddr" if len(set(loops)) == 1 else "dAd"}[len(loops)]
    if len(links) == 2:
        if vertices == 2:
            return "dp" if loops else "p"
        if not loops:
            return "rr"
        return "drr" if degree[loops[0]] == 2 else "dAr"
    if vertices == 2:
        return "cube"
    if vertices == 3:
        return "triangle" if len(set(links)) == 3 else "pr"
    return "rrr" if max(degree.values()) == 3 else "rAr"
