"""Sums over pairs of rows for all pairs of channels: csrc/cuda/pair_terms.cuh.

Stripes of rows are held against the columns from their first row on, so that half of all products
are made. A stripe's values, channel by channel, are long vectors: cuBLAS multiplies all pairs of
them in segments, which are summed in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from consilience.backends._offsets import channel_values
from consilience.backends.base import Channel, PairTable, check_stripe
from consilience.backends.cuda._device import (
    THREADS,
    WARPS,
    Buffer,
    Device,
    blocks,
    require_memory,
)
from consilience.backends.cuda._squares import CenteredRows, centered_bytes, centered_rows
from consilience.terms import Floats

FUNCTIONS = {"distance": 0, "squared": 1, "rbf": 2}
USUAL_COLUMNS = 64
ROWS_PER_BLOCK = 32
MOST_ROWS = 2048  # of a stripe, enough for cuBLAS
# Long enough for a product to be as fast as memory, short enough for every multiprocessor to have
# one.
SEGMENT, MOST_SEGMENTS = 16_384, 512


@dataclass(frozen=True)
class Stripe:
    """Rows [first, first + height) against columns [first, n)."""

    first: int
    height: int
    width: int

    @property
    def size(self) -> int:
        return self.height * self.width

    @property
    def row_parts(self) -> int:
        return blocks(self.width)

    @property
    def column_parts(self) -> int:
        return blocks(self.height, ROWS_PER_BLOCK)

    @property
    def segment(self) -> int:
        return max(SEGMENT, blocks(self.size, MOST_SEGMENTS))

    @property
    def segments(self) -> int:
        return blocks(self.size, self.segment)

    def entries(self, n_channels: int) -> tuple[int, int, int, int, int]:
        """Return the sizes of what it takes: squares, values, parts of sums and of products."""
        return (
            self.size,
            n_channels * self.size,
            n_channels * self.row_parts * self.height,
            n_channels * self.column_parts * self.width,
            n_channels * n_channels * self.segments,
        )

    def nbytes(self, n_channels: int) -> int:
        return 8 * sum(self.entries(n_channels))


def pair_terms(
    device: Device,
    channels: Sequence[Channel],
    max_memory: int,
    rows: tuple[int, int] | None = None,
) -> PairTable:
    """Return row sums and products of all channels, of all pairs or of a stripe of rows'."""
    n = len(channels[0].X)
    first, stop = check_stripe(rows, n)
    sets = {id(channel.X): channel.X for channel in channels}
    fixed, least = needed_bytes(channels)
    require_memory("pair_terms", fixed + least, max_memory)
    stripes = list(_stripes(first, stop, n, len(channels), max_memory - fixed))

    centered = {key: centered_rows(device, X) for key, X in sets.items()}
    usual = {key: _usual_squares(device, X) for key, X in centered.items()}
    offsets = np.stack([_offsets(channel, usual[id(channel.X)]) for channel in channels])
    sums = _Sums(device, channels, centered, device.from_host(offsets), stripes)
    for stripe in stripes:
        sums.add(stripe)
    upper = np.triu(device.to_host(sums.products))
    products = 2.0 * (upper + np.triu(upper, 1).T)
    at_zero = np.array([channel.at_zero for channel in channels])
    return PairTable(device.to_host(sums.rows), products, offsets, at_zero)


def needed_bytes(channels: Sequence[Channel]) -> tuple[int, int]:
    """Return the bytes of what is made of all rows, and of the lowest stripe."""
    n, n_channels = len(channels[0].X), len(channels)
    sets = {id(channel.X): channel.X for channel in channels}
    fixed = sum(map(centered_bytes, sets.values())) + 8 * (2 * n_channels * n + n_channels**2)
    return fixed, max(Stripe(0, 1, n).nbytes(n_channels), 8 * USUAL_COLUMNS * n)


def _stripes(first: int, stop: int, n: int, n_channels: int, room: int) -> Iterator[Stripe]:
    """Yield stripes as high as fit, up to a quarter of their width: less is done twice."""
    while first < stop:
        width = n - first
        height = min(stop - first, MOST_ROWS, max(256, width // 4))
        while height > 1 and Stripe(first, height, width).nbytes(n_channels) > room:
            height = max(1, height - max(1, height // 16))
        if height > ROWS_PER_BLOCK:
            height -= height % ROWS_PER_BLOCK
        yield Stripe(first, height, width)
        first += height


def _usual_squares(device: Device, X: CenteredRows) -> Floats:
    """Return the median squared distance of each row to a seeded sample of rows."""
    n, _ = X.shape
    chosen = np.random.default_rng(0).integers(0, n, USUAL_COLUMNS)
    rows, norms = X.some(device, chosen)
    products = device.empty((n, USUAL_COLUMNS), np.float64)
    d = rows.shape[1]
    device.gemm(
        X.rows.pointer,
        rows.pointer,
        products.pointer,
        m=n,
        n=USUAL_COLUMNS,
        k=d,
        transpose_b=True,
        lda=d,
        ldb=d,
        ldc=USUAL_COLUMNS,
        alpha=-2.0,
    )
    medians = device.empty((n,), np.float64)
    grid = blocks(n, WARPS)
    device.launch("usual_squares", grid, THREADS, products, X.norms, norms, n, medians)
    found: Floats = device.to_host(medians)
    return found


def _offsets(channel: Channel, usual: Floats) -> Floats:
    """Return about half of what is usual in each row; see consilience.backends._offsets."""
    values = channel_values(channel, usual)
    return values - 0.5 * float(np.median(values))


class _Sums:
    """Row sums and products of channels over stripes, and the room that a stripe takes."""

    def __init__(
        self,
        device: Device,
        channels: Sequence[Channel],
        sets: dict[int, CenteredRows],
        offsets: Buffer,
        stripes: Sequence[Stripe],
    ) -> None:
        self._device = device
        self._sets = [sets[id(channel.X)] for channel in channels]
        self._channels = channels
        self._offsets = offsets
        n, n_channels = offsets.shape[1], len(channels)
        most = max(sum(stripe.entries(n_channels)) for stripe in stripes)
        self._room = device.empty((most,), np.float64)
        self._share(stripes[0])
        self.rows = device.zeros((n_channels, n), np.float64)
        self.products = device.zeros((n_channels, n_channels), np.float64)

    def add(self, stripe: Stripe) -> None:
        """Add what the pairs of a stripe contribute."""
        self._share(stripe)
        made: list[CenteredRows] = []
        for X in self._sets:
            if not any(X is other for other in made):
                made.append(X)
                self._add_values(stripe, X)
        self._add_rows(stripe)
        self._add_products(stripe)

    def _share(self, stripe: Stripe) -> None:
        """Give the stripe's squares, values and parts of sums their shares of the room."""
        sizes = stripe.entries(len(self._channels))
        starts = np.cumsum([0, *sizes]).tolist()
        self._squares, self._values, self._row_parts, self._column_parts, self._parts = (
            _slice(self._room, start, size) for start, size in zip(starts, sizes, strict=False)
        )

    def _add_values(self, stripe: Stripe, X: CenteredRows) -> None:
        """Write the values of all channels of a set, whose squares are made once."""
        first, height, width = stripe.first, stripe.height, stripe.width
        d = X.shape[1]
        X.multiply(self._device, X.rows.at(first * d), height, self._squares.pointer, first=first)
        own = [c for c, other in enumerate(self._sets) if other is X]
        for c in own:
            channel = self._channels[c]
            self._device.launch(
                "pair_values",
                (stripe.row_parts, stripe.column_parts),
                THREADS,
                self._squares,
                int(c != own[0]),
                int(len(own) > 1),
                X.X,
                d,
                X.X.is_double,
                X.norms,
                first,
                height,
                width,
                FUNCTIONS[channel.function],
                float(channel.gamma),
                self._offsets.rows(c, c + 1),
                _part(self._values, c, stripe.size),
                _part(self._row_parts, c, stripe.row_parts * height),
                _part(self._column_parts, c, stripe.column_parts * width),
            )

    def _add_rows(self, stripe: Stripe) -> None:
        """Add the values to the sums of both their rows."""
        n_channels, n = self.rows.shape
        to = Buffer(self.rows.at(stripe.first), (n,), self.rows.dtype, self.rows.owner)
        for parts, count, length in (
            (self._row_parts, stripe.row_parts, stripe.height),
            (self._column_parts, stripe.column_parts, stripe.width),
        ):
            grid = (blocks(length), n_channels)
            self._device.launch("add_parts", grid, THREADS, parts, count, length, to, n)

    def _add_products(self, stripe: Stripe) -> None:
        """Add the products of all pairs of channels, segment by segment."""
        count, length, segment = len(self._channels), stripe.size, stripe.segment
        whole = length // segment
        for start, k, batch in ((0, segment, whole), (whole, length - whole * segment, 1)):
            if k == 0 or batch == 0:
                continue
            values = self._values.at(start * segment)
            self._device.gemm(
                values,
                values,
                self._parts.at(start * count * count),
                m=count,
                n=count,
                k=k,
                transpose_b=True,
                lda=length,
                ldb=length,
                ldc=count,
                batch=batch,
                strides=(segment, segment, count * count),
            )
        grid, square = blocks(count * count), count * count
        self._device.launch(
            "add_parts", grid, THREADS, self._parts, stripe.segments, square, self.products, 0
        )


def _slice(buffer: Buffer, start: int, size: int) -> Buffer:
    return Buffer(buffer.at(start), (size,), buffer.dtype, buffer.owner)


def _part(buffer: Buffer, index: int, size: int) -> Buffer:
    return _slice(buffer, index * size, size)
