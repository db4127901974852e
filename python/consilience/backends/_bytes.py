"""Bytes that the ops of the compiled extension take, by the shapes that they are asked for.

What an op checks before it works, and what tells beforehand how little it can work in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from consilience import _core
from consilience.backends._coarse import FEWEST_JUDGED
from consilience.backends._columns import LEAST_SAMPLES, LISTED_BYTES
from consilience.backends._recall import SAMPLED_ROWS
from consilience.backends._screening import most_axes
from consilience.backends.base import REFERENCES

# Float64 pair tiles below this many samples: they cost little there and leave tests no excuse.
# Above, float32 tiles keep sums within 1e-7 (bench/precision.py) at half the time.
FLOAT64_SAMPLES = 2048
# Below, exact search is as fast as an approximate one of useful recall (bench_knn_approx.py).
FEWEST_APPROXIMATED = 16_384
# Larger cells cost more than a row in more of them (bench/ladder/knn_approx.md).
CELL_ROWS = 640


@dataclass(frozen=True)
class Bytes:
    """What ops take with so many threads and such tiles (0: of each op's choice).

    A method called as an op returns what that takes beyond its arguments.
    """

    n_threads: int
    tile: int = 0

    def part_of_knn(
        self, n_samples: int, n_features: int, itemsize: int, k: int, n_rows: int | None
    ) -> int:
        """Return the bytes of a search among so many samples, and of a copy of them."""
        axes = most_axes(n_samples, n_features)
        asking = n_samples if n_rows is None else min(n_rows, n_samples // 2)
        searched = _core.knn_exact_bytes(n_samples, n_features, axes, asking, k)
        return int(searched + itemsize * n_features * n_samples)

    def approximation(self, k: int, effort: int) -> dict[str, int]:
        """Return the options of an approximate search."""
        cell = max(CELL_ROWS, 4 * k, effort)
        return {"k": k, "cell": cell, "fanout": effort, "n_threads": self.n_threads}

    def knn_approx(self, n_samples: int, n_features: int, n_rows: int, k: int, effort: int) -> int:
        """Return the bytes of the search, or of the certificate from so many rows."""
        search = _core.knn_approx_bytes(n_samples, n_features, **self.approximation(k, effort))
        judged = max(k, FEWEST_JUDGED)
        return max(search, _core.knn_exact_bytes(n_samples, n_features, 0, n_rows, judged))

    def pair_tile(self, n_channels: int, *, double_tiles: bool) -> int:
        """Return the rows of a tile of all channels.

        Those of float64 should stay in a worker's cache, or close to it; float32 ones are made in
        smaller blocks.
        """
        tile = min(max(64, 2 ** round(9 - math.log2(n_channels + 1) / 2)), 256)
        return self.tile or (tile if double_tiles else 480)

    def pair_terms(
        self, n_samples: int, widths: Sequence[int], n_channels: int, *, double_tiles: bool
    ) -> int:
        tile = self.pair_tile(n_channels, double_tiles=double_tiles)
        return _core.pair_terms_bytes(
            n_samples, sum(widths), max(widths), n_channels, tile, double_tiles, self.n_threads
        )

    def pair_rows(
        self,
        n_rows: int,
        widths: Sequence[int],
        n_channels: int,
        n_pairs: int,
        *,
        double_tiles: bool,
    ) -> int:
        sizes = (sum(widths), len(widths), n_channels, n_pairs)
        return _core.pair_rows_bytes(n_rows, REFERENCES, *sizes, double_tiles, self.n_threads)

    def part_of_joint(
        self, n_samples: int, widths: Sequence[int], copied: int, n_pairs: int, n_rows: int | None
    ) -> int:
        """Return the bytes of so many samples and pairs, and of a copy of the samples."""
        asking = n_samples if n_rows is None else min(n_rows, n_samples // 2)
        return self.joint_nearest(n_samples, asking, widths, n_pairs) + n_samples * copied

    def least_joint(
        self, n_samples: int, widths: Sequence[int], copied: int, n_rows: int | None
    ) -> int:
        """Return the bytes that one pair takes, in the smallest parts or in one piece."""
        least = min(n_samples, least_joint_part(len(widths)))
        part = self.part_of_joint(least, widths, copied, 1, n_rows)
        return min(part, self.joint_nearest(n_samples, n_rows or n_samples, widths, 1))

    def joint_nearest(
        self, n_samples: int, n_rows: int, widths: Sequence[int], n_pairs: int
    ) -> int:
        sizes = (sum(widths), max(widths), len(widths), n_pairs)
        return _core.joint_nearest_bytes(n_samples, n_rows, *sizes, self.n_threads)

    def part_of_ranks(
        self, n_samples: int, n_features: int, itemsize: int, listed: int, n_rows: int
    ) -> int:
        """Return the bytes of so many samples and rows, each of which lists so many."""
        counted = _core.count_nearer_bytes(n_samples, n_features, listed, self.n_threads)
        return counted + n_rows * (LISTED_BYTES * listed + itemsize * n_features)

    def least(
        self,
        op: str,
        n_samples: int,
        widths: Sequence[int],
        *,
        itemsize: int = 4,
        n_rows: int | None = None,
        k: int = 1,
        n_lists: int = 1,
        n_channels: int = 1,
        n_pairs: int = 1,
    ) -> int:
        """Return the bytes that an op takes at least: what it would be refused without.

        It then works in parts, if it can, and the slower.

        Parameters
        ----------
        op : str
            Its name; "rank_matrix" for `rank_counts` with a sample.
        widths : sequence of int
            n_features of each set.
        itemsize : int
            Bytes of an entry of the widest set.
        n_rows : int, optional
            Of the rows asked for; all if None.
        n_lists : int
            Lists that ranks are counted for.
        """
        n, d = n_samples, max(widths)
        if op == "knn_approx":
            if n >= fewest_approximated(k, 8):
                return self.knn_approx(n, d, min(SAMPLED_ROWS, n), k, 8)
            op = "knn_exact"
        if op == "knn_exact":
            part = self.part_of_knn(min(n, least_part(k)), d, itemsize, k, n_rows)
            return min(part, _core.knn_exact_bytes(n, d, 0, 1, k))
        if op == "joint_nearest":
            return self.least_joint(n, widths, itemsize * sum(widths), n_rows)
        if op == "rank_counts":
            return self.part_of_ranks(min(n, LEAST_SAMPLES), d, itemsize, n_lists * k, 1)
        if op == "rank_matrix":
            return _core.rank_counts_bytes(n, d, self.n_threads)
        if op == "moments":
            return moments_bytes(n, widths, [(0, len(widths) - 1)], 1)
        double = {"double_tiles": n <= FLOAT64_SAMPLES}
        if op == "pair_terms":
            return self.pair_terms(n, widths, n_channels, **double)
        if op == "pair_rows":
            return self.pair_rows(1, widths, n_channels, n_pairs, **double)
        raise ValueError(f"no op is named {op!r}")


def moments_bytes(
    n_samples: int, widths: Sequence[int], pairs: Sequence[tuple[int, int]], count: int
) -> int:
    """Return the bytes of the hungriest batch of so many pairs, and of its result."""

    def of_batch(batch: Sequence[tuple[int, int]]) -> int:
        used = {m for pair in batch for m in pair}
        width = sum(widths[m] for m in used)
        result = sum(8 * (widths[a] + 2) * (widths[b] + 2) for a, b in batch)
        return int(_core.moments_bytes(n_samples, width, len(used)) + result)

    return max(of_batch(pairs[first : first + count]) for first in range(0, len(pairs), count))


def fewest_approximated(k: int, effort: int) -> int:
    return max(FEWEST_APPROXIMATED, 4 * max(CELL_ROWS, 4 * k, effort))


def least_part(k: int) -> int:
    """Return how many samples a part has at least in which k neighbours are searched."""
    return 4 * k + LEAST_SAMPLES


def least_joint_part(n_sets: int) -> int:
    """Return the same of joint neighbours: a part holds rows of each set that differ."""
    return least_part(2) + 2 * n_sets
