"""Cross-moments of one batch about shifts that are given, left where the batch is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consilience.backends._placement import Place, require_float64
from consilience.terms import Floats


def block_moments(
    sets: Sequence[Any],
    pairs: Sequence[tuple[int, int]],
    shifts: Sequence[Floats],
    where: Place,
    n_threads: int | None = None,
) -> list[Any]:
    """Return Z_aᵀ Z_b of each pair, Z = [x - shift | ‖x - shift‖² | 1], in float64.

    By the native kernel in host memory; by matrix products of the library that holds them
    elsewhere, to which it returns.
    """
    if where.kind == "host":
        from consilience import _core
        from consilience.backends.native import cpu_count

        return list(
            _core.moments(sets, pairs=pairs, shifts=shifts, n_threads=n_threads or cpu_count())
        )
    return products(sets, pairs, shifts)


def products(
    sets: Sequence[Any], pairs: Sequence[tuple[int, int]], shifts: Sequence[Floats]
) -> list[Any]:
    """Return the same by array code, on any device that has float64."""
    from array_api_compat import array_namespace, device

    augmented = []
    for X, shift in zip(sets, shifts, strict=True):
        require_float64(X)
        xp = array_namespace(X)
        U = xp.astype(X, xp.float64) - xp.asarray(shift, device=device(X))[None, :]
        norms = xp.sum(U * U, axis=1, keepdims=True)
        augmented.append(xp.concat([U, norms, xp.ones_like(norms)], axis=1))
    made = []
    for a, b in pairs:
        matrix = augmented[a].T @ augmented[b]
        made.append((matrix + matrix.T) / 2.0 if a == b else matrix)
    return made


def column_means(X: Any) -> Floats:
    """Return the column means at home, in float64."""
    from consilience.backends._offsets import to_host

    if isinstance(X, np.ndarray):
        return np.asarray(X.mean(axis=0, dtype=np.float64))
    from array_api_compat import array_namespace

    require_float64(X)
    xp = array_namespace(X)
    return np.asarray(to_host(xp.mean(xp.astype(X, xp.float64), axis=0)))
