"""Sums over pairs of some rows and all samples, kept apart: csrc/cuda/pair_rows.cuh.

Stripes of the rows are held against all columns: cuBLAS makes the products of a set, from which the
values of its channels follow; pairs of channels are multiplied row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consilience.backends.base import Channel, RowTable, reference_rows
from consilience.backends.cuda._device import (
    THREADS,
    WARPS,
    Buffer,
    Device,
    blocks,
    require_memory,
)
from consilience.backends.cuda._squares import CenteredRows, centered_bytes, centered_rows
from consilience.backends.cuda.pair_terms import FUNCTIONS
from consilience.terms import Floats, Indices

MOST_ROWS = 2048  # of a stripe, enough for cuBLAS


def pair_rows(
    device: Device,
    channels: Sequence[Channel],
    pairs: Sequence[tuple[int, int]],
    rows: Indices,
    max_memory: int,
) -> RowTable:
    """Return the sums of these rows, for pairs of channels."""
    fixed, per_row = needed_bytes(channels, pairs)
    require_memory("pair_rows", fixed + per_row, max_memory)
    height = min(len(rows), MOST_ROWS, (max_memory - fixed) // per_row)
    sweep = _Sweep(device, channels, pairs, height)
    at_zero = np.array([channel.at_zero for channel in channels])
    places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return RowTable.joined(
        [
            RowTable(
                len(channels[0].X), *sweep.sums(rows[first : first + height]), places, at_zero
            )
            for first in range(0, len(rows), height)
        ]
    )


def needed_bytes(
    channels: Sequence[Channel], pairs: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Return the bytes of what is made of all samples, and of a stripe of one row."""
    n, n_channels = len(channels[0].X), len(channels)
    sets = {id(channel.X): channel.X for channel in channels}
    fixed = sum(map(centered_bytes, sets.values())) + 8 * n * n_channels
    fixed += 8 * n * len(reference_rows(n)) + 16 * len(pairs)
    widest = max(X.shape[1] for X in sets.values())
    per_row = n * (n_channels + 1) + n_channels * (blocks(n) + 1) + len(pairs) + widest + 2
    return fixed, 8 * per_row


class _Sweep:
    """All sets on the device, the offsets of all samples, and the room that a stripe takes."""

    def __init__(
        self,
        device: Device,
        channels: Sequence[Channel],
        pairs: Sequence[tuple[int, int]],
        height: int,
    ) -> None:
        self._device, self._channels = device, channels
        made = {id(channel.X): None for channel in channels}
        by_id = {id(channel.X): channel.X for channel in channels}
        sets = {key: centered_rows(device, by_id[key]) for key in made}
        self._sets = [sets[id(channel.X)] for channel in channels]
        n, count = len(channels[0].X), len(channels)
        self._pairs = device.from_host(np.array(pairs, np.int64).reshape(-1))
        self._n_pairs = len(pairs)
        self._offsets = np.empty((count, n))
        self._on_device = self._find_offsets()
        self._squares = device.empty((height * n,), np.float64)
        self._values = device.empty((count * height * n,), np.float64)
        self._parts = device.empty((count * blocks(n) * height,), np.float64)
        self._products = device.empty((len(pairs) * height,), np.float64)

    def sums(self, rows: Indices) -> tuple[Floats, Floats, Floats]:
        """Return row sums, products and offsets of a stripe."""
        device, n = self._device, len(self._channels[0].X)
        height, count = len(rows), len(self._channels)
        queries = device.from_host(np.ascontiguousarray(rows, np.int64))
        for X, own in self._members():
            centered, _ = X.some(device, rows)
            X.multiply(device, centered.pointer, height, self._squares.pointer)
            for c in own:
                self._add_values(c, X, queries, height, first=c == own[0], alone=len(own) == 1)
        row_sums = device.zeros((count, height), np.float64)
        grid = (blocks(height), count)
        device.launch("add_parts", grid, THREADS, self._parts, blocks(n), height, row_sums, height)
        device.launch(
            "row_products",
            (self._n_pairs, height),
            THREADS,
            self._values,
            self._pairs,
            height,
            n,
            self._products,
        )
        products = _slice(self._products, self._n_pairs * height).reshaped(self._n_pairs, height)
        return device.to_host(row_sums), device.to_host(products), self._offsets[:, rows]

    def _members(self) -> list[tuple[CenteredRows, list[int]]]:
        """Return each set with its channels."""
        made: list[tuple[CenteredRows, list[int]]] = []
        for c, X in enumerate(self._sets):
            for other, own in made:
                if other is X:
                    own.append(c)
                    break
            else:
                made.append((X, [c]))
        return made

    def _find_offsets(self) -> Buffer:
        """Write each sample's mean over the references, less half of their own."""
        device, n = self._device, len(self._channels[0].X)
        chosen = reference_rows(n)
        references = device.from_host(chosen)
        products = device.empty((n, len(chosen)), np.float64)
        means = device.empty((n,), np.float64)
        for X, own in self._members():
            d = X.shape[1]
            rows, _ = X.some(device, chosen)
            device.gemm(
                X.rows.pointer,
                rows.pointer,
                products.pointer,
                m=n,
                n=len(chosen),
                k=d,
                transpose_b=True,
                lda=d,
                ldb=d,
                ldc=len(chosen),
                alpha=-2.0,
            )
            for c in own:
                channel = self._channels[c]
                device.launch(
                    "reference_means",
                    blocks(n, WARPS),
                    THREADS,
                    products,
                    X.X,
                    n,
                    d,
                    X.X.is_double,
                    X.norms,
                    references,
                    len(chosen),
                    FUNCTIONS[channel.function],
                    float(channel.gamma),
                    means,
                )
                found: Floats = device.to_host(means)
                self._offsets[c] = found - 0.5 * float(found[chosen].mean())
        return device.from_host(self._offsets)

    def _add_values(
        self, c: int, X: CenteredRows, queries: Buffer, height: int, *, first: bool, alone: bool
    ) -> None:
        """Write the values of a channel of a set, whose squares are made once."""
        n, d = X.shape
        channel = self._channels[c]
        self._device.launch(
            "row_values",
            (blocks(n), height),
            THREADS,
            self._squares,
            int(not first),
            int(not alone),
            X.X,
            n,
            d,
            X.X.is_double,
            X.norms,
            queries,
            height,
            FUNCTIONS[channel.function],
            float(channel.gamma),
            self._on_device.rows(c, c + 1),
            _slice(self._values, height * n, c * height * n),
            _slice(self._parts, blocks(n) * height, c * blocks(n) * height),
        )


def _slice(buffer: Buffer, size: int, start: int = 0) -> Buffer:
    return Buffer(buffer.at(start), (size,), buffer.dtype, buffer.owner)
