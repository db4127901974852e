import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import rankdata

import reference
from consilience import _core
from consilience.terms import Graph
from engine import native


def ranks(X):
    D = reference.distances(X)
    np.fill_diagonal(D, np.inf)
    return rankdata(D, axis=1)


def graph_of(rng, n, k):
    """Lists of k distinct others in any order."""
    indices = np.array([rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)])
    return Graph(indices.astype(np.int64), np.zeros((n, k)))


def expected_sums(X, sources, ks):
    R = ranks(X)
    chosen = [np.take_along_axis(R, graph.indices, axis=1) for graph in sources]
    return np.stack([np.stack([c[:, :k].sum(axis=1) for k in ks], axis=1) for c in chosen])


@pytest.mark.parametrize("ks", [[1], [1, 7, 20], [20]])
def test_sums_the_full_ranks_of_the_first_neighbors(ops, sets, rng, ks):
    sources = [graph_of(rng, 97, 20) for _ in range(3)]
    for X in sets:
        assert_array_equal(ops.rank_counts(X, sources, ks).sums, expected_sums(X, sources, ks))


def test_ties_count_half(ops, rng):
    X = rng.integers(0, 3, (97, 2)).astype(np.float32)
    source = graph_of(rng, 97, 96)
    assert_array_equal(ops.rank_counts(X, [source], [96]).sums, expected_sums(X, [source], [96]))


@pytest.mark.parametrize("tied", [False, True])
def test_sums_of_the_matrix_of_ranks_and_a_block_of_it(ops, sets, rng, tied):
    X = rng.integers(0, 3, (97, 2)).astype(np.float64) if tied else sets[0]
    R = ranks(X)
    np.fill_diagonal(R, 0.0)
    sample = rng.permutation(97)[:11]
    found = ops.rank_counts(X, [graph_of(rng, 97, 2)], [2], sample=sample)
    assert_array_equal(found.columns, R.sum(axis=0))
    assert_array_equal(found.squares, (R * R).sum(axis=1))
    assert_array_equal(found.block, R[np.ix_(sample, sample)])


@pytest.mark.parametrize("far", [1e3, 1e6, 1e12])
def test_one_sample_far_out(ops, rng, far):
    # All others fall into one bucket of the row's sort, which must then be searched.
    X = rng.standard_normal((97, 3))
    X[40] += far
    source = graph_of(rng, 97, 30)
    assert_array_equal(ops.rank_counts(X, [source], [30]).sums, expected_sums(X, [source], [30]))


def test_more_samples_than_a_bucket_sorts_by_looking(rng):
    X = np.concatenate([1e-9 * rng.standard_normal((400, 2)), rng.standard_normal((100, 2))])
    source = graph_of(rng, 500, 50)
    found = native().rank_counts(X, [source], [50]).sums
    assert_array_equal(found, expected_sums(X, [source], [50]))


def test_too_small_a_memory_says_so(rng):
    with pytest.raises(MemoryError, match="rank_counts needs"):
        native(max_memory=1000).rank_counts(np.eye(30), [graph_of(rng, 30, 2)], [1])


@pytest.mark.parametrize(
    ("ks", "change", "message"),
    [
        ([0, 1], 0, "ascend"),
        ([2, 1], 0, "ascend"),
        ([4], 0, "exceeds"),
        ([], 0, "no sources or no ks"),
        ([1], 100, "points outside"),
        ([1], -100, "points outside"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(rng, ks, change, message):
    native()
    indices = graph_of(rng, 30, 3).indices + change
    with pytest.raises(ValueError, match=message):
        _core.rank_counts(np.eye(30), sources=[indices], ks=ks, n_threads=1)


@pytest.mark.parametrize("sample", [[30], [-1], [3, 3]])
def test_the_kernel_rejects_a_bad_sample(rng, sample):
    native()
    indices = graph_of(rng, 30, 3).indices
    with pytest.raises(ValueError, match="different samples"):
        _core.rank_counts(np.eye(30), sources=[indices], ks=[1], sample=sample, n_threads=1)
