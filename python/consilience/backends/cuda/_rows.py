"""Rows as kernels want them: about their column means, in halves of 16 bits under a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from consilience.backends.cuda._device import WARPS, Buffer, Device, blocks
from consilience.terms import Floats, Indices

CHUNK = 32  # features whose fine products are added apart (csrc/cuda/mma_tiles.cuh)
BRICK_ROWS, BRICK_FEATURES = 128, 64  # csrc/cuda/halves.cuh
# Rows of a partial sum: the same on every device, and so are the bits of means.
SUMMED_ROWS = 4096


@dataclass(frozen=True)
class Rows:
    """A user's rows on the device.

    X : (n_samples, n_features), float32 or float64
    mean : (n_features,), of the columns
    """

    X: Buffer
    mean: Floats

    @classmethod
    def of(cls, device: Device, X: Buffer) -> Rows:
        """Return the rows with the means of their columns, summed in float64 in a fixed order."""
        n, d = X.shape
        n_parts = blocks(n, SUMMED_ROWS)
        sums = device.empty((n_parts, d), np.float64)
        grid = (blocks(d, 32), n_parts)
        device.launch("column_sums", grid, 256, X, n, d, X.is_double, SUMMED_ROWS, sums)
        return cls(X, np.asarray(device.to_host(sums).sum(axis=0) / n))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.X.shape


@dataclass(frozen=True)
class Halves:
    """Rows about their mean, times a scale, in halves: csrc/cuda/rows.cuh, `halve_rows`.

    values : (row blocks, chunks, 128, 64) of 16 bits, csrc/cuda/halves.cuh
    bounds : (n, 4), float32
    slack : (n,), float32;  constants : (n,), float64
    """

    values: Buffer
    bounds: Buffer
    slack: Buffer
    constants: Buffer
    scale: float
    fine: bool

    @classmethod
    def of(cls, device: Device, rows: Rows, *, distance: str, fine: bool) -> Halves:
        """Return all rows, in one half or, if fine, in two that hold twice the digits."""
        n, d = rows.shape
        length = padded_length(d)
        mean = device.from_host(rows.mean)
        scale = _scale(device, rows.X, mean)
        values = _bricks(device, n, length // BRICK_FEATURES * (2 if fine else 1))
        bounds = device.empty((n, 4), np.float32)
        slack, constants = device.empty((n,), np.float32), device.empty((n,), np.float64)
        device.launch(
            "halve_rows",
            len(values) * BRICK_ROWS // WARPS,
            256,
            rows.X,
            n,
            d,
            rows.X.is_double,
            int(distance == "ip"),
            mean,
            scale,
            length,
            int(fine),
            sums_error(length, fine),
            values,
            bounds,
            slack,
            constants,
        )
        return cls(values, bounds, slack, constants, scale, fine)

    @property
    def chunks(self) -> int:
        """Return the bricks that hold a row."""
        return self.values.shape[1]

    def taken(self, device: Device, ids: Indices) -> tuple[Buffer, Buffer, Buffer]:
        """Return the values and bounds of some rows, and their ids on the device."""
        count = len(ids)
        chosen = device.from_host(np.ascontiguousarray(ids, dtype=np.int64))
        values, bounds = _bricks(device, count, self.chunks), device.empty((count, 4), np.float32)
        grid = len(values) * BRICK_ROWS // WARPS
        device.launch("gather_halves", grid, 256, self.values, self.chunks, chosen, count, values)
        device.launch(
            "gather_rows", blocks(count, WARPS), 256, self.bounds, 1, chosen, count, bounds
        )
        return values, bounds, chosen


def padded_length(d: int) -> int:
    """Return the halves that hold a row of d features."""
    return blocks(d, BRICK_FEATURES) * BRICK_FEATURES


def _bricks(device: Device, n: int, chunks: int) -> Buffer:
    return device.empty((blocks(n, BRICK_ROWS), chunks, BRICK_ROWS, BRICK_FEATURES), np.uint16)


def sums_error(length: int, fine: bool) -> float:
    """Return the error of tensor cores' sums, per product of the rows' lengths.

    Of m products at a time, exact and aligned to the largest, each loses less than a 2^-23-th of
    it; a fine product's chunks are added in float32 (docs/gpu.md#certificate).
    """
    summed = 1.25 * (CHUNK if fine else length) + (3 * length / CHUNK if fine else 0.0)
    return math.ldexp(summed, -23) + math.ldexp(1.0, -21)


def _scale(device: Device, X: Buffer, mean: Buffer) -> float:
    """Return the power of two that brings the largest deviation to within 2^13 and 2^14.

    Halves keep eleven digits down to 2^-14: entries may be 2^27 times smaller than the largest.
    """
    n, d = X.shape
    n_blocks = min(blocks(n, WARPS), 1024)
    largest = device.empty((n_blocks,), np.float64)
    device.launch("largest_deviations", n_blocks, 256, X, n, d, X.is_double, mean, largest)
    most = float(device.to_host(largest).max())
    return math.ldexp(1.0, 14 - math.frexp(most)[1]) if most > 0.0 else 1.0
