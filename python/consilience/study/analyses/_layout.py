"""Where to draw the nodes of an unrooted tree, so that no branches cross."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consilience.study.analyses._neighbor_joining import Edge

Floats = NDArray[np.float64]
SWEEPS = 8


def unrooted_layout(edges: Sequence[Edge], n_leaves: int) -> Floats:
    """Return x, y of every node, (n_nodes, 2), with branches as long as the tree has them.

    Each subtree first gets a wedge as wide as its share of the leaves (equal angle,
    [felsenstein2004]_), which never crosses. Subtrees are then turned so that the gaps between
    them, as seen from each inner node, are equal (equal daylight), as long as nothing crosses.
    """
    n_nodes = len(edges) + 1
    near: list[list[tuple[int, float]]] = [[] for _ in range(n_nodes)]
    for edge in edges:
        near[edge.from_].append((edge.to, edge.length))
        near[edge.to].append((edge.from_, edge.length))
    place = _equal_angle(near, n_leaves)
    for _ in range(SWEEPS):
        better = place.copy()
        for node in range(n_leaves, n_nodes):
            _equal_daylight(better, near, node)
        if crossings(better, edges):
            break
        place = better
    return np.asarray(place - place.mean(axis=0))


def _below(near: list[list[tuple[int, float]]], node: int, parent: int) -> list[int]:
    """Return the nodes behind `node` as seen from its neighbour `parent`, itself first."""
    found, stack = [], [(node, parent)]
    while stack:
        at, back = stack.pop()
        found.append(at)
        stack += [(other, at) for other, _ in near[at] if other != back]
    return found


def _equal_angle(near: list[list[tuple[int, float]]], n_leaves: int) -> Floats:
    place = np.zeros((len(near), 2))

    def leaves(node: int, parent: int) -> int:
        return sum(other < n_leaves for other in _below(near, node, parent))

    inner = range(n_leaves, len(near))
    # The middle of the tree, so that no wedge is wider than it must be.
    root = min(inner, key=lambda node: max(leaves(other, node) for other, _ in near[node]))
    stack = [(root, -1, 0.0, 2.0 * math.pi)]
    while stack:
        node, parent, start, width = stack.pop()
        branches = [(other, length) for other, length in near[node] if other != parent]
        counts = [leaves(other, node) for other, _ in branches]
        for (other, length), count in zip(branches, counts, strict=True):
            share = width * count / sum(counts)
            angle = start + share / 2.0
            place[other] = place[node] + length * np.array([math.cos(angle), math.sin(angle)])
            stack.append((other, node, start, share))
            start += share
    return place


def _equal_daylight(place: Floats, near: list[list[tuple[int, float]]], node: int) -> None:
    """Turn the subtrees at a node, in place, until the gaps between them are equal."""
    parts = []
    for other, _ in near[node]:
        members = _below(near, other, node)
        seen = place[members] - place[node]
        # A node on top of this one has no direction.
        seen = seen[np.hypot(*seen.T) > 0.0]
        if not len(seen):
            return
        middle = math.atan2(*seen.sum(axis=0)[::-1])
        angles = np.arctan2(seen[:, 1], seen[:, 0]) - middle
        angles = (angles + math.pi) % (2.0 * math.pi) - math.pi
        parts.append((middle, float(angles.min()), float(angles.max()), members))
    light = 2.0 * math.pi - sum(high - low for _, low, high, _ in parts)
    if light <= 0.0:
        return
    parts.sort(key=lambda part: part[0] + part[1])
    edge = parts[0][0] + parts[0][1]
    for middle, low, high, members in parts:
        _turn(place, members, node, edge - (middle + low))
        edge += high - low + light / len(parts)


def _turn(place: Floats, members: list[int], node: int, angle: float) -> None:
    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    place[members] = place[node] + (place[members] - place[node]) @ rotation


def crossings(place: Floats, edges: Sequence[Edge]) -> int:
    """Return how many pairs of branches without a common node cross."""
    ends = np.array([(edge.from_, edge.to) for edge in edges])
    a, b = place[ends[:, 0]], place[ends[:, 1]]

    def side(p: Floats, q: Floats, r: Floats) -> Floats:
        u, v = q - p, r - p
        return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    first = side(a[:, None], b[:, None], a[None]) * side(a[:, None], b[:, None], b[None])
    cross = (first < 0.0) & (first.T < 0.0)
    shared = (ends[:, None, :, None] == ends[None, :, None, :]).any(axis=(2, 3))
    return int(np.sum(cross & ~shared)) // 2
