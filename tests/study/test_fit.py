"""What cannot fit into memory is refused before any work, and what would fit is told."""

import re

import numpy as np
import pytest

import consilience as cs
from consilience import store
from consilience.study import _fit
from consilience.study import compare as compare_module
from consilience.study.plan import StudyPlan
from consilience.study.run import run_study

N = 400


class BegunError(Exception):
    """Work began."""


@pytest.fixture
def begins(monkeypatch):
    def do_work(*arguments, **options):
        raise BegunError

    monkeypatch.setattr(compare_module, "do_work", do_work)


@pytest.fixture
def models(rng):
    return {f"m{i}": rng.standard_normal((N, 5 + i)) for i in range(4)}


def compared(models, asked, **how):
    return cs.compare(models, asked, null=None, intervals=None, **how)


LISTS = 4 * N * 10 * 16  # four models, ten neighbours, an index and a distance


def test_lists_that_cannot_fit_are_refused_before_any_work(models, begins):
    asked = [("mutual_knn", {"k": 10}), ("mutual_knn", {"k": 3})]
    with pytest.raises(BegunError):
        compared(models, asked, max_memory=LISTS)
    with pytest.raises(MemoryError, match="4 models of 400 samples: neighbour lists take"):
        compared(models, asked, max_memory=LISTS - 1)


def test_what_is_told_to_fit_fits(models, begins):
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


def test_moments_count_once_a_pair(models, begins):
    dims = [X.shape[1] for X in models.values()]
    needed = 8 * sum(a * b for i, a in enumerate(dims) for b in dims[i:])
    with pytest.raises(BegunError):
        compared(models, ["cka"], max_memory=needed)
    with pytest.raises(MemoryError, match="compare fewer or narrower models"):
        compared(models, ["cka"], max_memory=needed - 1)


def test_without_a_limit_the_machine_is_the_limit(models, begins, monkeypatch):
    for room, error in ((LISTS - 1, MemoryError), (LISTS, BegunError), (None, BegunError)):
        monkeypatch.setattr(_fit, "available", lambda room=room: room)
        with pytest.raises(error):
            compared(models, [("mutual_knn", {"k": 10})])


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
