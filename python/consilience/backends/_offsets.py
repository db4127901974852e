"""Offsets that keep the digits of pair sums, whichever backend sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_cupy_array, is_torch_array, to_device

from consilience._mapped import taken
from consilience.backends.base import Channel
from consilience.terms import Floats, Indices


def typical_offsets(channel: Channel) -> Floats:
    """Return about half of what is usual in each row of the channel's n × n matrix.

    u_i = median_s A_is - ½ median A over a seeded sample of 64 columns s: a far row does not
    move it. Any offsets give the same centred statistics; these keep their digits.
    """
    xp = array_namespace(channel.X)
    n = channel.X.shape[0]
    chosen = np.random.default_rng(0).integers(0, n, 64)
    center = xp.astype(channel.X[:1, :], xp.float64)
    sample = xp.astype(
        xp.take(channel.X, xp.asarray(chosen, device=device(channel.X)), axis=0), xp.float64
    )
    sample = sample - center
    sample_norms = xp.sum(sample * sample, axis=1)
    parts = []
    for start in range(0, n, 4096):
        rows = xp.astype(channel.X[start : min(n, start + 4096), :], xp.float64) - center
        norms = xp.sum(rows * rows, axis=1)
        squares = norms[:, None] + sample_norms[None, :] - 2.0 * (rows @ sample.T)
        parts.append(np.maximum(to_host(squares), 0.0))
    values = channel_values(channel, np.concatenate(parts))
    return np.median(values, axis=1) - 0.5 * float(np.median(values))


def channel_values(channel: Channel, squares: Floats) -> Floats:
    """Return the channel's function of squared distances."""
    if channel.function == "distance":
        return np.sqrt(squares)
    if channel.function == "squared":
        return squares
    return np.exp(-channel.gamma * squares)


def rows_of(X: Any, chosen: Indices) -> Any:
    """Return some rows, where the array is."""
    if isinstance(X, np.ndarray):
        return taken(X, chosen)
    xp = array_namespace(X)
    return xp.take(X, xp.asarray(chosen, device=device(X)), axis=0)


def to_host(array: Any) -> Any:
    """Return the array as NumPy."""
    if is_cupy_array(array) or is_torch_array(array):
        array = to_device(array, "cpu")
    return np.asarray(array)
