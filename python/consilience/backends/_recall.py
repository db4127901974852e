"""How much of the truth an approximate graph lists, by exact search for a sample of its rows."""

from __future__ import annotations

import numpy as np

from consilience.terms import Floats, Graph, Indices, Recall

# The interval is about .015 wide at a recall of .95 (bench/bench_knn_approx.py).
SAMPLED_ROWS = 512


def sampled_rows(n_samples: int, seed: int) -> Indices:
    """Return the rows whose neighbours are looked up exactly."""
    # Not the draw that chose the pivots, which meet more rows than others do.
    rng = np.random.default_rng([seed, 1])
    return np.sort(rng.choice(n_samples, min(SAMPLED_ROWS, n_samples), replace=False))


def certified(graph: Graph, rows: Indices, true: Floats) -> Graph:
    """Return the graph with its recall; `true` are the true distances of rows, (n_rows, k)."""
    hits = hit_counts(graph.distances[rows], true)
    return Graph(graph.indices, graph.distances, graph.judged, Recall.from_hits(hits))


def hit_counts(listed: Floats, true: Floats) -> Indices:
    """Return how many of the first 1 ... k nearest are listed, ties counting, (n_rows, k)."""
    k = true.shape[1]
    within = [np.searchsorted(a, b, side="right") for a, b in zip(listed, true, strict=True)]
    return np.minimum(np.array(within, dtype=np.int64), np.arange(1, k + 1))
