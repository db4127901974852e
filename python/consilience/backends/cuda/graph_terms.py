"""Sums over the edges of two graphs: csrc/cuda/graph_terms.cuh, a warp per row or edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience.backends.base import Backend
from consilience.backends.cuda._device import WARPS, Buffer, Device, blocks
from consilience.backends.cuda._lists import (
    FIXED_PARTS,
    check_samples,
    fixed_bits,
    known_values,
    sorted_lists,
    sums_of_parts,
    values_of,
)
from consilience.backends.cuda._residents import Residents
from consilience.backends.cuda._rows import Rows
from consilience.terms import Floats, Graph, GraphTerms, Indices, Splits, require_whole


def edge_values(
    device: Device, residents: Residents, X: Any, graph: Graph, *, centered: bool
) -> Floats:
    """Return ⟨x_i, x_j - mean⟩ or ⟨x_i, x_j⟩ along the edges; they stay on the device too."""
    rows = device.view(X)
    lists = sorted_lists(device, residents, graph)
    n_edges = lists.entries.size
    values = device.empty(lists.entries.shape, np.float64)
    device.launch(
        "edge_values",
        blocks(n_edges, WARPS),
        32 * WARPS,
        rows,
        rows.shape[1],
        rows.is_double,
        lists.entries,
        lists.places,
        None if graph.rows is None else device.from_host(np.asarray(graph.rows, np.int64)),
        n_edges,
        lists.k,
        device.from_host(Rows.of(device, rows).mean) if centered else None,
        values,
    )
    found: Floats = device.to_host(values)
    residents.get(found, "values", lambda: known_values(values, found), lambda made: made.nbytes)
    return found


def pair_distances(device: Device, X: Any, i: Indices, j: Indices) -> Floats:
    """Return the Euclidean distances of the pairs (i, j), from differences."""
    rows = device.view(X)
    for name, ends in (("i", i), ("j", j)):
        check_samples(ends, len(rows), name)
    if len(i) == 0:
        return np.zeros(0)
    distances = device.empty((len(i),), np.float64)
    device.launch(
        "pair_distances",
        blocks(len(i), WARPS),
        32 * WARPS,
        rows,
        rows.shape[1],
        rows.is_double,
        device.from_host(np.asarray(i, np.int64)),
        device.from_host(np.asarray(j, np.int64)),
        len(i),
        distances,
    )
    return np.asarray(device.to_host(distances))


def graph_terms(
    device: Device,
    residents: Residents,
    host: Backend,
    x: Graph,
    y: Graph,
    values: tuple[Floats | None, Floats | None],
) -> GraphTerms:
    """Return sums over shared edges.

    Columns gather from all rows, in an order that is chance: in fixed point, which infinite values
    have none of, so that these are the host's.
    """
    require_whole(x, y)
    e, f = (values_of(device, residents, own) for own in values)
    if not (e.finite and f.finite):
        return host.graph_terms(x, y, *values)
    n = x.n_samples
    bits = fixed_bits(n)
    overlap = device.empty((n,), np.int64)
    sums = device.empty((4, n), np.float64)
    columns = device.zeros((2, FIXED_PARTS, n), np.int64)
    device.launch(
        "graph_terms",
        blocks(n, WARPS),
        32 * WARPS,
        *_side(device, residents, x, values[0]),
        e.scale,
        *_side(device, residents, y, values[1]),
        f.scale,
        n,
        float(1 << bits),
        overlap,
        sums,
        columns,
    )
    products, rows_e, rows_f, reciprocal = device.to_host(sums)
    parts = device.to_host(columns)
    columns_e, columns_f = (
        sums_of_parts(own, bits, side.exponent) for own, side in zip(parts, (e, f), strict=True)
    )
    return GraphTerms(
        device.to_host(overlap), products, rows_e, rows_f, columns_e, columns_f, reciprocal
    )


def overlap_terms(
    device: Device,
    residents: Residents,
    x: Graph,
    y: Graph,
    values: tuple[Floats | None, Floats | None],
) -> tuple[Indices, Floats]:
    """Return the overlap and products of `graph_terms` alone."""
    n_rows = len(x.indices)
    overlap = device.empty((n_rows,), np.int64)
    products = device.empty((n_rows,), np.float64)
    device.launch(
        "overlap_terms",
        blocks(n_rows, WARPS),
        32 * WARPS,
        *_side(device, residents, x, values[0]),
        *_side(device, residents, y, values[1]),
        n_rows,
        overlap,
        products,
    )
    return device.to_host(overlap), device.to_host(products)


def overlap_within(
    device: Device,
    residents: Residents,
    x: Graph,
    y: Graph,
    members: tuple[Splits, Splits],
    values: tuple[Floats | None, Floats | None],
    n_splits: int,
) -> Floats:
    """Return the products of `overlap_terms`, of the members under each split."""
    if not 1 <= n_splits <= 32:
        raise ValueError(f"`n_splits` must be in [1, 32], got {n_splits}")
    sides: list[Buffer | int | None] = []
    for graph, own, some in zip((x, y), values, members, strict=True):
        if some.shape != graph.indices.shape:
            raise ValueError("`members` must have the shape of their lists")
        sides += [*_side(device, residents, graph, own), _members(device, residents, some)]
    n_rows = len(x.indices)
    products = device.empty((n_splits, n_rows), np.float64)
    device.launch(
        "overlap_within",
        blocks(n_rows, WARPS),
        32 * WARPS,
        *sides,
        n_rows,
        n_splits,
        products,
    )
    return np.asarray(device.to_host(products))


def _side(
    device: Device, residents: Residents, graph: Graph, values: Floats | None
) -> tuple[Buffer, Buffer, int, Buffer | None]:
    """Return what kernels know of a graph: SortedLists."""
    lists = sorted_lists(device, residents, graph)
    return lists.entries, lists.places, lists.k, values_of(device, residents, values).buffer


def _members(device: Device, residents: Residents, members: Splits) -> Buffer:
    return residents.get(
        members,
        "members",
        lambda: device.from_host(np.asarray(members, np.uint32)),
        lambda made: made.nbytes,
    )
