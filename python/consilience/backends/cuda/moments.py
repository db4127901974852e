"""Cross-moments: rows about a shift in float64, a block at a time, and cuBLAS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from consilience.backends.cuda._device import WARPS, Buffer, Device, blocks, require_memory
from consilience.backends.cuda._rows import Rows
from consilience.terms import Floats, Moments

# Rows of a product: enough to hide what starting one costs, few enough to stream from the host.
FEWEST_ROWS, MOST_ROWS = 4096, 65_536
# Rows of a sample about whose mean those on the host are taken.
SAMPLED_ROWS = 4096
# cuBLAS makes blocks of 128 x 128 about; with too few for the multiprocessors, rows are split.
BLOCK, ENOUGH_BLOCKS, FEWEST_SPLIT = 128, 528, 2048


def moments(
    device: Device,
    sets: Sequence[Any],
    pairs: Sequence[tuple[int, int]],
    max_memory: int,
    shifts: Sequence[Floats] | None = None,
) -> Iterator[Moments]:
    """Yield the moments of the pairs; see backends.base.Backend.

    Sets on the host are brought over a block of rows at a time: they may be larger than the GPU.
    """
    for batch in _batches([X.shape[1] for X in sets], pairs, len(sets[0]), max_memory):
        yield from _Batch.of(device, sets, batch, max_memory).moments(shifts)


def _batches(
    widths: Sequence[int], pairs: Sequence[tuple[int, int]], n: int, max_memory: int
) -> Iterator[list[tuple[int, int]]]:
    """Yield the pairs in their order, as many at a time as leave half of the memory to rows."""
    batch: list[tuple[int, int]] = []
    for pair in pairs:
        if batch and _result_bytes(widths, [*batch, pair], n) > max_memory // 2:
            yield batch
            batch = []
        batch.append(pair)
        rows = _row_bytes(widths, [pair]) * min(n, FEWEST_ROWS)
        needed = _result_bytes(widths, [pair], n) + rows
        require_memory("moments", needed, max_memory, "use device='cpu'")
    yield batch


def _result_bytes(widths: Sequence[int], pairs: Sequence[tuple[int, int]], n: int) -> int:
    """Return at most so many bytes of what is summed up, in parts where these are small."""
    used = {m for pair in pairs for m in pair}
    ends = 2 * len(used)
    products = sum(widths[a] * widths[b] for a, b in {(min(pair), max(pair)) for pair in pairs})
    products += (sum(widths[m] for m in used) + ends) * ends
    in_parts = ENOUGH_BLOCKS * BLOCK**2 if n >= 2 * FEWEST_SPLIT else 0
    return 8 * (products + (len(used) + 1) * in_parts)


def _row_bytes(widths: Sequence[int], pairs: Sequence[tuple[int, int]]) -> int:
    """Return the bytes of a row of all sets, and once more as a host's are on their way."""
    return 16 * sum(widths[m] + 2 for m in {m for pair in pairs for m in pair})


def _splits(m: int, n: int, rows: int) -> int:
    """Return into how many parts rows are split so that all multiprocessors have work."""
    n_blocks = blocks(m, BLOCK) * blocks(n, BLOCK)
    return max(1, min(ENOUGH_BLOCKS // n_blocks, rows // FEWEST_SPLIT))


@dataclass(frozen=True)
class _Batch:
    """Some pairs at a time: Z = [u of all sets | |u|^2 and 1 of each], a block of rows at a time.

    With the ends apart, products have the sizes of the sets, which cuBLAS likes better.

    starts : where the features of each set in use begin;  ends : where its |u|^2 is
    """

    device: Device
    sets: Sequence[Any]
    pairs: Sequence[tuple[int, int]]
    height: int
    starts: dict[int, int]
    ends: dict[int, int]

    @classmethod
    def of(
        cls, device: Device, sets: Sequence[Any], pairs: Sequence[tuple[int, int]], max_memory: int
    ) -> _Batch:
        widths = [X.shape[1] for X in sets]
        used = sorted({m for pair in pairs for m in pair})
        starts = dict(zip(used, accumulate((widths[m] for m in used), initial=0), strict=False))
        features = sum(widths[m] for m in used)
        ends = {m: features + 2 * at for at, m in enumerate(used)}
        left = max_memory - _result_bytes(widths, pairs, len(sets[0]))
        height = max(FEWEST_ROWS, min(MOST_ROWS, left // _row_bytes(widths, pairs)))
        return cls(device, sets, pairs, min(len(sets[0]), height), starts, ends)

    @property
    def features(self) -> int:
        return min(self.ends.values())

    @property
    def width(self) -> int:
        return max(self.ends.values()) + 2

    def moments(self, given: Sequence[Floats] | None) -> Iterator[Moments]:
        device, width, features = self.device, self.width, self.features
        shifts = {
            m: _shift(device, self.sets[m]) if given is None else given[m] for m in self.starts
        }
        on_device = {m: device.from_host(shift) for m, shift in shifts.items()}
        sums = {run: self._of_run(*run) for run in self._runs()}
        n_ends = width - features
        with_ends = self._parts(width, n_ends)
        Z = device.empty((self.height, width), np.float64)
        n = len(self.sets[0])
        for first in range(0, n, self.height):
            count = min(self.height, n - first)
            for m, shift in on_device.items():
                self._augment(m, first, count, shift, Z)
            for (a, others), parts in sums.items():
                self._add(Z, self.starts[a], self.starts[others[0]], parts, count)
            self._add(Z, 0, features, with_ends, count)
        cross = {
            pair: matrix for run, parts in sums.items() for pair, matrix in self._home(run, parts)
        }
        ends = self._total(with_ends)
        for a, b in self.pairs:
            yield Moments(self._assembled(a, b, cross, ends), shifts[a], shifts[b])

    def _of_run(self, a: int, others: tuple[int, ...]) -> Buffer:
        across = sum(self.sets[b].shape[1] for b in others)
        return self._parts(self.sets[a].shape[1], across)

    def _parts(self, m: int, n: int) -> Buffer:
        """Return zeros to add products to, once for each part of the rows."""
        return self.device.zeros((_splits(m, n, self.height), m, n), np.float64)

    def _augment(self, m: int, first: int, count: int, shift: Buffer, Z: Buffer) -> None:
        X = _rows(self.device, self.sets[m], first, first + count)
        n_blocks, d = blocks(count, WARPS), X.shape[1]
        where = (self.width, self.starts[m], self.ends[m])
        self.device.launch(
            "augment_rows", n_blocks, 256, X, count, d, X.is_double, shift, *where, Z
        )

    def _add(self, Z: Buffer, left: int, right: int, parts: Buffer, count: int) -> None:
        """Add the product of columns of Z to each part, the rows left over to the first."""
        n_parts, m, n = parts.shape
        each = count // n_parts
        pieces = [(0, each, n_parts), (each * n_parts, count - each * n_parts, 1)]
        for first, k, batch in pieces:
            if k == 0:
                continue
            self.device.gemm(
                Z.at(first * self.width + left),
                Z.at(first * self.width + right),
                parts.pointer,
                m=m,
                n=n,
                k=k,
                transpose_a=True,
                lda=self.width,
                ldb=self.width,
                ldc=n,
                beta=1.0,
                batch=batch,
                strides=(k * self.width, k * self.width, m * n),
            )

    def _home(
        self, run: tuple[int, tuple[int, ...]], parts: Buffer
    ) -> Iterator[tuple[tuple[int, int], Floats]]:
        a, others = run
        matrix = self._total(parts)
        stop = 0
        for b in others:
            start, stop = stop, stop + self.sets[b].shape[1]
            yield (a, b), matrix[:, start:stop]

    def _total(self, parts: Buffer) -> Floats:
        """Return the sum of the parts at home."""
        n_parts, m, n = parts.shape
        total = self.device.zeros((m, n), np.float64)
        self.device.launch("add_parts", blocks(m * n), 256, parts, n_parts, m * n, total, 0)
        return np.asarray(self.device.to_host(total))

    def _assembled(
        self, a: int, b: int, cross: dict[tuple[int, int], Floats], ends: Floats
    ) -> Floats:
        """Return the augmented moment of a and b."""
        d_a, d_b = (self.sets[m].shape[1] for m in (a, b))
        of_a, of_b = (slice(self.ends[m] - self.features, None) for m in (a, b))
        matrix = np.empty((d_a + 2, d_b + 2))
        matrix[:d_a, :d_b] = cross[a, b] if a <= b else cross[b, a].T
        matrix[:d_a, d_b:] = ends[self.starts[a] : self.starts[a] + d_a, of_b][:, :2]
        matrix[d_a:, :d_b] = ends[self.starts[b] : self.starts[b] + d_b, of_a][:, :2].T
        matrix[d_a:, d_b:] = ends[self.ends[a] : self.ends[a] + 2, of_b][:, :2]
        if a == b:  # exactly symmetric, which products need not be
            matrix = (matrix + matrix.T) / 2.0
        return matrix

    def _runs(self) -> list[tuple[int, tuple[int, ...]]]:
        """Return (a, others): sets beside each other that a is to be multiplied with."""
        wanted = {(min(pair), max(pair)) for pair in self.pairs}
        runs = []
        for a in self.starts:
            run: list[int] = []
            for b in self.starts:
                if (a, b) in wanted:
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
