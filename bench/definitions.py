"""Scores by their definitions in float64, a block of rows at a time: what the benches assert.

NumPy alone. Distances come from centred products; neighbours are ordered anew by differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
ROWS = 500


def centered(X: Array) -> Array:
    wide = X.astype(np.float64)
    return wide - wide.mean(axis=0)


def square_blocks(*sets: Array) -> Iterator[tuple[Array, list[Array]]]:
    """Yield rows and, per set, their squared distances to all; a row itself is at infinity."""
    wide = [centered(X) for X in sets]
    norms = [np.einsum("ij,ij->i", X, X) for X in wide]
    for start in range(0, len(wide[0]), ROWS):
        rows = np.arange(start, min(len(wide[0]), start + ROWS))
        blocks = []
        for X, q in zip(wide, norms, strict=True):
            squares = X[rows] @ X.T
            squares *= -2.0
            squares += q
            squares += q[rows, None]
            np.maximum(squares, 0.0, out=squares)
            squares[rows - start, rows] = np.inf
            blocks.append(squares)
        yield rows, blocks


def nearest(X: Array, rows: Array, k: int) -> tuple[Array, Array]:
    """Return the k nearest of some rows by (distance, index), and the distances."""
    wide = centered(X)
    norms = np.einsum("ij,ij->i", wide, wide)
    indices = np.empty((len(rows), k), np.int64)
    distances = np.empty((len(rows), k))
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        squares = norms - 2.0 * (wide[some] @ wide.T) + norms[some, None]
        squares[np.arange(len(some)), some] = np.inf
        kth = np.partition(squares, k - 1, axis=1)[:, k - 1 : k]
        # Far wider than the rounding of the product: ties are judged by differences.
        close = squares <= kth * (1 + 1e-9) + 1e-9 * norms.max()
        for r, i in enumerate(some):
            candidates = np.flatnonzero(close[r])
            found = np.linalg.norm(X[candidates].astype(np.float64) - X[i], axis=1)
            order = np.lexsort((candidates, found))[:k]
            indices[start + r], distances[start + r] = candidates[order], found[order]
    return indices, distances


def listed_distances(X: Array, indices: Array) -> Array:
    """Return the distances of each row to those it lists, from differences."""
    found = np.empty(indices.shape)
    for start in range(0, len(X), ROWS):
        block = indices[start : start + ROWS]
        wide = X[start : start + ROWS].astype(np.float64)
        found[start : start + ROWS] = np.linalg.norm(X[block] - wide[:, None], axis=2)
    return found


def unit_rows(X: Array) -> Array:
    wide = X.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def mutual_knn(X: Array, Y: Array, k: int) -> float:
    """Overlap of the neighbours of rows of length 1."""
    shared = 0
    for _, blocks in square_blocks(unit_rows(X), unit_rows(Y)):
        lists = [np.argpartition(squares, k - 1, axis=1)[:, :k] for squares in blocks]
        shared += sum(len(np.intersect1d(a, b)) for a, b in zip(*lists, strict=True))
    return shared / (len(X) * k)


def cknna(X: Array, Y: Array, k: int) -> float:
    """CKNNA of the paper, on rows of length 1."""
    unit = [unit_rows(Z) for Z in (X, Y)]
    means = [Z.mean(axis=0) for Z in unit]
    cross, own = 0.0, [0.0, 0.0]
    for rows, blocks in square_blocks(*unit):
        at = np.arange(len(rows))[:, None]
        masks, kernels = [], []
        for Z, mean, squares in zip(unit, means, blocks, strict=True):
            mask = np.zeros(squares.shape, bool)
            mask[at, np.argpartition(squares, k - 1, axis=1)[:, :k]] = True
            masks.append(mask)
            kernels.append(Z[rows] @ Z.T - (Z[rows] @ mean)[:, None])
        both = masks[0] & masks[1]
        cross += float((kernels[0][both] * kernels[1][both]).sum())
        for m in range(2):
            own[m] += float((kernels[m][masks[m]] ** 2).sum())
    return cross / float(np.sqrt(own[0] * own[1]))


def _correlation(X: Array, Y: Array, kernels: Any, at_zero: float, *, unbiased: bool) -> float:
    """Return the correlation of the (U-)centred kernels, from their sums."""
    n = len(X)
    products, sums = np.zeros((2, 2)), np.zeros((2, n))
    for rows, blocks in square_blocks(X, Y):
        local = np.arange(len(rows))
        values = []
        for kernel, squares in zip(kernels, blocks, strict=True):
            value = kernel(squares)
            value[local, rows] = 0.0 if unbiased else at_zero
            values.append(value)
        for a in range(2):
            sums[a, rows] = values[a].sum(axis=1)
            for b in range(2):
                products[a, b] += np.vdot(values[a], values[b])

    def covariance(a: int, b: int) -> float:
        cross, ends = float(sums[a] @ sums[b]), float(sums[a].sum() * sums[b].sum())
        if unbiased:
            return float(products[a, b]) - 2 * cross / (n - 2) + ends / ((n - 1) * (n - 2))
        return float(products[a, b]) - 2 * cross / n + ends / n**2

    return covariance(0, 1) / float(np.sqrt(covariance(0, 0) * covariance(1, 1)))


def distance_correlation(X: Array, Y: Array) -> float:
    def root(squares: Array) -> Array:
        squares[np.isinf(squares)] = 0.0
        return np.sqrt(squares)

    return float(np.sqrt(_correlation(X, Y, (root, root), 0.0, unbiased=False)))


def rbf_cka(X: Array, Y: Array, bandwidths: tuple[float, float]) -> float:
    """Debiased CKA of Gaussian kernels."""

    def gaussian(bandwidth: float) -> Any:
        return lambda squares: np.exp(squares / (-2.0 * bandwidth**2))

    return _correlation(X, Y, tuple(map(gaussian, bandwidths)), 1.0, unbiased=True)


def information_imbalance(X: Array, Y: Array, k: int) -> tuple[float, float]:
    """Both directions, full ranks, ties counted by half."""
    totals = [0.0, 0.0]
    for _, (x, y) in square_blocks(X, Y):
        for way, (source, target) in enumerate(((x, y), (y, x))):
            listed = np.argpartition(source, k - 1, axis=1)[:, :k]
            ordered = np.sort(target, axis=1)
            for r, lists in enumerate(listed):
                at = target[r, lists]
                below = np.searchsorted(ordered[r], at, side="left")
                ties = np.searchsorted(ordered[r], at, side="right") - below - 1
                totals[way] += float((1 + below + 0.5 * ties).sum())
    n = len(X)
    forth, back = (2.0 / n * total / (n * k) for total in totals)
    return forth, back


def linear_family(X: Array, Y: Array) -> dict[str, float]:
    """Linear CKA, biased and debiased, and the mean canonical correlation."""
    X, Y = centered(X), centered(Y)
    n = len(X)
    xy, xx, yy = X.T @ Y, X.T @ X, Y.T @ Y
    norms = [np.einsum("ij,ij->i", Z, Z) for Z in (X, Y)]

    def hsic(product: Array, p: Array, q: Array) -> float:
        # Of centred rows, whose kernel sums to zero: with the diagonal taken out, -q.
        trace = (product**2).sum() - p @ q
        ends = p.sum() * q.sum()
        return float(trace + ends / ((n - 1) * (n - 2)) - 2 * (p @ q) / (n - 2))

    p, q = norms
    roots = [np.linalg.inv(np.linalg.cholesky(Z)) for Z in (xx, yy)]
    correlations = np.linalg.svd(roots[0] @ xy @ roots[1].T, compute_uv=False)
    return {
        "cka": float((xy**2).sum() / np.sqrt((xx**2).sum() * (yy**2).sum())),
        "cka debiased": hsic(xy, p, q) / float(np.sqrt(hsic(xx, p, p) * hsic(yy, q, q))),
        "cca": float(correlations.mean()),
    }


def nearest_distances(X: Array, k: int) -> Array:
    """Return the k smallest distances of every row, sorted."""
    found = np.empty((len(X), k))
    for rows, (squares,) in square_blocks(X):
        found[rows] = np.sort(np.partition(squares, k - 1, axis=1)[:, :k], axis=1)
    return np.sqrt(found)


def twonn(nearest_two: Array) -> float:
    """Slope of -ln(1 - F) on ln(r2 / r1) through the origin, the largest tenth left out."""
    ratios = np.sort(np.log(nearest_two[:, 1] / nearest_two[:, 0]))
    n = len(ratios)
    kept = int(n * 0.9)
    x, y = ratios[:kept], -np.log1p(-np.arange(1, kept + 1) / n)
    return float(x @ y / (x @ x))


def dimension_mle(distances: Array) -> float:
    """Levina and Bickel, combined harmonically."""
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return float((distances.shape[1] - 1) / logs.sum(axis=1).mean())
