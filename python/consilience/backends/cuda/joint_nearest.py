"""The two nearest in the joint space of each pair of sets: csrc/cuda/joint_nearest.cuh.

A stripe's squares of all sets are in memory at once. A warp owns a unit, the pairs of four sets
with four others; units that share sets lie in one block. Whoever the squares name is measured from
differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.backends.cuda._device import (
    THREADS,
    WARPS,
    Buffer,
    Device,
    blocks,
    require_memory,
)
from consilience.backends.cuda._squares import CenteredRows, centered_bytes, centered_rows
from consilience.terms import Floats, Indices

SIDE = 4
# Enough for cuBLAS; a row of all sets at a time is what should stay in cache.
MOST_ROWS = 1024


@dataclass(frozen=True)
class Plan:
    """Which sets are looked at together.

    used : the sets that pairs name, ascending; places below count these
    units : (n_units, 2), the first of four sets and the first of four others
    pairs : (n_pairs, 3), two sets and the place of their pair among those of all units
    """

    used: list[int]
    units: Indices
    pairs: Indices

    def row_bytes(self, n: int) -> int:
        """Return the bytes that a row of a stripe takes."""
        return 8 * (len(self.used) * n + SIDE * SIDE * len(self.units) + 2 * len(self.pairs))


def joint_nearest(
    device: Device,
    sets: Sequence[Any],
    pairs: Sequence[tuple[int, int]],
    max_memory: int,
    *,
    rows: Indices | None = None,
) -> Floats:
    """Return the two nearest distances in each pair's joint space, (n_pairs, n_rows, 2)."""
    n = len(sets[0]) if rows is None else len(rows)
    plan = plan_of(pairs)
    fixed, per_row = needed_bytes(sets, plan)
    require_memory("joint_nearest", fixed + per_row, max_memory)
    height = min(n, MOST_ROWS, (max_memory - fixed) // per_row)

    centered = [centered_rows(device, sets[s]) for s in plan.used]
    stripes = _Stripes(device, centered, plan, height)
    out = np.empty((len(pairs), n, 2))
    for first in range(0, n, height):
        stop = min(n, first + height)
        some = None if rows is None else rows[first:stop]
        out[:, first:stop] = stripes.distances(first, stop - first, some)
    return out


def plan_of(pairs: Sequence[tuple[int, int]]) -> Plan:
    """Return the units that hold all pairs, neighbours sharing sets."""
    used = sorted({s for pair in pairs for s in pair})
    place = {s: t for t, s in enumerate(used)}
    ordered = [tuple(sorted((place[a], place[b]))) for a, b in pairs]
    blocks_of = {(a // SIDE, b // SIDE) for a, b in ordered}
    # Eight warps to a block: four by two units of it.
    units = sorted(blocks_of, key=lambda unit: (unit[0] // 4, unit[1] // 2, unit))
    at = {unit: u for u, unit in enumerate(units)}
    rows = [
        (a, b, (at[a // SIDE, b // SIDE] * SIDE + a % SIDE) * SIDE + b % SIDE) for a, b in ordered
    ]
    return Plan(used, SIDE * np.array(units, np.int64), np.array(rows, np.int64))


def needed_bytes(sets: Sequence[Any], plan: Plan) -> tuple[int, int]:
    """Return the bytes of what is made of all rows, and of a stripe of one row."""
    fixed = sum(centered_bytes(sets[s]) for s in plan.used)
    return fixed + plan.units.nbytes + plan.pairs.nbytes, plan.row_bytes(len(sets[0]))


class _Stripes:
    """The room that a stripe takes."""

    def __init__(
        self, device: Device, sets: Sequence[CenteredRows], plan: Plan, height: int
    ) -> None:
        self._device, self._sets, self._plan = device, sets, plan
        n = sets[0].shape[0]
        told = [(X.X.pointer, X.shape[1], X.X.is_double) for X in sets]
        self._told = device.from_host(np.array(told, np.int64))
        self._units, self._pairs = device.from_host(plan.units), device.from_host(plan.pairs)
        self._squares = device.empty((len(sets), height, n), np.float64)
        self._found = device.empty((len(plan.units), SIDE * SIDE, height, 2), np.int32)
        self._out = device.empty((len(plan.pairs), height, 2), np.float64)

    def distances(self, first: int, height: int, rows: Indices | None) -> Floats:
        """Return those of a stripe of rows, or of these, (n_pairs, height, 2)."""
        launch = self._device.launch
        n = self._sets[0].shape[0]
        for t, X in enumerate(self._sets):
            self._write_squares(X, first, height, rows, self._squares.at(t * height * n))
        queries = self._queries(rows)
        n_units = len(self._plan.units)
        warps = min(WARPS, n_units)
        launch(
            "joint_candidates",
            (blocks(n_units, warps), height),
            32 * warps,
            self._squares,
            len(self._sets),
            height,
            n,
            self._units,
            n_units,
            self._found,
        )
        out = self._out.reshaped(len(self._plan.pairs), height, 2)
        grid = (len(self._plan.pairs), blocks(height, WARPS))
        launch(
            "joint_distances",
            grid,
            THREADS,
            self._told,
            self._pairs,
            self._found,
            queries,
            first,
            height,
            out,
        )
        found: Floats = self._device.to_host(out)
        return found

    def _queries(self, rows: Indices | None) -> Buffer | None:
        if rows is None:
            return None
        return self._device.from_host(np.ascontiguousarray(rows, np.int64))

    def _write_squares(
        self, X: CenteredRows, first: int, height: int, rows: Indices | None, to: int
    ) -> None:
        n, d = X.shape
        some = None if rows is None else X.some(self._device, rows)[0]
        source = X.rows.at(first * d) if some is None else some.pointer
        X.multiply(self._device, source, height, to)
        tile = Buffer(to, (height, n), self._squares.dtype, self._squares.owner)
        self._device.launch(
            "complete_squares",
            (blocks(n), height),
            THREADS,
            tile,
            X.X,
            n,
            d,
            X.X.is_double,
            X.norms,
            self._queries(rows),
            first,
        )
