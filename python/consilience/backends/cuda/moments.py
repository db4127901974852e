"""Cross-moments: rows about a shift in float64, a block at a time, and cuBLAS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from consilience.backends.cuda._device import Buffer, Device
from consilience.backends.cuda._rows import WARPS, Rows, is_double
from consilience.terms import Floats, Moments

# Rows of a product: enough to hide what starting one costs, few enough to stream from the host.
FEWEST_ROWS, MOST_ROWS = 4096, 65_536
# Host rows further than this from their sample's mean are as well about another shift.
SAMPLED_ROWS = 4096


def moments(
    device: Device, sets: Sequence[Any], pairs: Sequence[tuple[int, int]], max_memory: int
) -> Iterator[Moments]:
    """Yield the moments of the pairs; see backends.base.Backend.

    Sets on the host are brought over a block of rows at a time: they may be larger than the GPU.
    """
    n = sets[0].shape[0]
    widths = [X.shape[1] + 2 for X in sets]
    for batch in _batches(widths, pairs, n, max_memory):
        yield from _of_batch(device, sets, widths, batch, max_memory)


def _batches(
    widths: Sequence[int], pairs: Sequence[tuple[int, int]], n: int, max_memory: int
) -> Iterator[list[tuple[int, int]]]:
    """Yield the pairs in their order, as many at a time as leave half of the memory to rows."""
    batch: list[tuple[int, int]] = []
    for pair in pairs:
        if batch and _result_bytes(widths, [*batch, pair]) > max_memory // 2:
            yield batch
            batch = []
        batch.append(pair)
        used = sum(widths[m] for m in set(pair))
        needed = _result_bytes(widths, [pair]) + 16 * used * min(n, FEWEST_ROWS)
        if needed > max_memory:
            raise MemoryError(
                f"moments needs {needed / 2**20:.0f} MiB of the GPU at least, and may use "
                f"{max_memory / 2**20:.0f} MiB; raise `max_memory` or use device='cpu'"
            )
    yield batch


def _result_bytes(widths: Sequence[int], pairs: Sequence[tuple[int, int]]) -> int:
    """Return the bytes of the products of the pairs, runs being as long as those asked for."""
    return 8 * sum(widths[a] * widths[b] for a, b in {(min(p), max(p)) for p in pairs})


def _of_batch(
    device: Device,
    sets: Sequence[Any],
    widths: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    max_memory: int,
) -> Iterator[Moments]:
    used = sorted({m for pair in pairs for m in pair})
    starts = dict(zip(used, accumulate((widths[m] for m in used), initial=0), strict=False))
    width = sum(widths[m] for m in used)
    n = sets[0].shape[0]
    left = max_memory - _result_bytes(widths, pairs)
    # Rows of all sets, and once more as a host's are on their way.
    height = max(1, min(n, MOST_ROWS, max(FEWEST_ROWS, left // (16 * width))))
    shifts = {m: _shift(device, sets[m]) for m in used}
    on_device = {m: device.from_host(shifts[m]) for m in used}
    runs = _runs(used, {(min(pair), max(pair)) for pair in pairs})
    sums = {
        run: device.zeros((widths[run[0]], sum(widths[b] for b in run[1])), np.float64)
        for run in runs
    }
    Z = device.empty((height, width), np.float64)
    for first in range(0, n, height):
        count = min(height, n - first)
        for m in used:
            X = _rows(device, sets[m], first, first + count)
            device.launch(
                "augment_rows",
                -(-count // WARPS),
                256,
                X,
                count,
                X.shape[1],
                is_double(X),
                on_device[m],
                width,
                starts[m],
                Z,
            )
        for (a, others), total in sums.items():
            device.gemm(
                Z.at(starts[a]),
                Z.at(starts[others[0]]),
                total.pointer,
                m=widths[a],
                n=total.shape[1],
                k=count,
                transpose_a=True,
                lda=width,
                ldb=width,
                ldc=total.shape[1],
                beta=1.0,
            )
    at_home: dict[tuple[int, int], Floats] = {}
    for (a, others), total in sums.items():
        matrix = device.to_host(total)
        ends = accumulate(widths[b] for b in others)
        for b, end in zip(others, ends, strict=True):
            at_home[a, b] = matrix[:, end - widths[b] : end]
    for a, b in pairs:
        matrix = at_home[a, b] if a <= b else at_home[b, a].T
        if a == b:  # exactly symmetric, which products need not be
            matrix = (matrix + matrix.T) / 2.0
        yield Moments(np.ascontiguousarray(matrix), shifts[a], shifts[b])


def _runs(
    used: Sequence[int], pairs: set[tuple[int, int]]
) -> list[tuple[int, tuple[int, ...]]]:
    """Return (a, others): neighbours among the sets in use that a is to be multiplied with."""
    runs = []
    for a in used:
        run: list[int] = []
        for b in used:
            if (a, b) in pairs:
                run.append(b)
            elif run:
                runs.append((a, tuple(run)))
                run = []
        if run:
            runs.append((a, tuple(run)))
    return runs


def _shift(device: Device, X: Any) -> Floats:
    """Return the column means, or of rows on the host those of a seeded sample."""
    if isinstance(X, Buffer):
        return Rows.of(device, X).mean
    rows = X
    if len(X) > 2 * SAMPLED_ROWS:
        chosen = np.random.default_rng(0).choice(len(X), SAMPLED_ROWS, replace=False, shuffle=False)
        rows = X[chosen]
    return np.asarray(rows.mean(axis=0, dtype=np.float64))


def _rows(device: Device, X: Any, start: int, stop: int) -> Buffer:
    if isinstance(X, Buffer):
        return X.rows(start, stop)
    return device.from_host(np.ascontiguousarray(X[start:stop]))
