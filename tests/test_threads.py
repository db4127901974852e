"""Every function and op from many Python threads at once: the bits of one call after another."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import consilience as cs
from consilience._evaluate import Terms
from consilience._validate import as_embeddings
from consilience.backends import Backend, Channel, select
from consilience.backends._blas import one_blas_thread
from consilience.needs import GraphNeed, View
from consilience.terms import Graph
from engine import native
from every_op import bits, ops_on, two_sets
from functions import EVERY, SINGLES

N_THREADS = 8
ROUNDS = 2


def at_once(work):
    """Call work(t) in so many threads together; raise what any of them raised."""
    start, raised = threading.Barrier(N_THREADS), []

    def run(t):
        try:
            start.wait(60)
            work(t)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(t,)) for t in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not any(thread.is_alive() for thread in threads), "threads wait for each other"
    if raised:
        raise raised[0]


def same_at_once(calls):
    """Raise unless every call gives in every thread what it gives alone.

    calls : thread -> name -> function; each thread begins at another name.
    """
    expected = [{name: bits(call()) for name, call in own.items()} for own in calls]
    wrong = Counter()

    def work(t):
        names = list(calls[t])
        for turn in range(ROUNDS * len(names)):
            name = names[(turn + 3 * t) % len(names)]
            wrong[name] += bits(calls[t][name]()) != expected[t][name]

    at_once(work)
    assert {name: count for name, count in wrong.items() if count} == {}


def functions(X, Y, backend):
    def call(name):
        arrays = (X,) if name in SINGLES else (X, Y)
        options = {} if name == "preprocess" else {"backend": backend, "n_threads": 2}
        return lambda: getattr(cs, name)(*arrays, **EVERY[name], **options)

    return {name: call(name) for name in EVERY}


@pytest.mark.parametrize("shared", [True, False], ids=["shared arrays", "arrays of their own"])
@pytest.mark.parametrize("backend", ["native", "array"])
def test_every_public_function(shared, backend):
    common = two_sets(0)
    sets = [common if shared else two_sets(t, 50 + t) for t in range(N_THREADS)]
    same_at_once([functions(X, Y, backend) for X, Y in sets])


def test_the_list_of_ops_is_complete():
    named = {name for name in vars(Backend) if not name.startswith("_")}
    assert set(ops_on(*two_sets(0), native())) == named - {"name", "with_threads"}


@pytest.mark.parametrize("shared", [True, False], ids=["shared arrays", "arrays of their own"])
def test_every_op(shared):
    backend = native(n_threads=2, tile=16)
    common = two_sets(0)
    sets = [common if shared else two_sets(t, 50 + t) for t in range(N_THREADS)]
    same_at_once([ops_on(X, Y, backend) for X, Y in sets])


def test_searches_of_many_rows():
    # Enough for axes, words and groups: the ways that small sets do not take.
    rng = np.random.default_rng(2)
    X = (rng.standard_normal((17_000, 64)) * 0.8 ** np.arange(64)).astype(np.float32)
    backend = native(n_threads=2)
    calls = {
        "knn_exact": lambda: backend.knn_exact(X, k=10, distance="l2", rows=np.arange(2000)),
        "knn_approx": lambda: backend.knn_approx(X, k=5, distance="l2"),
        "pair_terms": lambda: backend.pair_terms([Channel(X[:2100])]),
    }
    expected = {name: bits(call()) for name, call in calls.items()}
    found = [None] * N_THREADS

    def work(t):
        name = list(calls)[t % len(calls)]
        found[t] = bits(calls[name]()) == expected[name]

    at_once(work)
    assert found == [True] * N_THREADS


METRICS = ["cka", ("mutual_knn", {"k": 5}), ("cknna", {"k": 5}), "distance_correlation", "twonn",
           ("cka", {"kernel": "rbf"}), ("information_imbalance", {"k": 2})]  # fmt: skip


def test_comparisons():
    models = dict(zip("abc", (*two_sets(3), two_sets(4)[0]), strict=True))

    def matrix():
        found = cs.compare(models, METRICS, progress=False, n_threads=2)
        return {label: (found[label], found.scores[label].null_mean) for label in found.metrics}

    same_at_once([{"compare": matrix}] * N_THREADS)


class Counted:
    """A backend that counts its searches."""

    n_threads = 1

    def __init__(self, backend):
        self.backend, self.searches = backend, Counter()

    def knn_exact(self, X, **options):
        self.searches[X.shape[1]] += 1
        return self.backend.knn_exact(X, **options)


def test_terms_of_one_comparison_are_made_once_for_all_threads():
    X, Y = two_sets(5)
    ops = Counted(native())
    need = GraphNeed(View(), "l2", 6)
    for _ in range(20):
        ops.searches.clear()
        terms = Terms(as_embeddings([("X", X), ("Y", Y)]), ops, [need], [(0, 1)])
        graphs: list[list[Graph]] = [[] for _ in range(N_THREADS)]
        at_once(lambda t, to=graphs, of=terms: to[t].extend(of.graph(m, need) for m in (0, 1)))
        assert ops.searches == {X.shape[1]: 1, Y.shape[1]: 1}
        assert all(a is b for own in graphs for a, b in zip(own, graphs[0], strict=True))


def test_prepared_rows_are_right_whichever_thread_prepares_the_next():
    # Two are kept, four are asked for: each thread evicts what another has just made.
    sets = as_embeddings([("X", two_sets(6)[0]), ("Y", two_sets(7)[0])])
    views = [View(normalize="l2"), View(normalize="zscore")]
    terms = Terms(sets, native(), [], [(0, 1)])
    expected = {(m, v): bits(terms.values(m, v)) for m in (0, 1) for v in views}

    def work(t):
        for turn in range(400):
            key = list(expected)[(turn + t) % 4]
            assert bits(terms.values(*key)) == expected[key]

    at_once(work)


def test_blas_has_its_threads_back_when_the_last_is_out():
    select("native", [])
    before = [pool["num_threads"] for pool in threadpool_info()]

    def work(t):
        for _ in range(50):
            with one_blas_thread:
                # SciPy's and NumPy's; another library may have come since.
                ours = [p["num_threads"] for p in threadpool_info() if "scipy" in p["filepath"]]
                assert set(ours) == {1}

    at_once(work)
    assert [pool["num_threads"] for pool in threadpool_info()] == before
