"""Which axes tell near rows from far ones before the whole product is made."""

from __future__ import annotations

from typing import Any

import numpy as np

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
MOST_AXES = 192
TRIED_AXES = (4, 8, 12, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192)
# Up to here, all axes are as cheap as some (bench/ladder/knn_exact.md).
ALL_AXES_FEATURES = 384


def pruning_axes(X: Any, *, k: int, distance: str) -> Floats | None:
    """Return orthonormal axes (n_features, n_axes) that save work in `knn_exact`, or None.

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
    rows = X[chosen].astype(np.float64)
    rows -= rows.mean(axis=0)
    scale = np.abs(rows).max()
    if not scale > 0.0:
        return None
    fitted, sample = np.split((rows / scale).astype(np.float32), 2)
    axes = _principal_axes(fitted)
    turned = sample @ axes
    probes = np.arange(PROBES)
    reach = _reaches(X, chosen[SAMPLED_ROWS:][probes], k, distance, float(scale))
    whole = np.einsum("ij,ij->i", sample, sample)
    n_axes = _cheapest(turned, whole, n_features, probes, reach, distance)
    if n_axes == 0:
        return None
    return np.ascontiguousarray(np.linalg.qr(axes[:, :n_axes].astype(np.float64))[0])


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


def _reaches(X: Any, probes: Any, k: int, distance: str, scale: float) -> Any:
    """Return about each probe's k-th squared distance or inner product among all rows, scaled.

    Of many rows, a sample's that has as large a share of them nearer.
    """
    count = min(len(X), max(REACHED_ROWS, 4 * len(X) // k))
    rank = round(k * count / len(X))
    others = X
    if count < len(X):
        others = X[np.sort(np.random.default_rng(1).choice(len(X), count, replace=False))]
    rows = X[probes].astype(np.float64)
    mean = rows.mean(axis=0)
    rows = ((rows - mean) / scale).astype(np.float32)
    found = []
    for start in range(0, count, 16384):
        block = others[start : start + 16384] - mean.astype(X.dtype)
        block = (block / X.dtype.type(scale)).astype(np.float32, copy=False)
        products = rows @ block.T
        if distance == "l2":
            norms = np.einsum("ij,ij->i", block, block)
            products = np.einsum("ij,ij->i", rows, rows)[:, None] + norms - 2.0 * products
        else:
            products = -(products + (block @ (mean / scale).astype(np.float32)))
        found.append(
            np.partition(products, min(rank, products.shape[1] - 1), axis=1)[:, : rank + 1]
        )
    return np.partition(np.concatenate(found, axis=1), rank, axis=1)[:, rank]


def _cheapest(
    turned: Any, whole: Any, n_features: int, probes: Any, reach: Any, distance: str
) -> int:
    """Return the number of leading axes of least expected cost, 0 for whole rows.

    whole : squared lengths of the rows, of which `turned` are the leading axes.
    """
    squares = turned * turned
    best, cost = 0, float(n_features + LOOK)
    for n_axes in (n for n in TRIED_AXES if n <= turned.shape[1]):
        prefix = turned[:, :n_axes]
        rest = np.sqrt(np.maximum(whole - squares[:, :n_axes].sum(axis=1), 0.0))
        bound = prefix[probes] @ prefix.T + rest[probes, None] * rest
        bound = whole[probes, None] + whole - 2.0 * bound if distance == "l2" else -bound
        left = float((bound <= reach[:, None]).mean())
        expected = n_axes + 1 + LOOK + left * (FINISH + FINISH_FEATURE * n_features)
        if expected < 0.9 * cost:
            best, cost = n_axes, expected
    return best
