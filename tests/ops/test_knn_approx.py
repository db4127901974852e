import numpy as np
import pytest
from numpy.testing import assert_array_equal

from consilience import _core
from consilience.backends import _bytes
from consilience.backends._coarse import coarse_step
from consilience.backends._recall import hit_counts
from consilience.backends.array import ArrayBackend
from consilience.terms import Graph, Recall
from engine import native

N = 2003


def keys(X, i, distance):
    """All float64 distances of row i; self is infinitely far."""
    wide = X.astype(np.float64)
    if distance == "l2":
        to = np.sqrt(((wide - wide[i]) ** 2).sum(axis=1))
    else:
        to = -(wide * wide[i]).sum(axis=1)
    to[i] = np.inf
    return to


def true_recall(X, graph, distance="l2"):
    """The share of the k nearest that are listed, of all rows; as far as the k-th counts."""
    k = graph.k
    hits = 0
    for i in range(len(X)):
        to = keys(X, i, distance)
        kth = np.partition(to, k - 1)[k - 1]
        hits += min(k, int((to[graph.indices[i]] <= kth * (1 + 1e-14 * np.sign(kth))).sum()))
    return hits / (k * len(X))


def assert_valid(X, graph, distance="l2"):
    n = len(graph.indices)
    assert n == len(X)
    assert (graph.indices != np.arange(n)[:, None]).all()
    assert (np.diff(np.sort(graph.indices, axis=1), axis=1) > 0).all()
    later = np.diff(graph.distances, axis=1) > 0
    in_order = (np.diff(graph.distances, axis=1) == 0) & (np.diff(graph.indices, axis=1) > 0)
    assert (later | in_order).all()
    for i in range(0, n, 7):
        true = keys(X, i, distance)[graph.indices[i]]
        np.testing.assert_allclose(graph.distances[i], true, rtol=1e-12, atol=1e-300)


def kinds(rng, n=N):
    latent = rng.standard_normal((n, 6)) @ rng.standard_normal((6, 31))
    clusters = 5.0 * rng.standard_normal((40, 31))[rng.integers(0, 40, n)]
    directions = rng.standard_normal((n, 12))
    return {
        "latent": latent + 0.3 * rng.standard_normal((n, 31)),
        "decaying": rng.standard_normal((n, 48)) * np.arange(1, 49) ** -1.0,
        "clusters": clusters + rng.standard_normal((n, 31)),
        "sphere": directions / np.linalg.norm(directions, axis=1, keepdims=True),
        "offset": latent + 1e4,
        "one feature": rng.standard_normal((n, 1)),
    }


KINDS = sorted(kinds(np.random.default_rng(0)))


@pytest.fixture
def small(monkeypatch):
    """The approximate search at sizes that would be searched exactly."""
    monkeypatch.setattr(_bytes, "FEWEST_APPROXIMATED", 0)
    monkeypatch.setattr(_bytes, "CELL_ROWS", 96)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lists_are_valid_and_nearly_complete(kind, dtype, small, rng):
    X = kinds(rng)[kind].astype(dtype)
    graph = native().knn_approx(X, k=9, distance="l2", seed=3)
    assert_valid(X, graph)
    truth = true_recall(X, graph)
    assert truth > 0.9
    assert graph.recall.low <= truth <= graph.recall.high
    assert graph.recall.low <= graph.recall.estimate <= graph.recall.high
    assert graph.recall.n_rows == 512
    assert graph.recall.confidence == 0.95


def test_what_is_hard_is_found_wanting_and_said(small, rng):
    X = rng.standard_normal((N, 64)).astype(np.float32)
    graph = native().knn_approx(X, k=10, distance="l2", effort=1)
    truth = true_recall(X, graph)
    assert truth < 0.6
    assert graph.recall.low <= truth <= graph.recall.high
    assert graph.recall.high < 0.65


def test_more_effort_finds_more(small, rng):
    X = rng.standard_normal((N, 32)).astype(np.float32)
    found = [native().knn_approx(X, k=10, distance="l2", effort=e).recall for e in (1, 2, 4, 8)]
    estimates = [recall.estimate for recall in found]
    assert estimates == sorted(set(estimates))


def test_the_interval_holds_for_most_seeds(small, rng):
    X = rng.standard_normal((N, 24)).astype(np.float32)
    inside = []
    for seed in range(12):
        graph = native().knn_approx(X, k=6, distance="l2", seed=seed, effort=2)
        inside.append(graph.recall.low <= true_recall(X, graph) <= graph.recall.high)
    assert sum(inside) >= 11


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_threads_change_no_bit(distance, small, rng):
    X = kinds(rng)["clusters"].astype(np.float32)
    one = native(n_threads=1).knn_approx(X, k=12, distance=distance, seed=5)
    for n_threads in (2, 3, 8):
        other = native(n_threads=n_threads).knn_approx(X, k=12, distance=distance, seed=5)
        assert_array_equal(other.indices, one.indices)
        assert_array_equal(other.distances, one.distances)
        assert other.recall == one.recall
        assert_array_equal(other.recall.hits, one.recall.hits)


def test_a_seed_is_one_draw(small, rng):
    X = rng.standard_normal((N, 40)).astype(np.float32)
    graphs = [native().knn_approx(X, k=8, distance="l2", seed=s, effort=2) for s in (0, 0, 1)]
    assert_array_equal(graphs[0].indices, graphs[1].indices)
    assert (graphs[0].indices != graphs[2].indices).any()
    assert abs(graphs[0].recall.estimate - graphs[2].recall.estimate) < 0.05


@pytest.mark.parametrize("kind", ["sphere", "latent"])
def test_inner_products(kind, small, rng):
    X = kinds(rng)[kind]
    graph = native().knn_approx(X, k=7, distance="ip")
    assert_valid(X, graph, "ip")
    truth = true_recall(X, graph, "ip")
    assert graph.recall.low <= truth <= graph.recall.high
    if kind == "sphere":
        by_distance = native().knn_approx(X, k=7, distance="l2")
        assert (graph.indices == by_distance.indices).mean() > 0.99
        assert truth > 0.95


def test_tenfold_duplicates(small, rng):
    X = np.tile(rng.standard_normal((N // 10, 20)), (10, 1)).astype(np.float32)
    graph = native().knn_approx(X, k=9, distance="l2")
    assert_valid(X, graph)
    # All nine copies of a row are its neighbours, itself left out.
    assert (graph.distances == 0.0).all()
    assert graph.recall.estimate == 1.0
    wider = native().knn_approx(X, k=14, distance="l2")
    assert_valid(X, wider)
    truth = true_recall(X, wider)
    assert wider.recall.low <= truth <= wider.recall.high


def test_half_of_all_rows_equal(small, rng):
    X = rng.standard_normal((N, 20)).astype(np.float32)
    X[::2] = X[0]
    graph = native().knn_approx(X, k=9, distance="l2")
    assert_valid(X, graph)
    assert (graph.distances[::2] == 0.0).all()


@pytest.mark.parametrize("step", [0.0, 0.02])
def test_a_row_that_met_too_few_meets_all(step, rng):
    # Cells of one pivot each row, and hardly a row per cell.
    X = rng.standard_normal((301, 5)).astype(np.float32)
    X[17] = 40.0
    indices, distances = _core.knn_approx(
        X, k=20, distance="l2", seed=0, cell=1, fanout=1, step=step, n_threads=2
    )
    assert_valid(X, Graph(indices, distances))
    assert_array_equal(indices[17], np.argsort(keys(X, 17, "l2"), kind="stable")[:20])


@pytest.mark.parametrize(
    ("n", "d", "k", "cell", "fanout"),
    [
        (2, 1, 1, 1, 1),
        (50, 3, 49, 7, 3),
        (97, 17, 30, 20, 4),
        (500, 5, 90, 100, 5),
        (333, 2, 1, 9, 9),
    ],
)
@pytest.mark.parametrize("step", [0.0, 0.02])
def test_odd_sizes(n, d, k, cell, fanout, step, rng):
    X = rng.standard_normal((n, d))
    indices, distances = _core.knn_approx(
        X, k=k, distance="l2", seed=1, cell=cell, fanout=fanout, step=step, n_threads=3
    )
    assert_valid(X, Graph(indices, distances))


def test_one_cell_of_all_rows_is_exact(rng):
    X = rng.standard_normal((600, 11)).astype(np.float32)
    indices, distances = _core.knn_approx(
        X, k=13, distance="l2", seed=0, cell=600, fanout=1, step=0.0, n_threads=1
    )
    exact = native().knn_exact(X, k=13, distance="l2")
    assert_array_equal(indices, exact.indices)
    assert_array_equal(distances, exact.distances)


def sample_step(X, k, distance):
    """What the backend would round to."""
    rows = np.arange(0, len(X), 7)
    near = native().knn_exact(X, k=max(k, 8), distance=distance, rows=rows).distances
    return coarse_step(X[rows], near, k, distance)


# Whatever this processor is fast at.
@pytest.mark.parametrize("distance", ["l2", "ip"])
@pytest.mark.parametrize("kind", ["clusters", "decaying", "latent", "offset", "sphere"])
def test_bytes_find_what_floats_find(kind, distance, rng):
    X = kinds(rng)[kind].astype(np.float32)
    if kind == "offset" and distance == "ip":
        X -= 9_990.0
    step = sample_step(X, 12, distance)
    if kind == "clusters" and distance == "ip":
        assert step == 0.0  # all rows of a cluster have about the same products with another
        return
    assert step > 0.0
    options = {"k": 12, "distance": distance, "seed": 0, "cell": 96, "fanout": 6, "n_threads": 1}
    floats = Graph(*_core.knn_approx(X, step=0.0, **options))
    found = Graph(*_core.knn_approx(X, step=step, **options))
    assert_valid(X, found, distance)
    assert true_recall(X, found, distance) > true_recall(X, floats, distance) - 0.01
    for n_threads in (2, 5):
        again = _core.knn_approx(X, step=step, **(options | {"n_threads": n_threads}))
        assert_array_equal(again[0], found.indices)
        assert_array_equal(again[1], found.distances)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 64, 67, 200])
def test_bytes_of_any_number_of_features(d, rng):
    X = rng.standard_normal((401, d))
    step = min(6.0 / np.sqrt(d), 1.0) * np.linalg.norm(X, axis=1).max() / 127
    exact = native().knn_exact(X, k=20, distance="l2")
    _, distances = _core.knn_approx(
        X, k=20, distance="l2", seed=0, cell=401, fanout=1, step=step, n_threads=2
    )
    assert (distances <= exact.distances * (1 + 1e-12)).mean() > (0.99 if d > 2 else 0.9)


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_rows_that_bytes_cannot_tell_apart_stay_floats(distance, rng):
    X = rng.standard_normal((20, 31))[rng.integers(0, 20, N)]
    X = (X + 1e-4 * rng.standard_normal((N, 31))).astype(np.float32)
    assert sample_step(X, 12, distance) == 0.0


def test_no_step_where_there_is_nothing_to_tell():
    assert coarse_step(np.ones((30, 4)), np.zeros((30, 8)), 5, "l2") == 0.0
    assert coarse_step(np.ones((9, 65_537), np.float32), np.ones((9, 8)), 5, "l2") == 0.0


@pytest.mark.parametrize("distance", ["l2", "ip"])
def test_few_rows_are_searched_exactly(ops, sets, distance):
    for X in sets:
        graph = ops.knn_approx(X, k=7, distance=distance)
        exact = ops.knn_exact(X, k=7, distance=distance)
        assert graph.recall is None
        assert_array_equal(graph.indices, exact.indices)


def test_the_reference_approximates_nothing(small, sets):
    assert ArrayBackend().knn_approx(sets[0], k=3, distance="l2").recall is None


def test_many_rows_as_a_user_gets_them(rng):
    n = _bytes.FEWEST_APPROXIMATED
    X = (rng.standard_normal((n, 16)) * np.arange(1, 17) ** -0.5).astype(np.float32)
    graph = native().knn_approx(X, k=15, distance="l2")
    exact = native().knn_exact(X, k=15, distance="l2")
    truth = (graph.distances <= exact.distances[:, -1:]).mean()
    assert truth > 0.97
    assert graph.recall.low <= truth <= graph.recall.high
    assert native().knn_exact(X[:-1], k=15, distance="l2").recall is None


def test_what_few_axes_tell_apart_is_searched_exactly(rng):
    n = _bytes.FEWEST_APPROXIMATED
    X = (rng.standard_normal((n, 128)) * np.arange(1, 129) ** -2.0).astype(np.float32)
    assert native().knn_approx(X, k=5, distance="l2").recall is None


def test_bad_input_raises(small, rng):
    X = rng.standard_normal((N, 4))
    with pytest.raises(ValueError, match="all rows of the embedding are equal"):
        native().knn_approx(np.ones((N, 4)), k=3, distance="l2")
    with pytest.raises(ValueError, match="`effort` must be at least 1, got 0"):
        native().knn_approx(X, k=3, distance="l2", effort=0)
    with pytest.raises(MemoryError, match=r"knn_approx needs .* MiB at least.*raise `max_memory`"):
        native(max_memory=1000).knn_approx(X, k=3, distance="l2")
    good = {"k": 3, "distance": "l2", "seed": 0, "cell": 20, "fanout": 2, "n_threads": 1}
    good |= {"step": 0.0}
    bad = {"k": 0, "distance": "cosine", "fanout": 0, "cell": 1, "step": -1.0}
    for name, value in [*bad.items(), ("k", N), ("step", np.nan)]:
        with pytest.raises(ValueError, match=f"`{name}`"):
            _core.knn_approx(X, **(good | {name: value}))


def test_memory_grows_with_n_alone():
    def needed(n):
        return _core.knn_approx_bytes(n, 256, k=25, cell=640, fanout=4, n_threads=1)

    assert needed(200_000) - needed(100_000) < 100_000 * 2700 + (1 << 20)
    assert needed(100_000) < 256 << 20


# ---- the certificate ---------------------------------------------------------------------


def test_hits_count_ties_at_the_kth_distance():
    true = np.array([[1.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    listed = np.array([[1.0, 2.0, 2.0], [1.0, 3.0, 4.0]])
    assert hit_counts(listed, true).tolist() == [[1, 2, 3], [1, 1, 2]]
    # Four at distance 2, of which any two are right.
    assert hit_counts(np.array([[2.0, 2.0, 2.0]]), np.full((1, 3), 2.0)).tolist() == [[1, 2, 3]]


def test_a_perfect_sample_promises_no_perfection():
    recall = Recall.from_hits(np.tile(np.arange(1, 11), (400, 1)))
    assert recall.estimate == recall.high == 1.0
    # No row in 400 was bad: at most ln(40) / 400 of all rows may be, nearly.
    assert recall.low == pytest.approx(1.0 - np.log(40.0) / 400, abs=2e-4)


def test_rows_and_not_neighbors_are_the_sample():
    # Half of the rows complete, half empty: 200 draws, not 2,000.
    hits = np.zeros((200, 10), np.int64)
    hits[:100] = np.arange(1, 11)
    recall = Recall.from_hits(hits)
    assert recall.estimate == 0.5
    assert recall.high - recall.low > 0.15
    even = Recall.from_hits(np.tile(np.minimum(np.arange(1, 11), 5), (200, 1)))
    assert even.estimate == 0.5
    assert even.high - even.low < recall.high - recall.low


@pytest.mark.parametrize("p", [0.85, 0.95, 0.98, 0.999])
def test_intervals_cover(p, rng):
    # Rows differ: a tenth of them holds half of the misses.
    rates = np.full(20_000, 1 - (1 - p) * 0.5 / 0.9)
    rates[:2000] = 1 - (1 - p) * 0.5 / 0.1
    missed = 0
    for _ in range(300):
        chosen = rng.choice(rates, 512, replace=False)
        found = rng.random((512, 25)) < chosen[:, None]
        recall = Recall.from_hits(np.cumsum(found, axis=1))
        missed += not recall.low <= rates.mean() <= recall.high
    assert missed <= 300 * 0.05


def test_fewer_neighbors_have_a_recall_of_their_own(rng):
    found = rng.random((300, 12)) < np.linspace(1.0, 0.8, 12)
    recall = Recall.from_hits(np.cumsum(found, axis=1))
    graph = Graph(np.zeros((5, 12), np.int64), np.zeros((5, 12)), 0, recall)
    first = graph.nearest(4).recall
    assert first.estimate == pytest.approx(found[:, :4].mean())
    assert first.estimate > recall.estimate
    assert graph.nearest(12).recall is recall
    assert graph.relabelled(np.arange(5)[::-1].copy()).recall is recall
    assert Graph(graph.indices, graph.distances).nearest(4).recall is None


def test_without_hits_all_misses_may_be_among_the_first():
    recall = Recall(0.95, 0.9, 0.98, 512, 0.95)
    first = recall.nearest(5, of=10)
    assert first.low == pytest.approx(0.8)
    assert first.estimate == pytest.approx(0.9)
    assert first.high == 1.0
    assert recall.nearest(1, of=100).low == 0.0


def test_a_graph_comes_back_from_disk_with_its_recall(tmp_path, rng):
    recall = Recall.from_hits(np.cumsum(rng.random((50, 6)) < 0.9, axis=1))
    graph = Graph(np.arange(12).reshape(2, 6), rng.random((2, 6)), 7, recall)
    graph.save(tmp_path / "graph.npz")
    back = Graph.load(tmp_path / "graph.npz")
    assert back.recall == recall
    assert_array_equal(back.recall.hits, recall.hits)
    assert_array_equal(back.distances, graph.distances)
    assert back.judged == 7
    Graph(graph.indices, graph.distances).save(tmp_path / "exact.npz")
    assert Graph.load(tmp_path / "exact.npz").recall is None
