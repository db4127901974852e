"""Draws of relabelled graphs: csrc/cuda/mantel.cuh, all pairs and draws of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consilience.backends.base import Backend
from consilience.backends.cuda._device import Buffer, Device, blocks
from consilience.backends.cuda._lists import (
    FIXED_PARTS,
    Lists,
    Values,
    check_samples,
    fixed_bits,
    sorted_lists,
    sums_of_parts,
    values_of,
)
from consilience.backends.cuda._residents import Residents
from consilience.terms import Floats, Graph, Indices, require_whole

# Entries of a united list: a block sorts them in 128 KiB of shared memory.
MOST_UNITED = 1 << 14
# Their edges name the graph in 8 bits.
MOST_GRAPHS = 256
# Bytes of a united list per edge: its entry, where its edges start, the edge.
EDGE_BYTES = 12
# Bits of a block's filter: 16 KiB of shared memory, so that many blocks run beside each other.
MOST_FILTER_BITS = 1 << 17


@dataclass(frozen=True)
class _United:
    """The lists of several graphs by entry, (n, width), and what their edges weigh."""

    entries: Buffer
    starts: Buffer
    edges: Buffer
    counts: Buffer
    firsts: Buffer


def mantel_draws(
    device: Device,
    residents: Residents,
    host: Backend,
    graphs: Sequence[Graph],
    values: Sequence[Floats | None],
    pairs: Sequence[tuple[int, int]],
    permutations: Indices,
    *,
    max_memory: int,
) -> Floats:
    """Return Σ e_ij f_q(i)q(j) over the edges that relabelled graphs share, (n_pairs, n_draws).

    Lists too long for a block to unite two of them, and infinite values, are the host's.
    """
    require_whole(*graphs)
    weights = [values_of(device, residents, own) for own in values]
    too_long = any(graph.k > MOST_UNITED // 2 for graph in graphs)
    if too_long or not all(own.finite for own in weights):
        return host.mantel_draws(graphs, values, pairs, permutations)
    n = graphs[0].n_samples
    if permutations.ndim != 2 or permutations.shape[1] != n:
        raise ValueError(f"`permutations` must be of shape (n_draws, {n})")
    check_samples(permutations, n, "permutations")
    draws = np.zeros((len(pairs), len(permutations)))
    ks = [graph.k for graph in graphs]
    # Half for the lists, half for the draws.
    width = min(MOST_UNITED, max_memory // 2 // (EDGE_BYTES * n))
    for positions in _batches(pairs, ks, width):
        used = sorted({graph for at in positions for graph in pairs[at]})
        own = [sorted_lists(device, residents, graphs[g]) for g in used]
        united = _unite(device, own, n)
        slots = {pair: slot for slot, pair in enumerate(sorted({pairs[at] for at in positions}))}
        at_a_time = max(1, max_memory // 2 // (8 * n + 8 * FIXED_PARTS * len(slots)))
        exponents = np.array([weights[x].exponent + weights[y].exponent for x, y in slots])
        to = [slots[pairs[at]] for at in positions]
        bits = fixed_bits(n * max(ks))
        for first in range(0, len(permutations), at_a_time):
            stop = min(len(permutations), first + at_a_time)
            parts = _draw(
                device,
                united,
                [weights[g] for g in used],
                [(used.index(x), used.index(y)) for x, y in slots],
                permutations[first:stop],
                bits,
            )
            sums = sums_of_parts(parts, bits, exponents[:, None])
            draws[positions, first:stop] = sums[to]
    return draws


def _draw(
    device: Device,
    united: _United,
    values: Sequence[Values],
    pairs: Sequence[tuple[int, int]],
    permutations: Indices,
    bits: int,
) -> Indices:
    """Return the sums of pairs and draws in fixed point, (FIXED_PARTS, n_pairs, n_draws)."""
    n_draws, n = permutations.shape
    relabel = device.from_host(permutations.astype(np.int32))
    # Of zeros, so that what is no permutation leads nowhere else.
    inverse = device.zeros((n_draws, n), np.int32)
    device.launch(
        "invert_permutations", blocks(n_draws * n, 256), 256, relabel, n, n_draws, inverse
    )
    pair_of = np.full((len(values), len(values)), -1, np.int32)
    for slot, pair in enumerate(pairs):
        pair_of[pair] = slot
    n_bits = min(MOST_FILTER_BITS, max(32, 1 << (n - 1).bit_length()))
    sums = device.zeros((FIXED_PARTS, len(pairs), n_draws), np.int64)
    device.launch(
        "mantel_draws",
        n,
        256,
        united.entries,
        united.starts,
        united.edges,
        united.counts,
        n,
        united.entries.shape[1],
        relabel,
        inverse,
        n_draws,
        _addresses(device, [own.buffer for own in values]),
        device.from_host(np.array([own.scale for own in values])),
        united.firsts,
        len(values),
        device.from_host(pair_of),
        n_bits,
        float(1 << bits),
        sums,
        len(pairs) * n_draws,
        shared=n_bits // 8,
    )
    return np.asarray(device.to_host(sums))


def _unite(device: Device, lists: Sequence[Lists], n: int) -> _United:
    firsts = np.cumsum([0, *(own.k for own in lists)])
    width = int(firsts[-1])
    size = 1 << (width - 1).bit_length()
    united = _United(
        device.empty((n, width), np.int32),
        device.empty((n, width), np.int32),
        device.empty((n, width), np.uint32),
        device.empty((n,), np.int32),
        device.from_host(firsts.astype(np.int64)),
    )
    device.launch(
        "unite_lists",
        n,
        256,
        _addresses(device, [own.entries for own in lists]),
        _addresses(device, [own.places for own in lists]),
        united.firsts,
        len(lists),
        size,
        united.entries,
        united.starts,
        united.edges,
        united.counts,
        shared=8 * size,
    )
    return united


def _batches(pairs: Sequence[tuple[int, int]], ks: Sequence[int], width: int) -> list[list[int]]:
    """Return positions of pairs, by two groups of graphs whose united lists are so wide at most."""
    used = sorted({graph for pair in pairs for graph in pair})
    whole = sum(ks[g] for g in used) <= width and len(used) <= MOST_GRAPHS
    # Beside another such group, and beside the longest lists.
    half = width if whole else min(width // 2, width - max(ks[g] for g in used))
    most = MOST_GRAPHS if whole else MOST_GRAPHS // 2
    group = dict[int, int]()
    wide, members, groups = 0, 0, 0
    for g in used:
        wide, members = wide + ks[g], members + 1
        if members > 1 and (wide > half or members > most):
            wide, members, groups = ks[g], 1, groups + 1
        group[g] = groups
    tiles = dict[tuple[int, int], list[int]]()
    for at, (x, y) in enumerate(pairs):
        low, high = sorted((group[x], group[y]))
        tiles.setdefault((low, high), []).append(at)
    batches = list(tiles.values())
    for positions in batches:
        needed = sum(ks[g] for g in {graph for at in positions for graph in pairs[at]})
        if needed > width:
            raise MemoryError(
                f"mantel_draws needs {needed} entries a sample at a time, and `max_memory` and "
                f"a block hold {width}; raise `max_memory` or take shorter lists"
            )
    return batches


def _addresses(device: Device, buffers: Sequence[Buffer | None]) -> Buffer:
    pointers = [0 if buffer is None else buffer.pointer for buffer in buffers]
    return device.from_host(np.array(pointers, np.uint64))
