"""A call of every op on small sets, for what all ops must bear: threads, little memory, repeats."""

from __future__ import annotations

import dataclasses

import numpy as np

from consilience.backends import Channel


def bits(value):
    """Return all numbers in a result as bytes, so that equal means equal to the last bit."""
    if dataclasses.is_dataclass(value):
        return tuple(bits(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return tuple((key, bits(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(bits(item) for item in value)
    if isinstance(value, (float, np.ndarray, np.generic)):
        array = np.asarray(value)
        return (array.dtype.str, array.shape, array.tobytes())
    return value


def two_sets(seed, n_samples=61):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 7))
    Y = (X[:, :4] @ rng.standard_normal((4, 9)) + rng.standard_normal((n_samples, 9))) + 2.0
    X[5] = X[40]
    return X, Y.astype(np.float32)


def ops_on(X, Y, backend):
    """Return a call of every op by name."""
    rng = np.random.default_rng(1)
    n = len(X)
    x, y = (backend.knn_exact(Z, k=6, distance="l2") for Z in (X, Y))
    e, f = (backend.edge_values(Z, g, centered=True) for Z, g in ((X, x), (Y, y)))
    draws = np.stack([rng.permutation(n) for _ in range(5)])
    halves = rng.integers(0, 1 << 8, n, dtype=np.uint32)
    members = tuple(backend.members_within(g, halves, 3) for g in (x, y))
    group = rng.integers(0, 2, n)
    channels = [Channel(X), Channel(Y, "squared"), Channel(Y, "rbf", 0.1)]
    i, j = rng.integers(0, n, (2, 30))
    rows = np.arange(1, n, 3)
    return {
        "knn_exact": lambda: backend.knn_exact(X, k=6, distance="ip", rows=rows),
        "knn_approx": lambda: backend.knn_approx(Y, k=4, distance="l2"),
        "moments": lambda: list(backend.moments([X, Y], [(0, 0), (0, 1)])),
        "pair_terms": lambda: backend.pair_terms(channels),
        "pair_rows": lambda: backend.pair_rows(channels, [(0, 0), (0, 2), (1, 2)], rows),
        "joint_nearest": lambda: backend.joint_nearest([X, Y], [(0, 1)]),
        "rank_counts": lambda: backend.rank_counts(X, [x, y], [2, 6], sample=rows),
        "edge_values": lambda: backend.edge_values(Y, x, centered=False),
        "graph_terms": lambda: backend.graph_terms(x, y, e, f),
        "overlap_terms": lambda: backend.overlap_terms(x, y, e, f),
        "lists_within": lambda: backend.lists_within(x, group, 2),
        "members_within": lambda: backend.members_within(y, halves, 2),
        "overlap_within": lambda: backend.overlap_within(x, y, members, e, f, 8),
        "nth_within": lambda: backend.nth_within(e, members[0], 2, 8),
        "list_terms": lambda: backend.list_terms(x, y, cycle=True, lcs=True, edit=True),
        "list_draws": lambda: backend.list_draws(
            x, y, draws, jaccard=True, cycle=True, lcs=True, edit=True
        ),
        "mantel_terms": lambda: backend.mantel_terms(x, e),
        "mantel_counts": lambda: backend.mantel_counts(x, [1, 4, 6]),
        "mantel_draws": lambda: backend.mantel_draws([x, y], [e, f], [(0, 1)], draws),
        "pair_distances": lambda: backend.pair_distances(Y, i, j),
    }
