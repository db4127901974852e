import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata

import reference
from consilience import _core
from consilience.inference.permutation import of_ranks
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


HARD = {
    "a grid": lambda rng, n: rng.integers(0, 4, (n, 3)).astype(np.float32),
    "tenfold duplicates": lambda rng, n: rng.standard_normal((n // 10 + 2, 5))[
        np.arange(n) % (n // 10 + 2)
    ],
    "a float32 offset": lambda rng, n: (rng.standard_normal((n, 6)) + 1e4).astype(np.float32),
    "near ties": lambda rng, n: (
        rng.integers(0, 3, (n, 2)) * (1.0 + 1e-12 * rng.integers(0, 2, (n, 2)))
    ),
    "one feature": lambda rng, n: rng.standard_normal((n, 1)),
    "many features": lambda rng, n: rng.standard_normal((n, 700)).astype(np.float32),
    "one far out": lambda rng, n: np.vstack(
        [rng.standard_normal((n - 1, 3)), np.full((1, 3), 1e5)]
    ),
    "a tight cluster": lambda rng, n: (
        rng.standard_normal((n, 4)) * np.where(np.arange(n)[:, None] < n // 2, 1e-5, 1.0)
    ),
}


def chain_of_near_ties(rng, n):
    """A circle whose radii are steps apart that products cannot tell, but from the far end."""
    angles = rng.uniform(0.0, 2.0 * np.pi, n)
    radii = 1.0 + 2e-14 * rng.permutation(n)
    radii[: n // 10 + 1] = 0.0
    return radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


HARD["a chain of near ties"] = chain_of_near_ties
# Around the edges of micro-tiles, panels and blocks.
SIZES = [3, 5, 33, 47, 48, 49, 97, 481, 530]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("name", HARD)
def test_ranks_of_hard_sets(name, n_threads, rng):
    for n in SIZES:
        X = HARD[name](rng, n)
        for k in sorted({1, min(n - 1, 60)}):
            sources = [graph_of(rng, n, k) for _ in range(2)]
            found = native(n_threads=n_threads).rank_counts(X, sources, [1, k])
            assert_array_equal(found.sums, expected_sums(X, sources, [1, k]), f"n={n}, k={k}")


@pytest.mark.parametrize("k", [1, 20, 50])
@pytest.mark.parametrize("m", [1, 40, 97])
def test_ranks_seen_from_some_rows(ops, sets, rng, m, k):
    rows = rng.permutation(97)[:m]
    whole = [graph_of(rng, 97, k) for _ in range(2)]
    sources = [Graph(g.indices[rows], g.distances[rows]) for g in whole]
    for X in sets:
        found = ops.rank_counts(X, sources, [1, k], rows=rows)
        assert_array_equal(found.sums, ops.rank_counts(X, whole, [1, k]).sums[:, rows])
        assert found.columns.size == found.squares.size == found.block.size == 0


def on_gpu(X, sources, ks, *, exact_samples, rows_at_a_time, rows=None, sample=None, searched=2048):
    """The answer of the GPU's kernels on a CPU: rows sorted up to so many samples, else searched
    up to so many entries, else laid out in classes."""
    from consilience.backends.cuda import rank_counts
    from emulated import emulated

    fixed, per_row = rank_counts.needed_bytes(X, sources, ks, sample, exact_samples, searched)
    ops = emulated()
    return rank_counts.rank_counts(
        ops.device,
        ops._residents,
        X,
        sources,
        ks,
        rows=rows,
        sample=sample,
        max_memory=fixed + rows_at_a_time * per_row,
        exact_samples=exact_samples,
        searched=searched,
    )


SORTED, SEARCHED, CLASSED = (
    {"exact_samples": 2048},
    {"exact_samples": 0},
    {"exact_samples": 0, "searched": 0},
)


@pytest.mark.parametrize("way", [SORTED, SEARCHED, CLASSED])
@pytest.mark.parametrize("name", HARD)
def test_ranks_of_hard_sets_on_a_gpu(name, way, rng):
    for n in (3, 5, 33, 140):
        X = HARD[name](rng, n)
        for k in sorted({1, min(n - 1, 60)}):
            sources = [graph_of(rng, n, k) for _ in range(2)]
            found = on_gpu(X, sources, [1, k], rows_at_a_time=59, **way)
            assert_array_equal(found.sums, expected_sums(X, sources, [1, k]), f"n={n}, k={k}")


def test_more_entries_than_a_gpu_searches(rng):
    X = rng.integers(0, 9, (300, 2)).astype(np.float32)
    X[5] += 1e6
    sources = [graph_of(rng, 300, k) for k in (270, 299, 280, 265, 266, 267, 268, 269, 299)]
    ks, rows = [1, 100, 264], np.array([299, 5, 17, 0, 150])
    seen = [Graph(graph.indices[rows], graph.distances[rows]) for graph in sources]
    found = on_gpu(X, seen, ks, exact_samples=0, rows_at_a_time=2, rows=rows)
    assert_array_equal(found.sums, expected_sums(X, sources, ks)[:, rows])


def test_the_same_bits_for_stripes_of_any_height(rng):
    X, sample = rng.standard_normal((150, 3)), np.array([149, 3, 70])
    sources = [graph_of(rng, 150, 9)]
    found = [
        on_gpu(X, sources, [9], exact_samples=0, rows_at_a_time=height, sample=sample)
        for height in (150, 47)
    ]
    for a, b in zip(dataclasses.astuple(found[0]), dataclasses.astuple(found[1]), strict=True):
        assert_array_equal(a, b)


def shuffled_graph(rng, n, k):
    """Lists of k distinct others, quickly."""
    steps = np.sort(rng.permuted(np.tile(np.arange(1, n), (1, 1)), axis=1)[:, :k], axis=1)
    return Graph(np.ascontiguousarray((np.arange(n)[:, None] + steps) % n), np.zeros((n, k)))


LARGE = {
    "apart": lambda rng, n: rng.standard_normal((n, 20)).astype(np.float32),
    # The distances of many pairs differ by less than float32 products tell.
    "concentrated": lambda rng, n: (1.0 + 1e-3 * rng.standard_normal((n, 2))) * [1.0, 3.0],
    "far from the mean": lambda rng, n: np.vstack(
        [rng.standard_normal((n - 40, 9)), np.full((40, 9), 300.0)]
    ),
    "tied": lambda rng, n: rng.integers(0, 4, (n, 3)).astype(np.float64),
    "duplicates": lambda rng, n: rng.standard_normal((n // 4, 6))[np.arange(n) % (n // 4)],
}


@pytest.mark.parametrize("k", [3, 80])
@pytest.mark.parametrize("name", LARGE)
def test_ranks_among_thousands(name, k, rng):
    n = 2500
    X = LARGE[name](rng, n)
    sources = [shuffled_graph(rng, n, k) for _ in range(2)]
    expected = expected_sums(X, sources, [1, k])
    found = [native(n_threads=t).rank_counts(X, sources, [1, k]).sums for t in (1, 3)]
    for sums in found:
        assert_array_equal(sums, expected)


@pytest.mark.parametrize("name", [*LARGE, "a chain of near ties"])
def test_many_ranks_of_some_rows_among_thousands_on_a_gpu(name, rng):
    n = 2500
    X = {**LARGE, **HARD}[name](rng, n)
    rows = rng.permutation(n)[:5]
    whole = [shuffled_graph(rng, n, k) for k in (700, 800, 1200)]
    seen = [Graph(graph.indices[rows], graph.distances[rows]) for graph in whole]
    found = on_gpu(X, seen, [1, 700], exact_samples=0, rows_at_a_time=3, rows=rows)
    D = reference.distances(X)[rows]
    D[np.arange(5), rows] = np.inf
    for graph, sums in zip(seen, found.sums, strict=True):
        chosen = np.take_along_axis(rankdata(D, axis=1), graph.indices, axis=1)
        assert_array_equal(sums, np.stack([chosen[:, 0], chosen[:, :700].sum(axis=1)], axis=1))


def all_ranks_by_threads(X, sources, ks, sample):
    return [native(n_threads=t).rank_counts(X, sources, ks, sample=sample) for t in (1, 3)]


def all_ranks_by_stripes(X, sources, ks, sample):
    device = {"exact_samples": 0, "sample": sample}
    return [on_gpu(X, sources, ks, rows_at_a_time=len(X), **device)] * 2


@pytest.mark.parametrize("how", [all_ranks_by_threads, all_ranks_by_stripes])
@pytest.mark.parametrize("name", LARGE)
def test_sums_of_all_ranks_among_thousands(name, how, rng):
    # Where nearly all ties, a CPU takes long to be a GPU.
    n = 2500 if how is all_ranks_by_threads else 500 if name == "tied" else 1500
    X = LARGE[name](rng, n)
    R = ranks(X)
    np.fill_diagonal(R, 0.0)
    source, sample = shuffled_graph(rng, n, 2), np.arange(7, n, 31)
    found = how(X, [source], [2], sample)
    assert_array_equal(found[0].columns, found[1].columns)
    assert_array_equal(found[0].sums, expected_sums(X, [source], [2]))
    # What the null reads of them is their spread; its own error is of second order.
    spread = np.sqrt(((R.sum(axis=0) - R.sum() / n) ** 2).sum())
    assert np.linalg.norm(found[0].columns - R.sum(axis=0)) < 3e-4 * spread
    assert_allclose(found[0].squares, (R * R).sum(axis=1), rtol=1e-5)
    given, exact = (
        of_ranks(columns, squares, R).col_squares + of_ranks(columns, squares, R).squares
        for columns, squares in (
            (found[0].columns, found[0].squares),
            (R.sum(axis=0), (R * R).sum(axis=1)),
        )
    )
    assert given == pytest.approx(exact, rel=1e-4)
    assert_allclose(found[0].block, R[np.ix_(sample, sample)], atol=40.0)
    assert np.abs(found[0].block - R[np.ix_(sample, sample)]).mean() < 2.0


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


def test_too_small_a_memory_of_a_gpu_says_so(rng):
    from emulated import emulated

    with pytest.raises(MemoryError, match="rank_counts needs"):
        emulated(max_memory=1000).rank_counts(np.eye(30), [graph_of(rng, 30, 2)], [1])


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


def test_some_rows_have_no_sums_of_all_ranks(rng):
    native()
    indices = graph_of(rng, 30, 3).indices
    with pytest.raises(ValueError, match="take all rows"):
        _core.rank_counts(
            np.eye(30), sources=[indices], ks=[1], rows=range(30), sample=[1], n_threads=1
        )


@pytest.mark.parametrize("sample", [[30], [-1], [3, 3]])
def test_the_kernel_rejects_a_bad_sample(rng, sample):
    native()
    indices = graph_of(rng, 30, 3).indices
    with pytest.raises(ValueError, match="different samples"):
        _core.rank_counts(np.eye(30), sources=[indices], ks=[1], sample=sample, n_threads=1)
