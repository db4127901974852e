"""Rows about a typical point, whose products become squared distances: csrc/cuda/squares.cuh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.backends.cuda._device import THREADS, WARPS, Buffer, Device, blocks
from consilience.terms import Indices

MOST_ROWS = 65_535  # of a grid's second dimension


@dataclass(frozen=True)
class CenteredRows:
    """A set on the device: X as it is, and in float64 about a typical point.

    rows, norms : (n, d), (n,), the latter squared
    """

    X: Buffer
    rows: Buffer
    norms: Buffer
    center: Buffer

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.shape[0], self.rows.shape[1]

    def some(self, device: Device, rows: Indices) -> tuple[Buffer, Buffer]:
        """Return the rows and norms of some samples."""
        places = device.from_host(np.ascontiguousarray(rows, np.int64))
        return _centered(device, self.X, self.center, places, len(rows))

    def multiply(self, device: Device, rows: int, n_rows: int, to: int, *, first: int = 0) -> None:
        """Write -2 x.y of centred rows, by their address, and rows from `first` on."""
        n, d = self.shape
        width = n - first
        device.gemm(
            rows,
            self.rows.at(first * d),
            to,
            m=n_rows,
            n=width,
            k=d,
            transpose_b=True,
            lda=d,
            ldb=d,
            ldc=width,
            alpha=-2.0,
        )


def centered_rows(device: Device, X: Any) -> CenteredRows:
    """Bring a set to the device, and its rows about a typical point."""
    own = device.view(X)
    n, d = own.shape
    center = device.empty((d,), np.float64)
    device.launch("typical_point", blocks(d), THREADS, own, n, d, own.is_double, center)
    return CenteredRows(own, *_centered(device, own, center, None, n), center)


def centered_bytes(X: Any) -> int:
    """Return the bytes that `centered_rows` takes: a copy in float64, and one of a host's array."""
    n, d = X.shape
    copied: int = X.nbytes if isinstance(X, np.ndarray) else 0
    return 8 * int(n * (d + 1) + d) + copied


def _centered(
    device: Device, X: Buffer, center: Buffer, places: Buffer | None, n_rows: int
) -> tuple[Buffer, Buffer]:
    d = X.shape[1]
    rows, norms = device.empty((n_rows, d), np.float64), device.empty((n_rows,), np.float64)
    grid = blocks(n_rows, WARPS)
    device.launch(
        "centered_rows", grid, THREADS, X, d, X.is_double, places, n_rows, center, rows, norms
    )
    return rows, norms
