"""What cannot fit into memory is refused before any work, and what would fit is told."""

import re
from dataclasses import replace

import numpy as np
import pytest

import consilience as cs
from consilience import store
from consilience._evaluate import terms_of
from consilience.backends import Channel
from consilience.study import _fit
from consilience.study import compare as compare_module
from consilience.study.plan import StudyPlan
from consilience.study.run import run_study
from engine import native

N = 400


class BegunError(Exception):
    """Work began."""


@pytest.fixture
def begins(monkeypatch):
    def do_work(*arguments, **options):
        raise BegunError

    monkeypatch.setattr(compare_module, "do_work", do_work)


@pytest.fixture
def ops_fit(monkeypatch):
    """What is kept alone is counted."""
    monkeypatch.setattr(_fit, "_check_ops", lambda *arguments: None)


@pytest.fixture
def models(rng):
    return {f"m{i}": rng.standard_normal((N, 5 + i)) for i in range(4)}


def compared(models, asked, **how):
    return cs.compare(models, asked, null=None, intervals=None, **how)


LISTS = 4 * N * 10 * 16  # four models, ten neighbours, an index and a distance


def test_lists_that_cannot_fit_are_refused_before_any_work(models, begins, ops_fit):
    asked = [("mutual_knn", {"k": 10}), ("mutual_knn", {"k": 3})]
    with pytest.raises(BegunError):
        compared(models, asked, max_memory=LISTS)
    with pytest.raises(MemoryError, match="4 models of 400 samples: neighbour lists take"):
        compared(models, asked, max_memory=LISTS - 1)


def test_what_is_told_to_fit_fits(models, begins, ops_fit):
    asked = [("mutual_knn", {"k": 10})]
    with pytest.raises(MemoryError, match="`max_memory` is") as caught:
        compared(models, asked, max_memory=LISTS // 2)
    rows = int(re.search(r"rows=(\d+)", str(caught.value))[1])
    together = int(re.search(r"so would (\d+) models", str(caught.value))[1])
    assert (rows, together) == (N // 2, 2)
    with pytest.raises(BegunError):
        compared(models, asked, rows=rows, max_memory=LISTS // 2)
    with pytest.raises(BegunError):
        compared(dict(list(models.items())[:together]), asked, max_memory=LISTS // 2)


def test_moments_count_once_a_pair(models, begins, ops_fit):
    dims = [X.shape[1] for X in models.values()]
    needed = 8 * sum(a * b for i, a in enumerate(dims) for b in dims[i:])
    with pytest.raises(BegunError):
        compared(models, ["cka"], max_memory=needed)
    with pytest.raises(MemoryError, match="compare fewer or narrower models"):
        compared(models, ["cka"], max_memory=needed - 1)


def test_without_a_limit_the_machine_is_the_limit(models, begins, ops_fit, monkeypatch):
    for room, error in ((LISTS - 1, MemoryError), (LISTS, BegunError), (None, BegunError)):
        monkeypatch.setattr(_fit, "available", lambda room=room: room)
        with pytest.raises(error):
            compared(models, [("mutual_knn", {"k": 10})])


class Asked:
    """Tells of every op that it takes what it is told."""

    def __init__(self, takes, max_memory=1000):
        self.takes, self.max_memory, self.sizes = takes, max_memory, {}

    def least_memory(self, op, n_samples, **sizes):
        assert n_samples == N
        self.sizes[op] = sizes
        return self.takes.get(op, 0)


ALL_OPS = {
    "knn_exact": ("mutual_knn", {"k": 10}),
    "rank_counts": ("information_imbalance", {"k": 10}),
    "joint_nearest": ("id_correlation", {"permutations": 0}),
    "moments": "cka",
    "pair_terms": "distance_correlation",
}


@pytest.fixture
def asked_of(models, monkeypatch):
    """Return what every op was asked, by a backend that tells of each what it takes."""

    def of(takes, asked, **how):
        ops = Asked(takes)
        monkeypatch.setattr(
            compare_module, "terms_of", lambda *a, **k: replace(terms_of(*a, **k), ops=ops)
        )
        with pytest.raises((BegunError, MemoryError)) as caught:
            cs.compare(models, asked, intervals=None, **how)
        return ops.sizes, caught

    return of


@pytest.mark.parametrize("op", ALL_OPS)
def test_an_op_that_cannot_fit_is_refused_before_any_work(begins, asked_of, op):
    how = {"rows": 50} if op == "rank_counts" else {}
    _, caught = asked_of({}, [ALL_OPS[op]], **how)
    assert caught.type is BegunError
    _, caught = asked_of({op: 1001}, [ALL_OPS[op]], **how)
    assert caught.type is MemoryError
    assert caught.match(rf"{op} of .*{N} samples.* MiB at least.*raise `max_memory` to 2097152")


def test_ops_are_asked_with_the_sizes_they_will_have(begins, asked_of):
    sizes, _ = asked_of({}, list(ALL_OPS.values()), rows=50)
    assert sizes["knn_exact"] == {"widths": [8], "itemsize": 8, "n_rows": 50, "k": 10}
    assert sizes["rank_counts"] == {"widths": [8], "itemsize": 8, "n_lists": 4, "k": 10}
    assert sizes["joint_nearest"]["widths"] == [5, 6, 7, 8]
    assert sizes["joint_nearest"]["n_pairs"] == 10
    assert sizes["joint_nearest"]["n_rows"] == 50
    assert sizes["pair_rows"] == {"widths": [5, 6, 7, 8], "n_channels": 4, "n_pairs": 10}
    sizes, _ = asked_of({}, list(ALL_OPS.values()))
    assert sizes["rank_matrix"] == {"widths": [8], "itemsize": 8}


def test_ranks_of_all_rows_say_what_would_do(begins, asked_of):
    _, caught = asked_of({"rank_matrix": 1001}, [ALL_OPS["rank_counts"]])
    assert caught.match("rank_counts of all rows of `m3`.*or give `rows`, a sample of them")


def test_the_least_that_is_told_is_enough(rng):
    X = rng.standard_normal((3000, 30))
    Y = rng.standard_normal((3000, 8)).astype(np.float32)
    rows = np.arange(7)

    def graph(ops):
        return ops.knn_exact(X, k=5, distance="l2", rows=rows)

    lists = graph(native())
    works = {
        "knn_exact": (graph, {"widths": [30], "itemsize": 8, "n_rows": 7, "k": 5}),
        "joint_nearest": (
            lambda ops: ops.joint_nearest([X, Y.astype(float)], [(0, 1), (1, 1)]),
            {"widths": [30, 8], "itemsize": 8, "n_pairs": 2},
        ),
        "rank_counts": (
            lambda ops: ops.rank_counts(X, [lists], [5], rows=rows),
            {"widths": [30], "itemsize": 8, "n_lists": 1, "k": 5},
        ),
        "rank_matrix": (
            lambda ops: ops.rank_counts(X, [native().knn_exact(X, k=2, distance="l2")], [2],
                                        sample=rows),
            {"widths": [30], "itemsize": 8, "k": 2},
        ),
        "moments": (lambda ops: list(ops.moments([X, Y], [(0, 1)])), {"widths": [30, 8]}),
        "pair_terms": (
            lambda ops: ops.pair_terms([Channel(X), Channel(Y)]),
            {"widths": [30, 8], "n_channels": 2},
        ),
        "pair_rows": (
            lambda ops: ops.pair_rows([Channel(X), Channel(Y)], [(0, 1)], rows),
            {"widths": [30, 8], "n_channels": 2, "n_pairs": 1},
        ),
    }  # fmt: skip
    for op, (work, sizes) in works.items():
        least = native(n_threads=1).least_memory(op, 3000, **sizes)
        work(native(n_threads=1, max_memory=least))
        with pytest.raises(MemoryError):
            work(native(n_threads=1, max_memory=least - 1))


def test_a_machine_tells_what_it_has():
    found = _fit.available()
    assert found is None or found > 1 << 20


def test_a_study_that_cannot_fit_is_refused_and_runs_with_more(models, tmp_path):
    given = []
    for name, rows in models.items():
        ids = [f"s{i}" for i in range(N)]
        store.write(tmp_path / name, [(ids, rows)], model=name, dataset={})
        given.append({"name": name, "store": str(tmp_path / name)})
    part = {"models": given, "metrics": [{"mutual_knn": {"k": 10}}], "analyses": []}
    plan = StudyPlan.from_mapping({"title": "t", "parts": {"p": part}})
    with pytest.raises(MemoryError, match="a smaller k would fit"):
        run_study(plan, tmp_path / "study", report=False, max_memory="100 KB")
    assert not (tmp_path / "study" / "p.part.json").exists()
    done = run_study(plan, tmp_path / "study", report=False, max_memory="1 GiB")
    assert done.part().matrix.n_samples == N


def test_neighbor_lists_are_of_the_width_counted(rng):
    indices, distances = cs.neighbors(rng.standard_normal((50, 4)), k=7)
    assert indices.nbytes + distances.nbytes == 50 * 7 * _fit.LISTED
    assert indices.dtype == np.int64
