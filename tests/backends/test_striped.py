"""Ops in tasks: the same answers however they are cut, kept whole, and never computed twice."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience import store
from consilience.backends import Channel, UnsupportedArraysError
from consilience.backends.base import PAIR_STEP
from consilience.backends.striped import LostWorkersError, StripedBackend
from consilience.backends.striped._ops import OPS
from consilience.backends.striped._plan import (
    LEAST_ROWS,
    batches_of_pairs,
    stripes_of,
    triangle_stripes,
)
from consilience.backends.striped._task import run_task
from engine import native

N = 97
KNN = {"k": 5, "distance": "l2"}


@pytest.fixture
def sets(rng):
    X = rng.standard_normal((N, 7)).astype(np.float32)
    X[40:44] = X[3]  # ties
    return [X, rng.standard_normal((N, 12)) + 1e3, X[:, ::2].copy()]


@pytest.fixture
def striped(tmp_path):
    """Return a function that makes a backend on the test's own folder."""
    made = []

    def make(executor=None, **options):
        made.append(StripedBackend(native(), executor, tmp_path / "kept", **options))
        return made[-1]

    yield make
    for one in made:
        one.close(finished=False)


def results(folder):
    return sorted((folder / "kept" / "results").glob("*.npz"))


# ---- the same answers --------------------------------------------------------------------------


@pytest.mark.parametrize("stripe_rows", [9, 50, 200])
@pytest.mark.parametrize("threads", [False, True])
def test_every_op_finds_what_the_inner_backend_finds(stripe_rows, threads, sets, rng):
    X, Y, Z = sets
    whole, pairs = native(), [(0, 0), (0, 1), (2, 1), (1, 1)]
    rows = np.array([0, 3, 40, 41, 96])
    graph = whole.knn_exact(X, **KNN)
    executor = ThreadPoolExecutor(2) if threads else None
    with StripedBackend(whole, executor, stripe_rows=stripe_rows) as ops:
        assert ops.name == "native"
        assert ops.n_threads == whole.n_threads
        found = ops.knn_exact(X, **KNN)
        assert_array_equal(found.indices, graph.indices)
        assert_array_equal(found.distances, graph.distances)
        assert found.rows is None
        some = ops.knn_exact(X, **KNN, rows=rows)
        assert_array_equal(some.indices, graph.indices[rows])
        assert_array_equal(some.rows, rows)
        assert some.n_samples == N
        assert_array_equal(ops.knn_approx(X, **KNN).indices, graph.indices)
        for mine, theirs in zip(ops.moments(sets, pairs), whole.moments(sets, pairs), strict=True):
            assert mine.n_samples == N
            a, b = mine.centered(), theirs.centered()
            assert_allclose(a.xy, b.xy, rtol=1e-12, atol=1e-12 * np.abs(b.xy).max())
            assert a.norms_xy == pytest.approx(b.norms_xy, rel=1e-12)
        ranks, expected = (one.rank_counts(Y, [graph], [2, 5]) for one in (ops, whole))
        assert_array_equal(ranks.sums, expected.sums)
        lists = [whole.knn_exact(Z, **KNN, rows=rows), some]
        ranks, expected = (one.rank_counts(Y, lists, [5], rows=rows) for one in (ops, whole))
        assert_array_equal(ranks.sums, expected.sums)
        ranks, expected = (
            one.rank_counts(Y, [graph], [5], sample=np.arange(9)) for one in (ops, whole)
        )
        assert_array_equal(ranks.columns, expected.columns)
        assert_array_equal(ranks.block, expected.block)
        joint = whole.joint_nearest(sets, pairs)
        assert_array_equal(ops.joint_nearest(sets, pairs), joint)
        assert_array_equal(ops.joint_nearest(sets, pairs, rows=rows), joint[:, rows])
        channels = [Channel(X), Channel(Y, "rbf", 0.1), Channel(X, "squared")]
        for some in (rows, np.arange(N)):
            table, expected = (one.pair_rows(channels, pairs[:2], some) for one in (ops, whole))
            assert_allclose(table.products, expected.products, rtol=1e-12)
            assert_allclose(table.rows, expected.rows, rtol=1e-12)
            assert_array_equal(table.pairs, expected.pairs)
        table, expected = ops.pair_terms(channels), whole.pair_terms(channels)
        assert_allclose(table.products, expected.products, rtol=1e-12)
        assert_allclose(table.rows, expected.rows, rtol=1e-12, atol=1e-10)
        assert_array_equal(
            ops.edge_values(X, graph, centered=True), whole.edge_values(X, graph, centered=True)
        )
    if executor:
        executor.shutdown()


def test_a_stripe_may_be_one_row(rng):
    X = rng.standard_normal((5, 3))
    with StripedBackend(native(), stripe_rows=1) as ops:
        found = ops.knn_exact(X, k=2, distance="l2")
        assert ops.journal.computed == 5
    assert_array_equal(found.indices, native().knn_exact(X, k=2, distance="l2").indices)


def test_executors_and_none_give_the_same_bits(sets):
    def sums(executor):
        with StripedBackend(native(), executor, stripe_rows=11) as ops:
            return [one.matrix for one in ops.moments(sets, [(0, 1), (1, 2)])]

    here = sums(None)
    with ThreadPoolExecutor(3) as executor:
        for mine, theirs in zip(sums(executor), here, strict=True):
            assert_array_equal(mine, theirs)


EVERY_SUM = ["cka", "distance_correlation", "rsa", ("cka", {"kernel": "rbf"})]
EVERY_SUM += ["cknna", ("information_imbalance", {"k": 4})]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_comparisons_agree_however_they_are_cut_and_whoever_did_some(
    dtype, rng, tmp_path, monkeypatch
):
    n = 301
    Z = rng.standard_normal((n, 3))
    offset = 10.0 if dtype == np.float16 else 1e4  # where its steps are 0.008
    models = {
        name: (Z @ rng.standard_normal((3, d)) + offset).astype(dtype)
        for name, d in (("a", 5), ("b", 8), ("c", 3))
    }
    for X in models.values():
        X[100:110] = X[7]
    how = {"null": None, "intervals": None}
    plain = cs.compare(models, EVERY_SUM, **how)
    monkeypatch.setattr("consilience.backends.striped.TASK_SECONDS", 1e-6)
    monkeypatch.setattr("consilience.backends.striped._plan.LEAST_ROWS", dict.fromkeys(OPS, 37))
    here = cs.compare(models, EVERY_SUM, **how, checkpoint=tmp_path / "kept")
    written = results(tmp_path)
    assert sum(path.name.startswith("pair_terms") for path in written) >= 4
    for path in written[::2]:
        path.unlink()
    with ThreadPoolExecutor(3) as executor:
        resumed = cs.compare(
            models, EVERY_SUM, **how, checkpoint=tmp_path / "kept", client=executor
        )
    assert results(tmp_path) == written
    for label in plain.metrics:
        assert_array_equal(resumed[label], here[label])
        assert_allclose(here[label], plain[label], rtol=1e-12)


def test_mapped_rows_are_opened_where_they_are(sets, tmp_path, striped):
    whole = native()
    for m, X in enumerate(sets[:2]):
        ids = [f"s{i}" for i in range(N)]
        store.write(tmp_path / f"m{m}", [(ids, X)], model=f"m{m}", dataset={"name": "d"})
    opened = [store.open(tmp_path / f"m{m}").array() for m in range(2)]
    with ThreadPoolExecutor(2) as executor:
        ops = striped(executor, stripe_rows=20)
        assert_array_equal(
            ops.knn_exact(opened[0], **KNN).indices, whole.knn_exact(sets[0], **KNN).indices
        )
        assert not (tmp_path / "kept" / "arrays").exists()
        before = ops.journal.computed
        ops.knn_exact(sets[0].copy(), **KNN)  # the same rows in memory are the same task
        assert ops.journal.computed == before


# ---- plans -------------------------------------------------------------------------------------


def test_stripes_cover_the_rows_in_order_and_take_as_long_as_asked_for():
    cut = {"seconds": 5.0, "rows": None, "symmetric": False}
    stripes = stripes_of("rank_counts", 100_003, 2.0 * 100_003**2 * 256, **cut)
    assert [first for first, _ in stripes] == [0, *(stop for _, stop in stripes[:-1])]
    assert stripes[-1][1] == 100_003
    sizes = [stop - first for first, stop in stripes]
    assert max(sizes) - min(sizes) <= 1
    assert 2.0 * sizes[0] * 100_003 * 256 / 45e9 >= 5.0
    assert stripes_of("rank_counts", 1000, 1e9, **cut) == [None]
    assert stripes_of("moments", 3, 1e30, **cut) == [(0, 1), (1, 2), (2, 3)]


def test_stripes_are_not_so_short_that_what_each_does_for_itself_counts():
    cut = {"seconds": 1e-9, "rows": None, "symmetric": False}
    stripes = stripes_of("knn_exact", 50_000, 1e15, **cut)
    assert len(stripes) == 50_000 // LEAST_ROWS["knn_exact"]
    assert stripes_of("knn_exact", LEAST_ROWS["knn_exact"], 1e15, **cut) == [None]


def test_what_is_symmetric_is_cut_where_that_pays():
    cut = {"seconds": 1.0, "rows": None, "symmetric": True}
    assert stripes_of("knn_exact", 10**6, 4.5 * 80e9, **cut) == [None]
    assert len(stripes_of("knn_exact", 10**6, 5.5 * 80e9, **cut)) == 5


def test_what_takes_no_time_is_no_task(sets, tmp_path, striped):
    ops, whole = striped(), native()
    graph = ops.knn_exact(sets[0], **KNN)
    assert_array_equal(graph.indices, whole.knn_exact(sets[0], **KNN).indices)
    ops.knn_approx(sets[0], **KNN)
    ops.rank_counts(sets[1], [graph], [5])
    ops.joint_nearest(sets, [(0, 1)])
    ops.pair_terms([Channel(sets[0])])
    ops.pair_rows([Channel(sets[0])], [(0, 0)], np.arange(3))
    (found,), (expected,) = (one.moments(sets, [(0, 1)]) for one in (ops, whole))
    assert_array_equal(found.matrix, expected.matrix)
    assert ops.journal.computed == 0
    assert not results(tmp_path)


def test_stripes_of_a_triangle_have_about_equal_work():
    n = 100_003
    stripes = triangle_stripes(n, 2.0 * n * n * 256, seconds=5.0, rows=None)
    assert [first for first, _ in stripes] == [0, *(stop for _, stop in stripes[:-1])]
    assert stripes[-1][1] == n
    assert all(first % PAIR_STEP == 0 for first, _ in stripes)
    pairs = [(n - first) ** 2 - (n - stop) ** 2 for first, stop in stripes]
    assert len(pairs) == 7
    assert max(pairs) < 1.01 * min(pairs)
    assert triangle_stripes(n, 2.0 * n * n, seconds=5.0, rows=None) == [None]
    for n_rows, expected in ((95, [(0, 48), (48, 95)]), (96, [(0, 48), (48, 96)]), (48, [None])):
        # There are no shorter ones than steps of rows.
        assert triangle_stripes(n_rows, 1.0, seconds=5.0, rows=1) == expected


def test_pairs_are_batched_by_the_size_of_their_results(monkeypatch):
    monkeypatch.setattr("consilience.backends.striped._plan.RESULT_BYTES", 8 * 300)
    pairs = [(0, 0), (0, 1), (1, 1), (1, 0)]
    assert batches_of_pairs(pairs, [8, 18]) == [[(0, 0), (0, 1)], [(1, 1)], [(1, 0)]]


def test_moments_of_several_batches_come_in_the_order_of_the_pairs(sets, monkeypatch):
    monkeypatch.setattr("consilience.backends.striped._plan.RESULT_BYTES", 800)
    pairs = [(1, 1), (0, 2), (2, 1), (0, 0)]
    with StripedBackend(native(), stripe_rows=40) as ops:
        for mine, theirs in zip(
            ops.moments(sets, pairs), native().moments(sets, pairs), strict=True
        ):
            assert mine.matrix.shape == theirs.matrix.shape
            assert_allclose(mine.centered().xy, theirs.centered().xy, rtol=1e-12, atol=1e-9)
        assert ops.journal.computed == 3 * len(batches_of_pairs(pairs, [7, 12, 4]))


# ---- what is kept ------------------------------------------------------------------------------


class Refusing:
    """A backend that may not be asked to search."""

    name = "native"
    n_threads = 1

    def knn_exact(self, X, **options):
        raise AssertionError("this was computed already")


def test_what_is_in_the_folder_is_not_computed_again(sets, tmp_path, striped):
    ops = striped(stripe_rows=20)
    first = ops.knn_exact(sets[0], **KNN)
    ops.close()
    with StripedBackend(Refusing(), None, tmp_path / "kept", stripe_rows=20) as again:
        found = again.knn_exact(sets[0], **KNN)
        assert (again.journal.reused, again.journal.computed) == (5, 0)
        assert_array_equal(found.distances, first.distances)
        with pytest.raises(AssertionError, match="already"):
            again.knn_exact(sets[0], k=6, distance="l2")
        changed = sets[0].copy()
        changed[50, 0] += 1
        with pytest.raises(AssertionError, match="already"):
            again.knn_exact(changed, **KNN)


def damage_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-7])


def damage_record(path):
    path.with_suffix(".json").write_text('{"sha256": ')


@pytest.mark.parametrize("harm", [damage_bit, cut_short, damage_record])
def test_a_damaged_result_is_told_and_computed_again(harm, sets, tmp_path, striped):
    ops = striped(stripe_rows=20)
    first = ops.knn_exact(sets[0], **KNN)
    ops.close()
    harm(results(tmp_path)[2])
    again = striped(stripe_rows=20)
    with pytest.warns(UserWarning, match=r"results/knn_exact-.*npz is damaged"):
        found = again.knn_exact(sets[0], **KNN)
    assert (again.journal.reused, again.journal.computed) == (4, 1)
    assert_array_equal(found.indices, first.indices)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_half_a_result_is_none(suffix, sets, tmp_path, striped):
    ops = striped(stripe_rows=20)
    ops.knn_exact(sets[0], **KNN)
    ops.close()
    results(tmp_path)[0].with_suffix(suffix).unlink()
    again = striped(stripe_rows=20)
    again.knn_exact(sets[0], **KNN)
    assert (again.journal.reused, again.journal.computed) == (4, 1)


def test_a_result_that_changes_before_it_is_read_is_refused(sets, tmp_path, striped):
    ops = striped(stripe_rows=20)
    ops.knn_exact(sets[0], **KNN)
    path = results(tmp_path)[0]
    record = ops.journal.found(path.stem)
    damage_bit(path)
    with pytest.raises(ValueError, match="is not what worker"):
        ops.journal.load("knn_exact", record)


def test_a_folder_is_held_by_one_process(striped, tmp_path):
    striped()
    code = f"""
        from consilience.backends.striped import StripedBackend
        try:
            StripedBackend(None, None, {str(tmp_path / "kept")!r})
        except FileExistsError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "another process works with the checkpoint" in done.stdout


def test_a_folder_of_ones_own_is_removed(sets, tmp_path):
    with StripedBackend(native(), stripe_rows=50) as ops:
        ops.knn_exact(sets[0], **KNN)
        folder = ops.journal.folder
        assert any(folder.rglob("*.npz"))
    assert not folder.exists()
    with StripedBackend(native(), None, tmp_path / "kept", keep=False) as ops:
        ops.knn_exact(sets[0], **KNN)
    assert not (tmp_path / "kept").exists()


# A run in another process that is ended when it has a few results, long before all 120.
LONG = """
    import time
    import numpy as np
    from consilience.backends import select
    from consilience.backends.native import NativeBackend
    from consilience.backends.striped import StripedBackend
    search = NativeBackend.knn_exact
    def slow(*args, **options):
        time.sleep(0.05)
        return search(*args, **options)
    NativeBackend.knn_exact = slow
    X = np.random.default_rng(0).standard_normal((6000, 64)).astype(np.float32)
    with StripedBackend(select("native", [X]), None, {folder!r}, stripe_rows=50) as ops:
        ops.knn_exact(X, k=5, distance="l2")
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_run_is_gone_on_with(sent, tmp_path, striped):
    code = textwrap.dedent(LONG.format(folder=str(tmp_path / "kept")))
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(results(tmp_path)) < 5 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(sent)
    assert child.wait(30) != 0
    X = np.random.default_rng(0).standard_normal((6000, 64)).astype(np.float32)
    ops = striped(stripe_rows=50)
    found = ops.knn_exact(X, k=5, distance="l2")
    assert ops.journal.reused >= 4
    assert ops.journal.reused + ops.journal.computed == 120
    assert ops.journal.computed > 0
    assert_array_equal(found.indices, native().knn_exact(X, k=5, distance="l2").indices)
    assert not list((tmp_path / "kept").rglob("*.tmp")) or sent == signal.SIGKILL


# ---- what goes wrong elsewhere -----------------------------------------------------------------


def body_of(task_folder, **more):
    return {
        "op": "knn_exact",
        "arrays": {"sets": [{"npy": str(task_folder / "X.npy")}]},
        "settings": KNN,
        "stripe": [2, 5],
        "run": {"backend": "auto", "device": "auto", "n_threads": None, "max_memory": None},
        "result": str(task_folder / "out.npz"),
        "version": cs.__version__,
        **more,
    }


def test_a_task_is_json_and_says_where_its_result_is(sets, tmp_path):
    np.save(tmp_path / "X.npy", sets[0])
    done = run_task(json.loads(json.dumps(body_of(tmp_path))))
    assert json.loads(json.dumps(done)) == done
    assert done["path"] == str(tmp_path / "out.npz")
    assert done["bytes"] == (tmp_path / "out.npz").stat().st_size
    with np.load(done["path"]) as stored:
        assert_array_equal(stored["indices"], native().knn_exact(sets[0], **KNN).indices[2:5])


def test_a_worker_that_cannot_read_says_who_and_what(tmp_path, sets):
    with pytest.raises(FileNotFoundError, match=rf"worker \(.*process {os.getpid()}\) cannot open"):
        run_task(body_of(tmp_path))
    np.save(tmp_path / "X.npy", sets[0])
    nowhere = body_of(tmp_path, result=str(tmp_path / "nowhere" / "out.npz"))
    with pytest.raises(FileNotFoundError, match=r"nowhere.*all workers share"):
        run_task(nowhere)


def test_a_worker_of_another_version_says_so(tmp_path):
    with pytest.raises(RuntimeError, match=r"has consilience .* and the comparison 0\.0\.0"):
        run_task(body_of(tmp_path, version="0.0.0"))


def test_a_file_that_changed_meanwhile_is_refused(tmp_path, sets):
    path = tmp_path / "X.f32"
    sets[0].tofile(path)
    parts = [[str(path), 0, N]]
    described = {"mapped": {"parts": parts, "dtype": "<f4", "width": 7}, "stamps": [[1, 2]]}
    with pytest.raises(ValueError, match=r"X\.f32 was changed since"):
        run_task(body_of(tmp_path, arrays={"sets": [described]}))


def test_what_the_op_says_comes_with_the_worker(tmp_path, sets):
    np.save(tmp_path / "X.npy", sets[0])
    wrong = body_of(tmp_path, settings={"k": N, "distance": "l2"})
    with pytest.raises(ValueError, match=r"knn_exact on worker \(.*process"):
        run_task(wrong)


def test_lost_workers_are_one_sentence(sets, striped, monkeypatch):
    monkeypatch.setattr("consilience.backends.striped._runner.run_task", os._exit)
    monkeypatch.setattr(
        "consilience.backends.striped._runner.Runner._body", lambda self, task, name: 9
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        ops = striped(executor, stripe_rows=20)
        with pytest.raises(LostWorkersError, match=r"kept: run the same again to go on"):
            ops.knn_exact(sets[0], **KNN)


def test_arrays_that_are_not_in_host_memory_are_refused(striped):
    class Elsewhere:
        shape = (5, 2)

        def __len__(self):
            return 5

    with pytest.raises(UnsupportedArraysError, match="by path"):
        striped(stripe_rows=2).knn_exact(Elsewhere(), k=2, distance="l2")


def test_a_client_must_be_one(striped):
    with pytest.raises(TypeError, match="`client` must be a Dask Client or"):
        striped("tcp://head:8786")
