"""Searches and ranks of sets that do not fit: some samples at a time, as in one piece."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import rankdata

from consilience import _core
from consilience._mapped import map_rows
from consilience.backends._columns import (
    gathered,
    joint_in_parts,
    knn_in_parts,
    most_fitting,
    ranks_in_parts,
    unlike_rows,
)
from engine import native

PAIRS = [(0, 1), (1, 2), (1, 1), (0, 2)]


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


def ranks_by(X, sources, ks, *, rows, stripe, block):
    means = X.mean(axis=0, dtype=np.float64)
    seen = []

    def nearer(some, Y, selves, squares):
        seen.append((len(some), len(Y)))
        return _core.count_nearer(
            some, rows=Y, selves=selves, squares=squares, origin=means, n_threads=2
        )

    def squares(Y, some, i, j):
        return _core.squares_between(Y, some, i=i, j=j, n_threads=2)

    how = {"rows": rows, "squares": squares, "nearer": nearer}
    found = ranks_in_parts(X, sources, ks, stripe=stripe, block=block, **how)
    assert max(n for n, _ in seen) <= block
    assert max(n for _, n in seen) <= stripe
    return found


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("stripe", "block"), [(1, 330), (7, 100), (500, 61), (331, 331)])
@pytest.mark.parametrize("n_rows", [None, 90])
def test_ranks_in_parts(X, rng, stripe, block, n_rows, dtype):
    ops = native()
    X = X.astype(dtype).astype(np.float64 if dtype is np.float64 else np.float32)
    X[:, 0] *= rng.choice([1, 0.3])  # whole numbers, or not
    rows = None if n_rows is None else np.sort(rng.permutation(331)[:n_rows])
    Y = X[:, ::-1] + rng.standard_normal((331, 5)).astype(X.dtype)
    sources = [ops.knn_exact(Z, k=7, distance="l2", rows=rows) for Z in (Y, X)]
    ks = [1, 4, 7]
    found = ranks_by(X, sources, ks, rows=rows, stripe=stripe, block=block)
    assert_array_equal(found.sums, ops.rank_counts(X, sources, ks, rows=rows).sums)


SETS = {
    "ties": lambda rng, n: rng.integers(0, 3, (n, 4)).astype(float),
    "nearly whole": lambda rng, n: rng.integers(0, 3, (n, 4)) + 1e-9 * (rng.random((n, 1)) < 0.1),
    "offset": lambda rng, n: 1e3 + 0.1 * rng.integers(0, 3, (n, 9)),
    "all alike": lambda rng, n: np.ones((n, 3)),
    "of all lengths": lambda rng, n: (
        rng.standard_normal((n, 9)) * 10.0 ** rng.integers(-30, 30, (n, 1))
    ),
    "wide": lambda rng, n: rng.standard_normal((n, 700)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", SETS)
def test_samples_nearer_than_thresholds_are_counted_by_differences(rng, kind, dtype):
    for n, m, q in ((1, 1, 1), (61, 7, 5), (517, 50, 33)):
        X = SETS[kind](rng, n).astype(dtype)
        selves = rng.integers(0, n, m)
        Y = X[selves].copy()
        selves[::3] = rng.choice([-5, n + 3])  # of another block
        i, j = (a.ravel() for a in np.indices((m, n)))
        squares = _core.squares_between(Y, X, i=i, j=j, n_threads=2).reshape(m, n)
        differences = Y[:, None].astype(np.float64) - X[None]
        np.testing.assert_allclose(squares, (differences**2).sum(axis=2), rtol=1e-12)
        asked = np.take_along_axis(squares, rng.integers(0, n, (m, q)), axis=1)
        asked = np.sort(asked * rng.choice([1.0, 1.0 + 1e-12, 0.5], (m, q)), axis=1)
        own = (selves >= 0) & (selves < n)
        squares[np.flatnonzero(own), selves[own]] = np.inf
        less = (squares[:, None] < asked[:, :, None]).sum(axis=2)
        ties = (squares[:, None] == asked[:, :, None]).sum(axis=2)
        found = _core.count_nearer(
            X, rows=Y, selves=selves, squares=asked, origin=X.mean(axis=0, dtype=float), n_threads=3
        )
        assert_array_equal(found, 2 * less + ties)


def joint_by(sets, *, rows, most):
    ops = native()
    seen = []

    def search(some, own):
        seen.append(len(some[0]))
        return ops.joint_nearest(some, PAIRS, rows=own)

    found = joint_in_parts(sets, search, n_pairs=len(PAIRS), rows=rows, most=most)
    assert max(seen) <= most
    assert len(seen) > 1
    return found


@pytest.fixture
def sets(rng, X):
    """One of ties and duplicates, one of constant runs, one of neither."""
    steps = np.repeat(rng.standard_normal((4, 3)), 83, axis=0)[:331]
    return [X, steps, rng.standard_normal((331, 6)).astype(np.float32)]


@pytest.mark.parametrize("most", [60, 101, 330])
@pytest.mark.parametrize("n_rows", [None, 1, 40, 331])
def test_joint_neighbours_in_parts(sets, rng, most, n_rows):
    rows = None if n_rows is None else np.sort(rng.permutation(331)[:n_rows])
    whole = native().joint_nearest(sets, PAIRS, rows=rows)
    assert (whole[2] == 0).any()
    assert_array_equal(joint_by(sets, rows=rows, most=most), whole)


def test_a_small_memory_finds_joint_neighbours_in_parts(sets):
    needed = _core.joint_nearest_bytes(331, 331, 14, 6, 3, 1, 1)
    for rows in (None, np.arange(3, 300, 7)):
        small = native(max_memory=needed - 1, n_threads=1)
        whole = native().joint_nearest(sets, PAIRS, rows=rows)
        assert_array_equal(small.joint_nearest(sets, PAIRS, rows=rows), whole)


def test_parts_that_would_be_constant_hold_rows_that_differ(rng):
    X = np.repeat(rng.standard_normal((2, 5)), (300, 31), axis=0)
    assert unlike_rows([X]).tolist() == [0, 1, 2, 300]
    assert unlike_rows([X, X + np.eye(331, 5)]).tolist() == [0, 1, 2, 300]
    whole = native().knn_exact(X, k=9, distance="l2")
    assert_array_equal(in_parts(X, k=9, rows=None, most=100).indices, whole.indices)


def test_rows_of_files_are_gathered_as_they_are(rng, tmp_path):
    X = rng.standard_normal((5000, 3))
    X.tofile(tmp_path / "rows")
    mapped = map_rows([(tmp_path / "rows", 0, 5000)], X.dtype, 3)
    for part in (np.arange(5000), np.array([4]), np.r_[1:3, 50:2000, 2001:2005, 3000:4999]):
        assert_array_equal(gathered(mapped, part), X[part])
        assert_array_equal(gathered(X, part), X[part])


@pytest.mark.parametrize("rows", [None, np.arange(5, 900, 9)])
def test_a_small_memory_searches_in_parts(rng, rows):
    X = rng.standard_normal((1000, 12)).astype(np.float32)
    memory = _core.knn_exact_bytes(1000, 12, 0, 1, 6) - 1
    found = native(max_memory=memory).knn_exact(X, k=6, distance="l2", rows=rows)
    whole = native().knn_exact(X, k=6, distance="l2", rows=rows)
    assert_array_equal(found.indices, whole.indices)
    assert_array_equal(found.distances, whole.distances)


def test_a_small_memory_counts_ranks_in_parts(rng):
    X, Y = (rng.standard_normal((9_000, 64)).astype(np.float32) for _ in range(2))
    rows = np.arange(0, 9_000, 200)
    memory = _core.rank_counts_bytes(9_000, 64, 1) // 3
    small = native(max_memory=memory, n_threads=1)
    for some in (rows, None):
        sources = [native().knn_exact(Y, k=3, distance="l2", rows=some)]
        whole = native().rank_counts(X, sources, [3], rows=some)
        assert_array_equal(small.rank_counts(X, sources, [3], rows=some).sums, whole.sums)
    with pytest.raises(MemoryError, match=r"rank_counts needs .* give `rows`, a sample"):
        small.rank_counts(X, sources, [3], sample=np.arange(9))


def test_fingerprints_are_ranked_as_in_one_piece(rng):
    X = (rng.random((5_000, 40)) < 0.1).astype(np.float32)
    sources = [native().knn_exact(rng.standard_normal((5_000, 3)), k=9, distance="l2")]
    rows = np.sort(rng.permutation(5_000)[:60])
    some = [type(g)(g.indices[rows], g.distances[rows], rows=rows, n_all=5_000) for g in sources]
    found = native().rank_counts(X, some, [2, 9], rows=rows)
    squares = ((X[rows, None] - X[None]) ** 2).sum(axis=2)
    squares[np.arange(60), rows] = np.inf
    ranks = rankdata(squares, axis=1)
    listed = np.take_along_axis(ranks, some[0].indices, axis=1)
    assert_array_equal(found.sums[0], np.stack([listed[:, :2].sum(1), listed.sum(1)], axis=1))


def test_wide_sets_in_files_are_worked_on_in_parts(rng, tmp_path):
    sets = [
        rng.standard_normal((9_000, 96)).astype(np.float32),
        (rng.random((9_000, 160)) < 0.1).astype(np.float32),
    ]
    mapped = []
    for name, X in zip("xy", sets, strict=True):
        X.tofile(tmp_path / name)
        mapped.append(map_rows([(tmp_path / name, 0, len(X))], X.dtype, X.shape[1]))
    rows = np.sort(rng.permutation(9_000)[:200])
    small = native(max_memory=6 << 20)
    graph = native().knn_exact(sets[1], k=5, distance="l2", rows=rows)
    found = small.knn_exact(mapped[1], k=5, distance="l2", rows=rows)
    assert_array_equal(found.indices, graph.indices)
    assert_array_equal(found.distances, graph.distances)
    pairs = [(0, 1), (1, 1)]
    joint = native().joint_nearest(sets, pairs, rows=rows)
    assert_array_equal(small.joint_nearest(mapped, pairs, rows=rows), joint)
    for X, there in zip(sets, mapped, strict=True):
        ranks = native().rank_counts(X, [graph], [2, 5], rows=rows)
        assert_array_equal(small.rank_counts(there, [graph], [2, 5], rows=rows).sums, ranks.sums)


def test_too_small_a_memory_says_what_the_search_needs(rng):
    X = rng.standard_normal((1000, 12)).astype(np.float32)
    with pytest.raises(MemoryError, match="knn_exact needs"):
        native(max_memory=1000).knn_exact(X, k=6, distance="l2")


def test_as_many_samples_as_fit():
    assert most_fitting(100, lambda n: 10 * n, 555, 20) == 55
    assert most_fitting(100, lambda n: 10 * n, 5000, 20) == 100
    assert most_fitting(100, lambda n: 10 * n, 195, 20) == 0
