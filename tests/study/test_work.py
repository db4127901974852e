"""Work on the host beside the ops: the same for any number of threads, and done once."""

import importlib
import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import consilience as cs
from consilience._evaluate import Step, Terms, metric_with, terms_of
from consilience.backends import select
from consilience.inference import blocks
from consilience.inference.relabel import permutations
from consilience.metrics import METRICS
from consilience.metrics._registry import Ahead
from consilience.study._work import THREADS_FROM, do_work

N = THREADS_FROM + 31
FIELDS = ("values", "null_mean", "null_std", "p_value", "calibrated")
EVERY = [
    *(name for name in METRICS if name not in ("cknna", "id_correlation")),
    ("cknna", {"k": 7}),
    ("cknna", {"k": 7, "variant": "prh-code"}),
    ("id_correlation", {"permutations": 0}),
    ("cka", {"kernel": "rbf"}),
    ("distance_correlation", {"unbiased": True}),
    ("information_imbalance", {"k": 4}),
]


@pytest.fixture
def models():
    rng = np.random.default_rng(8)
    Z = rng.standard_normal((N, 3))
    return {
        name: Z @ rng.standard_normal((3, d)) + 0.4 * rng.standard_normal((N, d))
        for name, d in (("a", 4), ("b", 6), ("c", 5))
    }


@pytest.mark.parametrize("null", ["auto", "closed"])
def test_same_bits_for_any_number_of_threads(models, null):
    one, four = (cs.compare(models, EVERY, null=null, intervals=None, n_threads=t) for t in (1, 4))
    for label in one.metrics:
        for field in FIELDS:
            found = getattr(four.scores[label], field)
            if getattr(one.scores[label], field) is None:
                assert found is None
            else:
                assert_array_equal(getattr(one.scores[label], field), found, (label, field))


def test_work_ahead_changes_no_bit(models, monkeypatch):
    from consilience.backends._blas import one_blas_thread
    from consilience.study import _work

    ahead = cs.compare(models, preset="matter", intervals=None, n_threads=3)
    monkeypatch.setattr(_work, "THREADS_FROM", N + 1)
    with one_blas_thread:
        lazy = cs.compare(models, preset="matter", intervals=None, n_threads=3)
    for label in lazy.metrics:
        for field in FIELDS:
            expected = getattr(lazy.scores[label], field)
            if expected is not None:
                assert_array_equal(getattr(ahead.scores[label], field), expected, (label, field))


class Watched:
    """A backend that tells which op was called by whom."""

    name = "watched"

    def __init__(self, n_threads):
        self._ops, self.n_threads = select("native", [], n_threads=n_threads), n_threads
        self.calls = []

    def with_threads(self, n_threads):
        return self

    def __getattr__(self, op):
        if not callable(getattr(self._ops, op)):
            return getattr(self._ops, op)

        def call(*args, **kwargs):
            self.calls.append((op, threading.current_thread() is threading.main_thread()))
            return getattr(self._ops, op)(*args, **kwargs)

        return call


def test_each_term_is_made_once_and_ops_are_entered_by_one_thread(models, monkeypatch):
    module = importlib.import_module("consilience.metrics.id_correlation")
    cubed, fitted = [], []
    cubic, dimension = blocks.cubic_terms, module._dimension

    def cubic_terms(A):
        cubed.append(threading.current_thread())
        return cubic(A)

    def _dimension(nearest, name):
        fitted.append(name)
        return dimension(nearest, name)

    monkeypatch.setattr(blocks, "cubic_terms", cubic_terms)
    monkeypatch.setattr(module, "_dimension", _dimension)
    ops = Watched(4)
    cs.compare(models, preset="matter", intervals=None, backend=ops)
    assert sorted(fitted) == ["a", "a with b", "a with c", "b", "b with c", "c"]
    # Distances twice, ranks once, and the graphs of three k.
    assert len(cubed) == 6 * len(models)
    assert threading.main_thread() not in cubed
    calls = Counter(ops.calls)
    assert calls["mantel_counts", False] == len(models)
    assert calls["mantel_terms", False] == 2 * len(models)
    assert {op for op, by_main in calls if not by_main} == {"mantel_counts", "mantel_terms"}
    for op in ("pair_terms", "joint_nearest"):
        assert calls[op, True] == 1
    assert calls["rank_counts", True] == len(models)
    assert calls["mantel_counts", True] == calls["mantel_terms", True] == 0


def test_threads_that_ask_together_get_one_term():
    terms = terms_of([("a", np.eye(4))], (), [])
    made, barrier = [], threading.Barrier(8)

    def make():
        time.sleep(0.02)
        made.append(object())
        return made[-1]

    def ask(found):
        barrier.wait()
        found.append(terms.derived((0,), "it", make))

    found = []
    threads = [threading.Thread(target=ask, args=(found,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == 8 * made


def test_a_term_that_fails_can_be_asked_for_again():
    terms = terms_of([("a", np.eye(4))], (), [])
    with pytest.raises(ZeroDivisionError):
        terms.derived((0,), "it", lambda: 1 / 0)
    assert terms.derived((0,), "it", lambda: 3) == 3


@pytest.mark.parametrize("n_threads", [1, 4])
def test_what_fails_ahead_is_told_where_it_is_scored(models, n_threads):
    models["c"] = np.repeat(models["c"][: N // 2 + 1], 2, axis=0)[:N]
    with pytest.raises(ValueError, match=r"`c`: only . samples have two neighbours"):
        cs.compare(
            models, [("id_correlation", {"permutations": 0})], intervals=None, n_threads=n_threads
        )


class Interrupted:
    """Terms whose second op is interrupted."""

    n_samples, sets = N, [None]
    ops = SimpleNamespace(n_threads=2)

    def with_threads(self, n_threads):
        assert n_threads == 2
        return self

    def steps(self):
        def interrupt():
            raise KeyboardInterrupt

        yield Step("graphs", 1.0, lambda: None, of_graphs=True)
        yield Step("pairs", 1.0, interrupt)


@pytest.mark.parametrize("progress", [False, True])
def test_an_interrupt_comes_through_and_ends_the_work(progress):
    done = []

    class Metric:
        def ahead(self, terms, cells, *, law):
            for part in range(200):
                yield Ahead(lambda part=part: (time.sleep(0.01), done.append(part)))

    with pytest.raises(KeyboardInterrupt):
        do_work(Interrupted(), [(Metric(), [(0, 0)], True)], progress=progress)
    assert len(done) < 20
    assert threading.active_count() < 20


def test_few_samples_start_no_thread(monkeypatch):
    from consilience.study import _work

    def refuse(*args, **kwargs):
        raise AssertionError("a pool was made")

    monkeypatch.setattr(_work, "ThreadPoolExecutor", refuse)
    X = np.random.default_rng(0).standard_normal((THREADS_FROM - 1, 3))
    m = cs.compare({"a": X, "b": X[:, ::-1]}, ["distance_correlation"], intervals=None)
    assert m["distance_correlation"][0, 1] == pytest.approx(1.0)


def test_threads_draw_the_same_relabellings():
    assert_array_equal(permutations(5000, 3, 2, 9, n_threads=3), permutations(5000, 3, 2, 9))
    assert permutations(5000, 3, 2, 2, n_threads=3).shape == (0, 5000)


def test_sums_of_pairs_are_made_once_for_all_metrics(models, monkeypatch):
    asked = []
    pair_sums = Terms.pair_sums

    def counted(self, a, b, need):
        asked.append((a, b))
        return pair_sums(self, a, b, need)

    monkeypatch.setattr(Terms, "pair_sums", counted)
    metrics = ["distance_correlation", ("distance_correlation", {"unbiased": True})]
    cs.compare(models, metrics, intervals=None)
    # Once for each pair, and once more for the step that sweeps them.
    assert Counter(asked) == Counter([(0, 0), *((a, b) for a in range(3) for b in range(a, 3))])


def test_no_ranks_are_made_that_no_score_reads(models):
    metric = ("information_imbalance", {"k": 4})
    terms = terms_of(models.items(), [], [], n_threads=2)
    _, settings = metric_with(*metric)
    terms.needs, terms.pairs = settings.needs(), [(0, 1)]
    do_work(terms, [(settings, [(0, 1)], True)], progress=False)
    ranked = {key[1] for key in terms._cache if key[0] == "ranks"}
    assert ranked == {1}
