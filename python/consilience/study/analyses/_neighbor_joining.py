"""Neighbour joining [saitou1987]_, in the form of [studier1988]_."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience.study.analyses._json import Result

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Edge(Result):
    """A branch between two nodes and its length."""

    from_: int
    to: int
    length: float


def neighbor_joining(distances: ArrayLike) -> tuple[Edge, ...]:
    r"""Return the branches of the unrooted tree that fits the distances.

    While more than three nodes are left, the pair with the least
    :math:`(r - 2)\,d_{ij} - \sum_k d_{ik} - \sum_k d_{jk}` is joined, the first such pair in
    order if several are. Exact on the path lengths of any tree. A negative length is set to 0
    and what it lacks taken from the sister branch, so that the distance of the two is kept
    [kuhner1994]_. O(n³).

    Parameters
    ----------
    distances : (n, n), symmetric, zero diagonal, finite, not negative; n at least 3

    Returns
    -------
    tuple of Edge
        Leaves are nodes 0 … n-1, the 2n-3 branches point away from the node joined last, 2n-3.
    """
    d = np.array(distances, dtype=np.float64)
    check_distances(d)
    n = len(d)
    nodes, edges = list(range(n)), []
    for new in range(n, 2 * n - 3):
        r, sums = len(d), d.sum(axis=1)
        criterion = (r - 2) * d - sums[:, None] - sums[None, :]
        criterion[np.tril_indices(r)] = np.inf
        i, j = divmod(int(criterion.argmin()), r)
        half = 0.5 * (d[i, j] + (sums[i] - sums[j]) / (r - 2))
        lengths = sisters(half, d[i, j] - half)
        edges += [Edge(new, nodes[i], lengths[0]), Edge(new, nodes[j], lengths[1])]
        merged = 0.5 * (d[i] + d[j] - d[i, j])
        kept = [k for k in range(r) if k not in (i, j)]
        d = np.block([[d[np.ix_(kept, kept)], merged[kept, None]], [merged[None, kept], 0.0]])
        nodes = [nodes[k] for k in kept] + [new]
    return (*edges, *_last_three(d, nodes, 2 * n - 3))


def sisters(first: float, second: float) -> tuple[float, float]:
    """Return the lengths, none negative, with the same sum."""
    total = max(first + second, 0.0)
    return (0.0, total) if first < 0.0 else (total, 0.0) if second < 0.0 else (first, second)


def _last_three(d: Floats, nodes: list[int], center: int) -> list[Edge]:
    a, b, c = (
        0.5 * (d[0, 1] + d[0, 2] - d[1, 2]),
        0.5 * (d[0, 1] + d[1, 2] - d[0, 2]),
        0.5 * (d[0, 2] + d[1, 2] - d[0, 1]),
    )
    lengths = np.array([a, b, c])
    short = int(lengths.argmin())
    if lengths[short] < 0.0:
        lengths += lengths[short]
        lengths[short] = 0.0
    return [
        Edge(center, node, float(max(length, 0.0)))
        for node, length in zip(nodes, lengths, strict=True)
    ]


def check_distances(d: Floats) -> None:
    """Raise unless d is a matrix of distances of at least three models."""
    if d.ndim != 2 or d.shape[0] != d.shape[1]:
        raise ValueError(f"distances must be square, got shape {d.shape}")
    if len(d) < 3:
        raise ValueError(f"a tree needs at least 3 models, got {len(d)}")
    if not np.isfinite(d).all() or bool(np.any(d < 0.0)):
        raise ValueError("distances must be finite and not negative")
    if bool(np.any(np.diag(d) != 0.0)) or not np.allclose(d, d.T, rtol=1e-12, atol=0.0):
        raise ValueError("distances must be symmetric with a zero diagonal")


def newick(edges: tuple[Edge, ...], names: tuple[str, ...]) -> str:
    """Return the tree in Newick form, rooted for writing at the node joined last."""
    children: dict[int, list[Edge]] = {}
    for edge in edges:
        children.setdefault(edge.from_, []).append(edge)

    def write(node: int) -> str:
        if node not in children:
            return quoted(names[node])
        below = (f"{write(edge.to)}:{edge.length:.10g}" for edge in children[node])
        return f"({','.join(below)})"

    return write(edges[-1].from_) + ";"


def quoted(name: str) -> str:
    """Return the name as a Newick label; without quotes an underscore would read as a space.

    What cannot be printed is replaced: a line break in a label ends the tree for some readers.
    """
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    plain = all(letter.isalnum() or letter in ".-+" for letter in name) and name.isascii()
    return name if plain and name else "'" + name.replace("'", "''") + "'"
