"""Searches and ranks of sets that do not fit: some samples at a time, as in one piece."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from consilience import _core
from consilience.backends._columns import knn_in_parts, most_fitting, ranks_in_parts
from engine import native


@pytest.fixture
def X(rng):
    """Ties at the same distance, duplicates, and an offset."""
    values = rng.integers(0, 4, (331, 5)).astype(np.float32) + 100.0
    values[200:230] = values[7]
    return values


def in_parts(X, *, k, rows, most, distance="l2"):
    ops = native()
    seen = []

    def search(some, own):
        seen.append(len(some))
        return ops.knn_exact(some, k=k, distance=distance, rows=own)

    found = knn_in_parts(X, search, k=k, rows=rows, most=most)
    assert max(seen) <= most
    assert len(seen) > 1 or len(X) <= most
    return found


@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("most", [60, 100, 200, 330])
def test_neighbours_of_all_rows_in_parts(X, most, distance):
    whole = native().knn_exact(X, k=9, distance=distance)
    found = in_parts(X, k=9, rows=None, most=most, distance=distance)
    assert_array_equal(found.indices, whole.indices)
    assert_array_equal(found.distances, whole.distances)
    assert found.rows is None


@pytest.mark.parametrize("most", [60, 100, 330])
@pytest.mark.parametrize("n_rows", [1, 40, 331])
def test_neighbours_of_some_rows_in_parts(X, rng, most, n_rows):
    rows = np.sort(rng.permutation(331)[:n_rows])
    whole = native().knn_exact(X, k=9, distance="l2", rows=rows)
    found = in_parts(X, k=9, rows=rows, most=most)
    assert_array_equal(found.indices, whole.indices)
    assert_array_equal(found.distances, whole.distances)
    assert_array_equal(found.rows, rows)
    assert found.n_samples == 331


@pytest.mark.parametrize("most", [80, 100, 330])
def test_ranks_of_some_rows_in_parts(X, rng, most):
    ops = native()
    rows = np.sort(rng.permutation(331)[:90])
    Y = X[:, ::-1] + rng.standard_normal((331, 5))
    sources = [ops.knn_exact(Z, k=7, distance="l2", rows=rows) for Z in (Y, X)]
    ks = [1, 4, 7]
    seen = []

    def count(some, graphs, own):
        seen.append(len(some))
        return ops.rank_counts(some, graphs, ks, rows=own)

    found = ranks_in_parts(X, count, sources, rows=rows, most=most)
    assert max(seen) <= most
    assert_array_equal(found.sums, ops.rank_counts(X, sources, ks, rows=rows).sums)


def test_a_row_that_lists_more_than_fits_says_so(X):
    graph = native().knn_exact(X, k=60, distance="l2", rows=np.arange(3))
    with pytest.raises(MemoryError, match="one row name 61 samples, and 100 fit"):
        ranks_in_parts(X, lambda *_: None, [graph], rows=np.arange(3), most=100)


@pytest.mark.parametrize("rows", [None, np.arange(5, 900, 9)])
def test_a_small_memory_searches_in_parts(rng, rows):
    X = rng.standard_normal((1000, 12)).astype(np.float32)
    memory = _core.knn_exact_bytes(1000, 12, 0, 1, 6) - 1
    found = native(max_memory=memory).knn_exact(X, k=6, distance="l2", rows=rows)
    whole = native().knn_exact(X, k=6, distance="l2", rows=rows)
    assert_array_equal(found.indices, whole.indices)
    assert_array_equal(found.distances, whole.distances)


def test_a_small_memory_counts_ranks_in_parts(rng):
    X, Y = (rng.standard_normal((40_000, 64)).astype(np.float32) for _ in range(2))
    rows = np.arange(0, 40_000, 2_000)
    sources = [native().knn_exact(Y, k=3, distance="l2", rows=rows)]
    whole = native(n_threads=1).rank_counts(X, sources, [3], rows=rows)
    memory = _core.rank_counts_bytes(20_000, 64, 1) + 20_000 * 256
    assert memory < _core.rank_counts_bytes(40_000, 64, 1)
    small = native(max_memory=memory, n_threads=1)
    assert_array_equal(small.rank_counts(X, sources, [3], rows=rows).sums, whole.sums)
    with pytest.raises(MemoryError, match="rank_counts needs"):
        small.rank_counts(X, sources, [3], rows=rows, sample=np.arange(9))


def test_too_small_a_memory_says_what_the_search_needs(rng):
    X = rng.standard_normal((1000, 12)).astype(np.float32)
    with pytest.raises(MemoryError, match="knn_exact needs"):
        native(max_memory=1000).knn_exact(X, k=6, distance="l2")


def test_as_many_samples_as_fit():
    assert most_fitting(100, lambda n: 10 * n, 555, 20) == 55
    assert most_fitting(100, lambda n: 10 * n, 5000, 20) == 100
    assert most_fitting(100, lambda n: 10 * n, 195, 20) == 0
