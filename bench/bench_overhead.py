"""What a call costs beside its kernels: every metric at n = 100.

Overhead is the time of a call less the time inside the kernels it called. NumPy's own arithmetic
(normalising, decomposing) counts as overhead. `python bench/bench_overhead.py` prints the table.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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
def kernels_timed() -> Iterator[list[float]]:
    """Yield a list that grows by the seconds of every call of a kernel."""
    seconds: list[float] = []

    def timed(kernel):
        def run(*args, **options):
            start = time.perf_counter()
            try:
                return kernel(*args, **options)
            finally:
                seconds.append(time.perf_counter() - start)

        return run

    kept = {name: getattr(_core, name) for name in dir(_core) if not name.startswith("_")}
    try:
        for name, kernel in kept.items():
            if callable(kernel):
                setattr(_core, name, timed(kernel))
        yield seconds
    finally:
        for name, kernel in kept.items():
            setattr(_core, name, kernel)


def measured(run, rounds):
    """Return the least total and overhead of so many calls, in microseconds."""
    run()
    totals, overheads = [], []
    with kernels_timed() as kernels:
        for _ in range(rounds):
            kernels.clear()
            start = time.perf_counter()
            run()
            totals.append(time.perf_counter() - start)
            overheads.append(totals[-1] - sum(kernels))
    return 1e6 * min(totals), 1e6 * min(overheads)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("name", CALLS)
def test_ours(name, d, dtype, timed, quick):
    run = call(name, d, dtype)
    _, overhead = measured(run, 3 if quick else 200)
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
    print("| metric | d = 8: call, overhead | d = 64: call, overhead |\n| --- | --- | --- |")
    for name in CALLS:
        cells = [measured(call(name, d, np.float32), 400) for d in WIDTHS]
        row = " | ".join(f"{total:.0f}, {overhead:.0f} µs" for total, overhead in cells)
        print(f"| `{name}` | {row} |")


if __name__ == "__main__":
    main()
