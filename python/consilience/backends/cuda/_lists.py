"""Neighbour lists and values of their edges on the device, and sums of edges in fixed point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from consilience.backends.cuda._device import Buffer, Device, blocks
from consilience.backends.cuda._residents import Residents
from consilience.terms import Floats, Graph, Indices

# Of csrc/cuda/fixed_sums.cuh.
FIXED_PARTS = 3


@dataclass(frozen=True)
class Lists:
    """A graph's lists, ascending, and the places that their entries had; int32, (n_rows, k)."""

    entries: Buffer
    places: Buffer

    @property
    def k(self) -> int:
        return self.entries.shape[1]

    @property
    def nbytes(self) -> int:
        return self.entries.nbytes + self.places.nbytes


@dataclass(frozen=True)
class Values:
    """Values of edges, at most 2 ** exponent in size; None: all are 1."""

    buffer: Buffer | None = None
    exponent: int = 0
    finite: bool = True

    @property
    def scale(self) -> float:
        return math.ldexp(1.0, -self.exponent)

    @property
    def nbytes(self) -> int:
        return 0 if self.buffer is None else self.buffer.nbytes


def sorted_lists(device: Device, residents: Residents, graph: Graph) -> Lists:
    """Return the lists of a graph, sorted once."""

    def make() -> Lists:
        n_rows, k = graph.indices.shape
        check_samples(graph.indices, graph.n_samples, "indices")
        came = device.from_host(np.asarray(graph.indices, np.int64))
        entries, places = (device.empty((n_rows, k), np.int32) for _ in range(2))
        device.launch("sort_lists", blocks(n_rows * k, 256), 256, came, n_rows, k, entries, places)
        return Lists(entries, places)

    return residents.get(graph.indices, "lists", make, lambda made: made.nbytes)


def values_of(device: Device, residents: Residents, values: Floats | None) -> Values:
    """Return the values of a graph's edges, uploaded once."""
    if values is None:
        return Values()
    return residents.get(
        values,
        "values",
        lambda: known_values(device.from_host(np.asarray(values, np.float64)), values),
        lambda made: made.nbytes,
    )


def known_values(buffer: Buffer, values: Floats) -> Values:
    """Return the values that a buffer holds."""
    most = max(float(values.max()), -float(values.min()))
    finite = math.isfinite(most)
    # Below 2 ** -1000 the scale itself would leave float64.
    return Values(buffer, max(-1000, math.frexp(most)[1]) if finite else 0, finite)


def fixed_bits(count: int) -> int:
    """Return the bits of a part of a sum of so many values, each 1 at most in size."""
    return 61 - (count - 1).bit_length()


def sums_of_parts(parts: Indices, bits: int, exponent: int | Indices) -> Floats:
    """Return the sums that fixed-point parts, (FIXED_PARTS, ...), stand for."""
    total = np.zeros(parts.shape[1:])
    for part in reversed(range(FIXED_PARTS)):
        total += np.ldexp(parts[part].astype(np.float64), -bits * (part + 1))
    return np.asarray(np.ldexp(total, exponent))


def check_samples(indices: Indices, n_samples: int, name: str) -> None:
    """Raise unless all are samples: a kernel would read elsewhere."""
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < n_samples:
        raise ValueError(f"`{name}` points outside the {n_samples} samples")
