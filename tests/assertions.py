"""Assertions on neighbor lists that know what a tie is."""

from __future__ import annotations

import numpy as np

from reference import distances as all_distances


def assert_neighbors(X, indices, distances, *, kind="l2", rtol=1e-6, atol=0.0):
    """Check k neighbors of every row of X, given all float64 distances.

    A neighbor may stand in for another only if both are equally far within the
    tolerance. Each row must hold k different indices, never its own, sorted by
    (distance, index), with the distances that belong to those indices.

    Parameters
    ----------
    X : array of shape (n, d)
        The values the neighbors were asked of.
    indices, distances : arrays of shape (n, k)
    kind : {"l2", "cosine", "ip"}
    rtol, atol : float
        Distances that differ by no more than `atol + rtol * |distance|` are tied.
    """
    indices, distances = np.asarray(indices), np.asarray(distances)
    n = len(X)
    if indices.shape != distances.shape or indices.ndim != 2 or len(indices) != n:
        raise AssertionError(
            f"indices and distances must both have shape ({n}, k), "
            f"got {indices.shape} and {distances.shape}"
        )
    if indices.dtype != np.int64 or distances.dtype != np.float64:
        raise AssertionError(
            f"want int64 indices and float64 distances, got {indices.dtype} and {distances.dtype}"
        )
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise AssertionError(f"indices must lie in [0, {n})")
    true = all_distances(X, kind)
    for i in range(n):
        _check_row(i, indices[i], distances[i], true[i], rtol, atol)


def _check_row(i, found, reported, true, rtol, atol):
    k = len(found)
    if i in found:
        raise AssertionError(f"row {i} is its own neighbor")
    if len(set(found.tolist())) != k:
        raise AssertionError(f"row {i} names a neighbor twice: {found.tolist()}")
    slack = atol + rtol * np.abs(true)
    wrong = np.abs(reported - true[found]) > slack[found]
    if wrong.any():
        at = int(np.argmax(wrong))
        raise AssertionError(
            f"row {i}: the distance to {found[at]} is {true[found[at]]!r}, got {reported[at]!r}"
        )
    if not _is_sorted(reported, found):
        raise AssertionError(f"row {i} is not ordered by (distance, index)")
    others = np.delete(true, i)
    furthest_allowed = np.sort(others)[k - 1]
    edge = atol + rtol * abs(furthest_allowed)
    beyond = true[found] > furthest_allowed + edge
    if beyond.any():
        j = found[int(np.argmax(beyond))]
        raise AssertionError(
            f"row {i}: {j} is at {true[j]!r}, beyond the k-th distance {furthest_allowed!r}"
        )
    must = np.flatnonzero(true < furthest_allowed - edge)
    missing = np.setdiff1d(must, np.append(found, i))
    if missing.size:
        raise AssertionError(
            f"row {i} misses {missing[0]} at {true[missing[0]]!r}, closer than the k-th "
            f"distance {furthest_allowed!r}"
        )


def _is_sorted(distances, indices):
    later = distances[1:] > distances[:-1]
    tied_in_order = (distances[1:] == distances[:-1]) & (indices[1:] > indices[:-1])
    return bool(np.all(later | tied_in_order))
