"""What tasks cost: a plan in this process, and the same one on Dask with one and two workers.

And what overlapping steps are worth to two workers. Nine minutes on two cores. docs/scaling.md is
made of it (scripts/scaling_model.py).
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workloads import dense_neighbors, dense_squares, some_rows

import consilience as cs
from consilience import store
from consilience.backends import Channel, select
from consilience.backends.striped import StripedBackend
from consilience.study.cluster import client_of
from consilience.terms import Graph

pytest.importorskip("distributed", reason="Dask is not installed")

D, K = 256, 25
SEARCHED, STRIPE = 65_536, 8_192
RANKED = 30_000
SUMMED = 200_000
PAIRED = 30_000
# A comparison of several models by two workers.
MODELS, COMPARED, WIDTH = 4, 50_000, 128
METRICS = ("cka", "cknna", ("information_imbalance", {"k": 4}), "distance_correlation")
ABREAST = {"steps after each other": 1, "steps overlapping": None}
# Tasks that take no time, and stripes from which what every stripe pays is told.
TINY = 60
STRIPES = (1_024, 4_096)
WORKERS = {"here": 0, "1 worker": 1, "2 workers": 2}


def rows_of(n: int) -> Any:
    """Independent features of standard deviation f^-0.7, f = 1 ... d."""
    X = np.random.default_rng(5).standard_normal((n, D), dtype=np.float32)
    return X * np.arange(1, D + 1, dtype=np.float32) ** np.float32(-0.7)


def ready() -> None:
    """Import what a worker's first task would."""
    X = np.zeros((9, 3))
    X[0] = 1.0
    select("native", [X]).knn_exact(X, k=2, distance="l2")


def searched(ops: Any, X: Any) -> Any:
    return ops.knn_exact(X, k=K, distance="l2")


def ranked(ops: Any, X: Any) -> Any:
    n, k = len(X), 10
    rng = np.random.default_rng(0)
    lists = (np.arange(n)[:, None] + 1 + np.sort(rng.permutation(n - 1)[:k])) % n
    return ops.rank_counts(X, [Graph(lists, np.zeros(lists.shape))], [k])


def summed(ops: Any, X: Any) -> Any:
    return list(ops.moments([X, X[:, ::-1].copy()], [(0, 0), (0, 1), (1, 1)]))


def paired(ops: Any, X: Any) -> Any:
    return ops.pair_terms([Channel(X)])


def check_pairs(found: Any, X: Any) -> None:
    rows = some_rows(len(X), 8)
    squares = dense_squares(X, rows)
    expected = np.sqrt(squares, where=np.isfinite(squares), out=np.zeros_like(squares)).sum(axis=1)
    sums = found.pair(0, 0).without_offsets().rows_a[rows]
    np.testing.assert_allclose(sums, expected, rtol=1e-4)


def check_search(found: Graph, X: Any) -> None:
    rows = some_rows(len(X), 32)
    expected, _ = dense_neighbors(X, rows, K)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found.indices[rows], expected, strict=True)]
    assert np.mean(shared) == K


def check_ranks(found: Any, X: Any) -> None:
    assert found.sums.shape == (1, len(X), 1)
    assert 10 <= found.sums.min() <= found.sums.max() <= 10 * len(X)


def check_sums(found: Any, X: Any) -> None:
    assert found[0].n_samples == len(X)
    centred = X[:, :9].astype(np.float64) - X[:, :9].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(
        found[0].centered().xy[:9, :9], centred.T @ centred, rtol=1e-9, atol=1e-6
    )


# op -> (n, rows of a stripe, call, check)
OPS = {
    "knn_exact": (SEARCHED, STRIPE, searched, check_search),
    "rank_counts": (RANKED, 5_000, ranked, check_ranks),
    "moments": (SUMMED, 50_000, summed, check_sums),
    "pair_terms": (PAIRED, 5_000, paired, check_pairs),
}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("results/*.json"))]


def facts_of(folder: Path) -> dict[str, Any]:
    """What the tasks say of themselves."""
    found = records(folder)
    return {
        "n_tasks": len(found),
        "task_s": round(statistics.median(one["seconds"] for one in found), 4),
        "tasks_s": round(sum(one["seconds"] for one in found), 4),
        "task_bytes": round(statistics.median(one["bytes"] for one in found)),
    }


@pytest.mark.parametrize("who", WORKERS)
@pytest.mark.parametrize("op", OPS)
def test_ours(op, who, timed, native, quick, tmp_path):
    n, stripe, call, check = OPS[op]
    if quick:
        n, stripe = 1_000, 300
    X = rows_of(n)
    later: dict[str, Any] = {}
    with client_of(local=WORKERS[who] or None) as client:
        if client is not None:
            client.run(ready)
        ops = StripedBackend(native(1), client, tmp_path, stripe_rows=stripe)
        group = f"scaling out {op} n={n} d={D}"
        facts = {"program": f"tasks, {who}", "op": op, "n": n, "workers": WORKERS[who] or 1}
        answer = timed(
            "ours", group, lambda: call(ops, X), rounds=1, warmup=False, later=later, **facts
        )
        later.update(facts_of(tmp_path))
        ops.close()
    check(answer, X)


@pytest.mark.parametrize("op", OPS)
def test_whole(op, timed, native, quick):
    """The same op uncut: symmetric sweeps make each tile once."""
    n, _, call, check = OPS[op]
    X = rows_of(1_000 if quick else n)
    group = f"scaling out {op} n={len(X)} d={D}"
    facts = {"program": "uncut", "op": op, "n": len(X), "workers": 1}
    check(timed("ours", group, lambda: call(native(1), X), rounds=1, warmup=False, **facts), X)


@pytest.mark.parametrize("stripe", STRIPES)
def test_stripe(stripe, timed, native, quick):
    """Two stripes tell what each pays for itself from what it pays for its rows."""
    n = 4_200 if quick else SEARCHED
    X, rows = rows_of(n), np.arange(stripe)
    answer = timed(
        "ours",
        f"a stripe of knn_exact n={n} d={D}",
        lambda: native(1).knn_exact(X, k=K, distance="l2", rows=rows),
        rounds=3,
        program=f"{stripe} rows",
        n=n,
        rows=stripe,
    )
    check_rows = Graph(answer.indices, answer.distances)
    expected, _ = dense_neighbors(X, rows[:8], K)
    assert all(
        len(np.intersect1d(a, b)) == K
        for a, b in zip(check_rows.indices[:8], expected, strict=True)
    )


@pytest.mark.parametrize("who", WORKERS)
def test_overhead(who, timed, native, quick, tmp_path):
    """Tasks of no length: what one costs to hand over, to write and to read."""
    X = rows_of(2 * (5 if quick else TINY))
    later: dict[str, Any] = {}
    with client_of(local=WORKERS[who] or None) as client:
        if client is not None:
            client.run(ready)
        ops = StripedBackend(native(1), client, tmp_path, stripe_rows=2)
        answer = timed(
            "ours",
            "overhead of tasks",
            lambda: ops.knn_exact(X, k=3, distance="l2"),
            rounds=1,
            warmup=False,
            later=later,
            program=f"tasks, {who}",
            workers=WORKERS[who] or 1,
        )
        later.update(facts_of(tmp_path))
        ops.close()
    assert answer.indices.shape == (len(X), 3)


@pytest.mark.parametrize("steps", ABREAST)
def test_comparison(steps, timed, quick, tmp_path, monkeypatch):
    """How much of two workers' time has no task: what overlapping steps are for."""
    from consilience.backends import striped

    monkeypatch.setattr(striped, "ABREAST", ABREAST[steps] or striped.ABREAST)
    n = 1_000 if quick else COMPARED
    sets = {}
    for first in range(0, D - WIDTH + 1, (D - WIDTH) // (MODELS - 1)):
        name, rows = f"from {first}", rows_of(n)[:, first : first + WIDTH].copy()
        batches = [([f"s{i}" for i in range(n)], rows)]
        store.write(tmp_path / name, batches, model=name, dataset={"name": "rows"})
        sets[name] = store.open(tmp_path / name)
    assert len(sets) == MODELS
    later: dict[str, Any] = {}
    with client_of(local=2) as client:
        client.run(ready)
        found = timed(
            "ours",
            f"a comparison of {MODELS} models n={n} d={WIDTH}, 2 workers",
            lambda: cs.compare(
                sets,
                METRICS,
                client=client,
                checkpoint=tmp_path / "kept",
                null=None,
                intervals=None,
            ),
            rounds=1,
            warmup=False,
            later=later,
            program=steps,
            n=n,
            workers=2,
        )
        if not quick:
            later.update(facts_of(tmp_path))
    assert found["distance_correlation"][0, 0] == pytest.approx(1.0)
    assert np.isfinite(found["cknna"]).all()
