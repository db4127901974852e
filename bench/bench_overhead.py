"""What a call costs beside its kernels: every metric at n = 100.

Overhead is the time of a call less the time inside the kernels it called. NumPy's own arithmetic
(normalising, decomposing) counts as overhead; what LAPACK has of it is said beside it.
`python bench/bench_overhead.py` prints the table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import consilience as cs
from consilience import _core
from consilience.metrics import METRICS

N, WIDTHS = 100, (8, 64)
# Draws permutations for its p-value, a call of which is a hundred scores.
MANY_SCORES = {"id_correlation"}
CALLS = sorted(set(METRICS) - MANY_SCORES)
DTYPES = (np.float32, np.float64)
TARGET_US = 100.0
PASSES = 24


def sets(d, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, d))
    return X.astype(dtype), (X + rng.standard_normal((N, d))).astype(dtype)


def call(name, d, dtype, **run):
    X, Y = sets(d, dtype)
    arrays = (X,) if METRICS[name].kind == "single" else (X, Y)
    function = getattr(cs, name)
    return lambda: function(*arrays, **run)


@contextmanager
def calls_timed(owner: Any, names: Iterable[str]) -> Iterator[list[float]]:
    """Yield a list that grows by the seconds of every call of these functions of a module."""
    seconds: list[float] = []

    def timed(function):
        def run(*args, **options):
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                seconds.append(time.perf_counter() - start)

        return run

    kept = {name: getattr(owner, name) for name in names}
    try:
        for name, function in kept.items():
            setattr(owner, name, timed(function))
        yield seconds
    finally:
        for name, function in kept.items():
            setattr(owner, name, function)


def kernels() -> list[str]:
    public = (name for name in dir(_core) if not name.startswith("_"))
    return [name for name in public if callable(getattr(_core, name))]


def measured(run, rounds):
    """Return the least total and overhead of so many calls, in microseconds, and LAPACK's part."""
    run()
    totals, overheads = [], []
    with (
        calls_timed(_core, kernels()) as inside,
        calls_timed(np.linalg, ("eigh", "svd")) as lapack,
    ):
        for _ in range(rounds):
            inside.clear()
            lapack.clear()
            start = time.perf_counter()
            run()
            totals.append(time.perf_counter() - start)
            overheads.append((totals[-1] - sum(inside), sum(lapack)))
    overhead, decomposing = min(overheads)
    return 1e6 * min(totals), 1e6 * overhead, 1e6 * decomposing


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("name", CALLS)
def test_ours(name, d, dtype, timed, quick):
    run = call(name, d, dtype)
    _, overhead, _ = measured(run, 3 if quick else 200)
    found = timed(
        "ours",
        f"overhead {name} n={N} d={d} {np.dtype(dtype).name}",
        run,
        rounds=200,
        overhead_us=overhead,
        target_us=TARGET_US,
    )
    expected = call(name, d, dtype, backend="array")()
    assert found == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-9)


def main() -> None:
    """Print the least of several passes, as a busy machine spoils many rounds in a row."""
    cases = [(d, dtype) for d in WIDTHS for dtype in DTYPES]
    best = {}
    for _ in range(PASSES):
        for name in CALLS:
            for case in cases:
                found = measured(call(name, *case), 100)
                total, overhead, lapack = best.get((name, case), found)
                least = min((overhead, lapack), found[1:])
                best[name, case] = (min(total, found[0]), *least)
    heads = [f"d = {d}, {np.dtype(dtype).name}" for d, dtype in cases]
    print(f"| metric | {' | '.join(heads)} |\n| --- |{' --- |' * len(cases)}")
    for name in CALLS:
        row = " | ".join(cell(*best[name, case]) for case in cases)
        print(f"| `{name}` | {row} |")


def cell(total, overhead, lapack):
    of_it = f" ({lapack:.0f})" if lapack else ""
    return f"{total:.0f}, {overhead:.0f}{of_it} µs"


if __name__ == "__main__":
    main()
