"""Exact neighbours: half-precision tiles under a bound choose whom float64 differences judge.

1. How far each row has to look is guessed from a sample of the rows.
2. A sweep lists, for each row, all that could be as near as that; tiles never leave the chip.
3. Float64 differences of the few that can be among the k nearest decide, and prove that the guess
   was far enough. Rows for which it was not, or whose list ran over, are searched in float64.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from consilience.backends.cuda._device import WARPS, Buffer, Device, blocks, require_memory
from consilience.backends.cuda._rows import BRICK_ROWS, Halves, Rows, padded_length
from consilience.terms import Floats, Graph, Indices

# Below, all in float64 is as fast.
SCREENED_FROM = 2048
# The most rows that a guess looks at, and the least.
MOST_SAMPLED, FEWEST_SAMPLED = 32_768, 2048
MANY_SAMPLED = 12_288  # beyond, a multiprocessor holds few rows at a time
TOO_SHORT = 1e-6  # how likely a row's guess may be
# The longest list of candidates, which a block holds in shared memory.
LONGEST = 8192
MOST_NEIGHBORS = 16_384
TILE, GROUP = 128, 16  # csrc/cuda/mma_tiles.cuh, csrc/cuda/knn_lists.cuh
THREADS, SHARED_BYTES = 256, 4 * 2 * 128 * 32 * 2  # of a fine tile
SECTOR_KEYS = 8  # a row of keys begins with a sector of memory
QUERIES = 8  # of a block, csrc/cuda/exact.cuh
MOST_JUDGED = 32_768  # at a time
TOO_MANY = 1  # what csrc/cuda/knn_judge.cuh, `knn_finish`, says of a list that ran over


def knn_exact(
    device: Device,
    X: Buffer,
    *,
    k: int,
    distance: str,
    rows: Indices | None,
    max_memory: int,
    screened_from: int,
) -> Graph:
    """Return the k nearest other rows of each row, or of `rows`; see backends.base.Backend."""
    n, _ = X.shape
    n_rows = n if rows is None else len(rows)
    if k > MOST_NEIGHBORS:
        raise ValueError(f"`k` is at most {MOST_NEIGHBORS:,} on a GPU, got {k}; use device='cpu'")
    found = _Found.empty(n_rows, k)
    plan = _Plan.of(n, k)
    if n < screened_from or plan.capacity > LONGEST:
        judge(device, X, np.arange(n) if rows is None else rows, distance, max_memory, found)
    else:
        _screen(device, X, rows, distance, max_memory, plan, found)
    return Graph(
        found.indices,
        found.distances,
        found.judged,
        rows=rows,
        n_all=None if rows is None else n,
    )


@dataclass
class _Found:
    """The lists at home, filled in parts; `judged` float64 distances decided them."""

    indices: Indices
    distances: Floats
    judged: int = 0

    @classmethod
    def empty(cls, n_rows: int, k: int) -> _Found:
        return cls(np.empty((n_rows, k), np.int64), np.empty((n_rows, k)))

    @property
    def k(self) -> int:
        return int(self.indices.shape[1])

    def put(self, places: Indices | slice, indices: Indices, distances: Floats) -> None:
        if len(indices) == len(self.indices):
            self.indices, self.distances = indices, distances
            return
        self.indices[places] = indices
        self.distances[places] = distances


@dataclass(frozen=True)
class _Plan:
    """How a guess is made: as far as the rank-th nearest (from 0) of `sampled` rows.

    Of the k nearest, about a Poisson number of mean k sampled / n are sampled: that there are more
    than `rank`, and the guess too short, is left to one row in a million. Within the guess there
    are about (rank + 1) n / sampled rows, a Gamma variable, and more than `capacity` as rarely.
    """

    k: int
    sampled: int
    rank: int
    capacity: int

    @classmethod
    def of(cls, n: int, k: int) -> _Plan:
        sampled = min(n, max(FEWEST_SAMPLED, min(MOST_SAMPLED, n // 12)))
        from scipy.special import pdtrik

        rank = math.ceil(float(pdtrik(1.0 - TOO_SHORT, k * sampled / n)))
        rank = min(rank, sampled - 2)  # a row is not its own neighbour, if it is sampled
        listed = (rank + 1) * n / sampled
        capacity = 1.2 * listed * (1.0 + 5.0 / math.sqrt(rank + 1)) + 32
        # Lists are sorted in blocks of a power of two.
        return cls(k, sampled, rank, 1 << math.ceil(math.log2(min(capacity, max(32, n)))))


def _screen(
    device: Device,
    X: Buffer,
    rows: Indices | None,
    distance: str,
    max_memory: int,
    plan: _Plan,
    found: _Found,
) -> None:
    """Fill in the lists of all rows or of some, in stripes that fit into the memory."""
    n, d = X.shape
    n_wanted = n if rows is None else len(rows)
    length = padded_length(d)
    # Lists, results and what is copied of a row; halves of all rows, at worst in both ways.
    per_row = 8 * plan.capacity + 16 * found.k + 4 * length + 64
    fixed = n * (6 * length + 48) + 4 * BRICK_ROWS * _width(plan.sampled)
    require_memory("knn_exact", fixed + per_row, max_memory, "use device='cpu'")
    left = max_memory - fixed
    stripe = min(n_wanted, left // per_row)
    search = _Search(device, Rows.of(device, X), distance, plan, left)
    for first in range(0, n_wanted, stripe):
        ids = np.arange(n_wanted) if rows is None else rows
        ids = ids[first : first + stripe]
        indices, distances, judged, missed = search.run(ids, whole=len(ids) == n)
        found.put(slice(first, first + len(ids)), indices, distances)
        found.judged += judged
        if len(missed):
            part = _Found.empty(len(missed), found.k)
            judge(device, X, ids[missed], distance, max_memory, part)
            found.put(first + missed, part.indices, part.distances)
            found.judged += part.judged


@dataclass(frozen=True)
class _Queries:
    """Rows that look for neighbours: all (`same`), or copies of some; `ids` says which."""

    values: Buffer
    bounds: Buffer
    ids: Buffer
    same: bool

    def __len__(self) -> int:
        return len(self.bounds)


@dataclass(frozen=True)
class _Search:
    """The screened search among the rows of one set; `spare` bytes serve a guess's keys."""

    device: Device
    rows: Rows
    distance: str
    plan: _Plan
    spare: int
    _halves: dict[bool, Halves] = field(default_factory=dict)

    def run(self, ids: Indices, *, whole: bool) -> tuple[Indices, Floats, int, Indices]:
        """Return lists of the rows `ids`, what it took, and where lists are not to be used."""
        fine = False
        queries = self._queries(ids, fine=fine, whole=whole)
        if self._guess(queries, fine=fine) > self.plan.capacity / 2:
            # Rows are nearer each other than eleven digits tell: too many would be listed.
            fine = True
            queries = self._queries(ids, fine=fine, whole=whole)
            self._guess(queries, fine=fine)
        indices, distances, judged, states = self._sweep(queries, fine=fine)
        again = np.flatnonzero(states == TOO_MANY)
        if len(again):
            # What was listed proves how far is far enough.
            reached = self.device.to_host(queries.bounds)[again, 3]
            queries = self._queries(ids[again], fine=True, whole=False)
            bounds = self.device.to_host(queries.bounds)
            bounds[:, 3] = reached
            queries = replace(queries, bounds=self.device.from_host(bounds))
            nearest, how_far, more, left = self._sweep(queries, fine=True)
            indices[again], distances[again], states[again] = nearest, how_far, left
            judged += more
        return indices, distances, judged, np.flatnonzero(states)

    def halves(self, *, fine: bool) -> Halves:
        if fine not in self._halves:
            self._halves[fine] = Halves.of(
                self.device, self.rows, distance=self.distance, fine=fine
            )
        return self._halves[fine]

    def _queries(self, ids: Indices, *, fine: bool, whole: bool) -> _Queries:
        halves = self.halves(fine=fine)
        if whole:
            return _Queries(halves.values, halves.bounds, self.device.from_host(ids), same=True)
        return _Queries(*halves.taken(self.device, ids), same=False)

    def _guess(self, queries: _Queries, *, fine: bool) -> float:
        """Set how far the queries look; return how many a sweep would list for one, on average."""
        device, halves, plan = self.device, self.halves(fine=fine), self.plan
        n = len(halves.bounds)
        chosen = np.random.default_rng(0).choice(n, plan.sampled, replace=False, shuffle=False)
        sample = np.sort(chosen)
        values, bounds, ids = halves.taken(device, sample)
        within = device.empty((len(queries),), np.int32)
        width = _width(plan.sampled)
        # Of whole bricks, of which a launch begins with the first.
        stripe = max(1, min(self.spare // (8 * width), 1 << 17) // BRICK_ROWS) * BRICK_ROWS
        keys = device.empty((min(stripe, len(queries)), width), np.float32)
        for first in range(0, len(queries), stripe):
            stop = min(first + stripe, len(queries))
            launch = _launch(device, stop - first, plan.sampled, fine=fine)
            device.launch(
                "knn_keys_fine" if fine else "knn_keys",
                launch.grid,
                launch.threads,
                queries.values.rows(first // BRICK_ROWS, blocks(stop, BRICK_ROWS)),
                queries.ids.rows(first, stop),
                stop - first,
                values,
                bounds,
                ids,
                plan.sampled,
                halves.chunks,
                self._factor,
                keys,
                width,
                shared=launch.shared,
            )
            device.launch(
                "knn_reaches",
                stop - first,
                256 if plan.sampled <= MANY_SAMPLED else 1024,
                keys,
                width,
                plan.sampled,
                plan.rank,
                queries.bounds.rows(first, stop),
                within.rows(first, stop),
                shared=4 * plan.sampled,
            )
        return float(device.to_host(within).mean()) * n / plan.sampled

    def _sweep(
        self, queries: _Queries, *, fine: bool
    ) -> tuple[Indices, Floats, int, NDArray[np.int32]]:
        """Return the lists that the queries' reaches lead to, and what became of each."""
        device, halves, k = self.device, self.halves(fine=fine), self.plan.k
        n, n_queries, capacity = len(halves.bounds), len(queries), self.plan.capacity
        lists = device.empty((n_queries, capacity), np.int64)
        counts = device.zeros((n_queries,), np.int32)
        launch = _launch(device, n_queries, n, fine=fine)
        device.launch(
            "knn_sweep_fine" if fine else "knn_sweep",
            launch.grid,
            launch.threads,
            queries.values,
            queries.bounds,
            queries.ids,
            n_queries,
            halves.values,
            halves.bounds,
            n,
            halves.chunks,
            self._factor,
            int(queries.same),
            lists,
            counts,
            capacity,
            shared=launch.shared,
        )
        indices = device.empty((n_queries, k), np.int64)
        distances = device.empty((n_queries, k), np.float64)
        states, judged = (device.empty((n_queries,), np.int32) for _ in range(2))
        device.launch(
            "knn_finish",
            n_queries,
            128,
            self.rows.X,
            self.rows.X.shape[1],
            self.rows.X.is_double,
            int(self.distance == "ip"),
            halves.scale,
            queries.ids,
            queries.bounds,
            halves.bounds,
            halves.slack,
            halves.constants,
            lists,
            counts,
            capacity,
            k,
            indices,
            distances,
            states,
            judged,
            shared=16 * capacity,
        )
        home = (device.to_host(part) for part in (indices, distances, judged, states))
        found, how_far, taken, what = home
        return found, how_far, int(taken.sum()), what

    @property
    def _factor(self) -> float:
        """Return s of csrc/cuda/knn_exact.cuh."""
        return 1.0 if self.distance == "ip" else 2.0


def judge(
    device: Device, X: Buffer, ids: Indices, distance: str, max_memory: int, found: _Found
) -> None:
    """Fill in the lists of the rows `ids` by all their distances in float64."""
    n, d = X.shape
    k, products = found.k, int(distance == "ip")
    stripe = max(1, min(len(ids), max_memory // (8 * n + 16 * k + 8), MOST_JUDGED))
    keys = device.empty((stripe, n), np.float64)
    indices = device.empty((stripe, k), np.int64)
    distances = device.empty((stripe, k), np.float64)
    for first in range(0, len(ids), stripe):
        part = ids[first : first + stripe]
        queries = device.from_host(np.ascontiguousarray(part, dtype=np.int64))
        grid = (min(blocks(n, WARPS), 256), blocks(len(part), QUERIES))
        device.launch(
            "exact_keys", grid, 256, X, n, d, X.is_double, products, queries, len(part), keys
        )
        device.launch(
            "nearest_of_keys",
            len(part),
            256,
            keys,
            n,
            k,
            products,
            indices,
            distances,
            shared=12 << (k - 1).bit_length(),
        )
        count = len(part)
        found.put(
            slice(first, first + count),
            device.to_host(indices.rows(0, count)),
            device.to_host(distances.rows(0, count)),
        )
    found.judged += len(ids) * (n - 1)


@dataclass(frozen=True)
class _Launch:
    grid: int
    threads: int
    shared: int


def _launch(device: Device, n_rows: int, n_columns: int, *, fine: bool) -> _Launch:
    """Return how tiles of all pairs of some rows and columns are launched."""
    tiles = _tiles(n_rows, n_columns)
    if fine:
        return _Launch(tiles, THREADS, SHARED_BYTES)
    threads, shared, one_after_another = _geometry(device)
    grid = min(tiles, device.multiprocessors) if one_after_another else tiles
    return _Launch(grid, threads, shared)


# What devices said of themselves: to ask is to wait until all that was launched is done.
_geometries: weakref.WeakKeyDictionary[Device, tuple[int, int, bool]] = weakref.WeakKeyDictionary()


def _geometry(device: Device) -> tuple[int, int, bool]:
    """Return what csrc/cuda/knn_exact.cuh, `knn_geometry`, says of a device."""
    if device not in _geometries:
        found = device.empty((3,), np.int64)
        device.launch("knn_geometry", 1, 32, found)
        threads, shared, one_after_another = (int(part) for part in device.to_host(found))
        _geometries[device] = threads, shared, bool(one_after_another)
    return _geometries[device]


def _width(n_keys: int) -> int:
    """Return the length of a row of keys in memory."""
    return blocks(n_keys, SECTOR_KEYS) * SECTOR_KEYS


def _tiles(n_rows: int, n_columns: int) -> int:
    """Return the blocks that csrc/cuda/mma_tiles.cuh, `tile_of`, counts."""
    return blocks(n_rows, TILE * GROUP) * GROUP * blocks(n_columns, TILE)
