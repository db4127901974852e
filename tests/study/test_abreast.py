"""Steps that overlap where workers do them, and end together when one of them fails."""

import os
import signal
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from consilience._evaluate import Step
from consilience.backends import Channel
from consilience.backends.striped import ABREAST, StripedBackend
from consilience.backends.striped._runner import OF_A_THREAD
from consilience.study._work import do_work
from engine import native

SECONDS = 20.0
X = np.random.default_rng(0).standard_normal((97, 5))


def work(ops, *runs, progress=False):
    """Do steps as a comparison does, and return when all have ended."""
    steps = [Step(f"step {i}", 1.0, run) for i, run in enumerate(runs)]
    do_work(SimpleNamespace(n_samples=0, ops=ops, steps=lambda: steps), [], progress=progress)


class Idle(Executor):
    """Takes tasks and does none."""

    def __init__(self):
        self.given = threading.Event()
        self.futures = []

    def submit(self, function, *arguments):
        self.futures.append(Future())
        self.given.set()
        return self.futures[-1]


class Client:
    """As Dask's, with two workers of one thread; counts what they have at a time."""

    status = "running"

    def __init__(self):
        self.pool, self.guard = ThreadPoolExecutor(2), threading.Lock()
        self.there = self.most = self.all = 0

    def get_executor(self, **options):
        return self

    def nthreads(self):
        return {"one": 1, "other": 1}

    def submit(self, function, *arguments):
        with self.guard:
            self.there, self.all = self.there + 1, self.all + 1
            self.most = max(self.most, self.there)
        future = self.pool.submit(function, *arguments)
        future.add_done_callback(self.leave)
        return future

    def leave(self, _):
        with self.guard:
            self.there -= 1


@pytest.mark.parametrize("progress", [False, True])
def test_steps_meet_where_workers_do_the_ops(progress):
    barrier, done = threading.Barrier(ABREAST), []

    def meet(i):
        barrier.wait(SECONDS)
        done.append(i)

    with ThreadPoolExecutor(1) as executor, StripedBackend(native(), executor) as ops:
        work(ops, *(lambda i=i: meet(i) for i in range(2 * ABREAST)), progress=progress)
    assert sorted(done) == list(range(2 * ABREAST))
    assert set(done[:ABREAST]) == set(range(ABREAST))


def test_steps_follow_each_other_in_one_thread_here():
    with StripedBackend(native()) as ops:
        seen = []
        work(ops, *(lambda i=i: seen.append((i, threading.current_thread())) for i in range(5)))
    assert seen == [(i, threading.main_thread()) for i in range(5)]


def test_what_fails_is_told_at_once_and_ends_what_waits():
    executor, ended = Idle(), []

    def wait_for_ever():
        try:
            ops.knn_exact(X, k=3, distance="l2")
        finally:
            ended.append("waited")

    def fail():
        assert executor.given.wait(SECONDS)
        raise ValueError("told at once")

    with (
        pytest.raises(ValueError, match="told at once"),
        StripedBackend(native(), executor, stripe_rows=50) as ops,
    ):
        work(ops, wait_for_ever, fail, *(lambda: ended.append("begun") for _ in range(9)))
    assert "waited" in ended
    assert all(future.cancelled() for future in executor.futures)
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


def test_an_interrupt_ends_what_waits(tmp_path):
    executor = Idle()

    def interrupt():
        assert executor.given.wait(SECONDS)
        os.kill(os.getpid(), signal.SIGINT)

    with (
        pytest.raises(KeyboardInterrupt),
        StripedBackend(native(), executor, tmp_path, stripe_rows=50) as ops,
    ):
        work(ops, lambda: ops.knn_exact(X, k=3, distance="l2"), interrupt)
    assert all(future.cancelled() for future in executor.futures)
    with StripedBackend(native(), None, tmp_path):  # the folder was let go of
        pass


def test_workers_have_a_few_tasks_at_a_time_of_all_steps_together():
    client, whole, found = Client(), native(), {}

    def search(k):
        found[k] = ops.knn_exact(X, k=k, distance="l2")

    def sums():
        found["sums"] = ops.pair_terms([Channel(X)])

    with StripedBackend(whole, client, stripe_rows=9) as ops:
        work(ops, *(lambda k=k: search(k) for k in range(1, 8)), sums)
        assert ops.journal.computed == client.all == 7 * 11 + 2
    client.pool.shutdown()
    assert 2 <= client.most <= 2 * OF_A_THREAD
    for k in range(1, 8):
        assert_array_equal(found[k].indices, whole.knn_exact(X, k=k, distance="l2").indices)
    np.testing.assert_allclose(found["sums"].products, whole.pair_terms([Channel(X)]).products)


def test_arrays_that_steps_share_are_written_once(tmp_path, monkeypatch):
    from consilience.backends.striped import _arrays

    written, barrier = [], threading.Barrier(3)
    write = _arrays.write_array
    monkeypatch.setattr(_arrays, "write_array", lambda *a: written.append(a[0]) or write(*a))
    shared = _arrays.SharedArrays(tmp_path)

    def describe():
        barrier.wait(SECONDS)
        return shared.description(X)

    with ThreadPoolExecutor(3) as pool:
        found = [one.result() for one in [pool.submit(describe) for _ in range(3)]]
    assert found[0] == found[1] == found[2]
    assert len(written) == 1
