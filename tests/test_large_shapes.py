"""Shapes whose products leave 32 bits: entries of a set, samples squared, bytes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from consilience import _core
from consilience.backends import Channel
from consilience.terms import Graph
from engine import native

N, D = 300_000, 8_192  # 2.5e9 entries, of which a sparse file holds what is written


@pytest.fixture
def X(tmp_path):
    assert N * D > 2**31
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(4 * N * D)
    mapped = np.memmap(path, dtype=np.float32, mode="r+", shape=(N, D))
    rng = np.random.default_rng(0)
    for i in (5, N - 2, N - 1):
        mapped[i] = rng.standard_normal(D)
    return mapped


def test_rows_beyond_two_to_the_31_entries(X):
    i, j = np.array([5, N - 1, N - 1]), np.array([N - 1, N - 2, 7])
    expected = [np.linalg.norm(X[a].astype(float) - X[b]) for a, b in zip(i, j, strict=True)]
    assert_allclose(native().pair_distances(X, i, j), expected, rtol=1e-12)
    rows = np.array([5, N - 1])
    graph = Graph(np.array([[N - 1], [N - 2]]), np.zeros((2, 1)), rows=rows, n_all=N)
    found = native().edge_values(X, graph, centered=False)
    products = [[X[a].astype(float) @ X[b]] for a, b in ((5, N - 1), (N - 1, N - 2))]
    assert_allclose(found, products, rtol=1e-12)


def test_bytes_of_large_sets_are_counted_in_full():
    n, d = 10**8, 10**4
    assert _core.knn_exact_bytes(n, d, 64, n, 100) > 8 * n * d
    assert _core.knn_approx_bytes(n, d, k=100, cell=640, fanout=8, n_threads=64) > n * d
    assert _core.pair_terms_bytes(n, d, d, 4, 256, False, 64) > 4 * n * d
    assert _core.joint_nearest_bytes(n, n, 3 * d, d, 3, 6, 64) > 16 * n * d
    assert _core.rank_counts_bytes(n, d, 64) > n * d
    assert _core.pair_rows_bytes(n, 64, d, 1, 3, 6, False, 64) > 4 * n * d
    # Whereas what is held of all samples is not.
    assert _core.pair_rows_bytes(1000, 64, d, 1, 3, 6, False, 64) < 1 << 30


def test_too_large_a_set_is_refused_before_any_work(X):
    ops = native(max_memory=1 << 30)
    with pytest.raises(MemoryError, match="pair_terms needs"):
        ops.pair_terms([Channel(X, "squared")])
    lists = Graph(np.zeros((N, 1), np.int64), np.zeros((N, 1)))
    with pytest.raises(MemoryError, match="rank_counts needs"):
        ops.rank_counts(X, [lists], [1], sample=np.arange(4))
