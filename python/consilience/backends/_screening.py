"""What tells near rows from far ones before they are compared in full: axes, words of 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._mapped import taken
from consilience.terms import Floats

# Below, the whole product is made before the axes are known (bench/ladder/knn_exact.md).
FEWEST_SAMPLES = 16_384
FEWEST_FEATURES = 32
SAMPLED_ROWS = 2048
PROBES = 32
REACHED_ROWS = 8192
# Costs in features of a product (bench/ladder/knn_exact.md): looking at an entry, and finishing
# those that a prefix leaves. A pair is left for either row's sake, and while thresholds are still
# wide: five times as many as the last threshold of one row leaves.
LOOK = 8
FINISH = 1000
FINISH_FEATURE = 14
# Axes are worth their price where they are expected to save this much.
CHEAPER = 0.8
MOST_AXES = 192
TRIED_AXES = (4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192)
# Up to here, all axes are as cheap as some (bench/ladder/knn_exact.md).
ALL_AXES_FEATURES = 384
# Rows are rounded to words that are no longer than this (csrc/cpu/word_panels.cpp).
LONGEST_WORDS = 46_000
# Below, rounding rows costs what it saves (bench/ladder/knn_exact.md).
FEWEST_ROUNDED = 4096
# Sums of their products fit into 32 bits up to here.
MOST_ROUNDED_FEATURES = 65_536
# How many rows besides the k nearest words may leave to be judged in float64.
MOST_UNTOLD = 32


def pruning_axes(X: Any, *, k: int, distance: str, words: bool = False) -> Floats | None:
    """Return orthonormal axes (n_features, n_axes) that save work in `knn_exact`, or None.

    words : whether products are of words, which cost half.

    Principal axes of a seeded sample of rows; as many as minimise the expected cost, from how
    many pairs of a probe and a row of another sample the bound |p_x - p_y|² + (rho_x - rho_y)² of
    a prefix leaves within the probe's k-th distance. Rows that chose the axes would look better
    than the others. Any axes give the same neighbours.
    """
    n_samples, n_features = X.shape
    if n_samples < FEWEST_SAMPLES or n_features < FEWEST_FEATURES:
        return None
    rng = np.random.default_rng(0)
    chosen = rng.choice(n_samples, 2 * SAMPLED_ROWS, replace=False)
    rows = taken(X, chosen).astype(np.float64)
    mean = rows.mean(axis=0)
    rows -= mean
    scale = float(np.abs(rows).max())
    if not scale > 0.0:
        return None
    fitted, sample = np.split((rows / scale).astype(np.float32), 2)
    axes = _principal_axes(fitted)
    seen = _Seen.of(X, chosen[SAMPLED_ROWS:][:PROBES], mean, scale, k, distance, REACHED_ROWS)
    whole = np.einsum("ij,ij->i", sample, sample)
    offsets = whole if distance == "l2" else -sample @ (mean / scale).astype(np.float32)
    n_axes = _cheapest(sample @ axes, whole, offsets, seen.reach, n_features, distance, words)
    if n_axes == 0:
        return None
    return np.ascontiguousarray(np.linalg.qr(axes[:, :n_axes].astype(np.float64))[0])


def most_axes(n_samples: int, n_features: int) -> int:
    """Return more axes than `pruning_axes` ever takes of such a set."""
    if n_samples < FEWEST_SAMPLES or n_features < FEWEST_FEATURES:
        return 0
    return min(n_features * 3 // 4, MOST_AXES)


def words_tell(X: Any, *, k: int, distance: str) -> bool:
    """Whether rows rounded to words tell most rows from the k nearest; either answer is right.

    They do not where neighbours are far closer to each other than to the mean of all rows.
    """
    n_samples, n_features = X.shape
    if n_samples < FEWEST_ROUNDED or n_features > MOST_ROUNDED_FEATURES:
        return False
    chosen = np.random.default_rng(0).choice(n_samples, FEWEST_ROUNDED // 4, replace=False)
    rows = taken(X, chosen).astype(np.float64)
    mean = rows.mean(axis=0)
    scale = float(np.abs(rows - mean).max())
    if not scale > 0.0:
        return False
    seen = _Seen.of(X, chosen[:PROBES], mean, scale, k, distance, REACHED_ROWS // 2)
    # As far apart as bounds of a product may be, of a key that is half a squared distance.
    rounding = 2.0 * np.sqrt(n_features / 12) / LONGEST_WORDS
    blur = rounding * (seen.own[:, None] + 2.0 * seen.theirs)
    blur *= 2.0 if distance == "l2" else 1.0
    untold = (seen.keys <= seen.reach[:, None] + blur).sum(axis=1).mean()
    told = seen.rank + 1
    return bool(untold <= told + max(told, MOST_UNTOLD * seen.keys.shape[1] / n_samples))


def rest_axes(axes: Floats) -> Floats | None:
    """Return the axes orthogonal to some, or None where turning all rows costs more than it saves.

    It saves where spectra are flat: many axes are wanted, and many pairs are left all the same.
    """
    n_features, n_axes = axes.shape
    if n_features > ALL_AXES_FEATURES or n_axes < n_features / 4:
        return None
    return np.ascontiguousarray(np.linalg.qr(axes, mode="complete")[0][:, n_axes:])


def _principal_axes(sample: Any) -> Any:
    """Return the leading axes, of many features about, by subspace iteration [halko2011]."""
    n_features = sample.shape[1]
    count = min(n_features * 3 // 4, MOST_AXES)
    if n_features <= ALL_AXES_FEATURES:
        return np.linalg.eigh(sample.T @ sample)[1][:, : -count - 1 : -1]
    axes = np.random.default_rng(0).standard_normal((n_features, count), dtype=np.float32)
    for _ in range(2):
        axes, _ = np.linalg.qr(sample.T @ (sample @ axes))
    seen = sample @ axes
    _, turn = np.linalg.eigh(seen.T @ seen)
    return axes @ turn[:, ::-1]


@dataclass(frozen=True)
class _Seen:
    """What some rows, the probes, see of a sample of all rows, centred and scaled.

    keys : (n_probes, n_seen) squared distances or, about the mean, negative inner products
    reach : (n_probes,) the `rank`-th smallest, about as near as the k-th nearest of all
    own, theirs : squared lengths
    """

    keys: Any
    reach: Any
    rank: int
    own: Any
    theirs: Any

    @classmethod
    def of(
        cls, X: Any, probes: Any, mean: Any, scale: float, k: int, distance: str, fewest: int
    ) -> _Seen:
        """Return what the probes see of so many rows, or of up to twice as many if k is small."""
        count = min(len(X), max(fewest, min(4 * len(X) // k, 2 * fewest)))
        others = X
        if count < len(X):
            others = taken(
                X, np.sort(np.random.default_rng(1).choice(len(X), count, replace=False))
            )
        rows = ((taken(X, probes) - mean) / scale).astype(np.float32)
        offset = (mean / scale).astype(np.float32)
        keys, norms = np.empty((len(rows), count), np.float32), np.empty(count, np.float32)
        for start in range(0, count, 16384):
            part = slice(start, start + 16384)
            block = others[part] - mean.astype(X.dtype)
            block = (block / X.dtype.type(scale)).astype(np.float32, copy=False)
            norms[part] = np.einsum("ij,ij->i", block, block)
            if distance == "l2":
                keys[:, part] = norms[part] - 2.0 * (rows @ block.T)
            else:
                keys[:, part] = -(rows @ block.T) - block @ offset
        own = np.einsum("ij,ij->i", rows, rows)
        if distance == "l2":
            keys += own[:, None]
        rank = min(round(k * count / len(X)), count - 1)
        return cls(keys, np.partition(keys, rank, axis=1)[:, rank], rank, own, norms)


def _cheapest(
    turned: Any,
    whole: Any,
    offsets: Any,
    reach: Any,
    n_features: int,
    distance: str,
    words: bool,
) -> int:
    """Return the number of leading axes of least expected cost, 0 for whole rows.

    turned : the leading axes of rows of squared lengths `whole`; the first are the probes.
    offsets : what products are taken from: squared lengths, or products with the mean.
    """
    squares = turned * turned
    probes = slice(len(reach))
    feature = 0.5 if words else 1.0
    best, cost = 0, feature * n_features + LOOK
    for n_axes in (n for n in TRIED_AXES if n <= turned.shape[1]):
        prefix = turned[:, :n_axes]
        rest = np.sqrt(np.maximum(whole - squares[:, :n_axes].sum(axis=1), 0.0))
        bound = prefix[probes] @ prefix.T + rest[probes, None] * rest
        l2 = distance == "l2"
        bound = whole[probes, None] + offsets - 2.0 * bound if l2 else offsets - bound
        left = float((bound <= reach[:, None]).mean())
        expected = feature * (n_axes + 1) + LOOK + left * (FINISH + FINISH_FEATURE * n_features)
        if expected < CHEAPER * cost:
            best, cost = n_axes, expected
    return best
