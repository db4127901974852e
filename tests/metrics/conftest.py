"""Inputs of every shape, layout and precision that a metric must take as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest


class Case(NamedTuple):
    X: np.ndarray
    Y: np.ndarray
    # Inputs of less than 53 bits may be worked on in less; each sum is float64 all the same.
    rel: float


def related(n, d1, d2, seed=1):
    """Two embeddings that share a third of what they know and no exact direction."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 4))
    X = shared @ rng.standard_normal((4, d1)) + 0.7 * rng.standard_normal((n, d1))
    Y = shared @ rng.standard_normal((4, d2)) + 0.9 * rng.standard_normal((n, d2))
    return X, Y


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


def with_duplicates(X, rng):
    X = X.copy()
    X[rng.permutation(len(X))[: len(X) // 10]] = X[0]
    return X


def sliced(X):
    """The same values, seen through strides along both axes."""
    room = np.full((2 * X.shape[0] + 1, 3 * X.shape[1] + 2), np.nan)
    room[1::2, 2::3] = X
    return room[1::2, 2::3]


def across_bounds(X):
    """The same values, none where a processor reads a number in one piece."""
    room = np.ndarray(X.shape, X.dtype, bytearray(X.nbytes + 1), 1)
    room[...] = X
    return room


def build(name):
    X, Y = related(61, 7, 5)
    rng = np.random.default_rng(2)
    if name == "odd n":
        return X, Y
    if name == "more features than samples":
        return related(23, 40, 31)
    if name == "one feature":
        return related(47, 1, 1)
    if name == "float32":
        return X.astype(np.float32), Y.astype(np.float32)
    if name == "float16":
        return X.astype(np.float16), Y.astype(np.float16)
    if name == "two precisions":
        return X.astype(np.float32), Y
    if name == "Fortran order":
        return np.asfortranarray(X), Y
    if name == "strided":
        return sliced(X), sliced(Y)
    if name == "reversed":
        return X[::-1, ::-1], Y[::-1]
    if name == "read-only":
        return read_only(X), read_only(Y)
    if name == "not aligned":
        return across_bounds(X), across_bounds(Y.astype(np.float32))
    if name == "duplicates":
        return with_duplicates(X, rng), with_duplicates(Y, rng)
    if name == "ties":
        return tuple(rng.integers(-3, 4, (53, 3)).astype(np.float64) for _ in range(2))
    if name == "ties in float32":
        return tuple(rng.integers(-3, 4, (53, 3)).astype(np.float32) for _ in range(2))
    raise ValueError(name)


# Normalized rows of small integers tie in exact arithmetic but not in float64, so that
# their order is a matter of rounding: only unnormalized metrics are asked about them.
TIED = ["ties", "ties in float32", "duplicates"]
SEPARATED = [
    "odd n",
    "more features than samples",
    "one feature",
    "float32",
    "float16",
    "two precisions",
    "Fortran order",
    "strided",
    "reversed",
    "read-only",
    "not aligned",
    "duplicates",
]


def make(name):
    X, Y = build(name)
    exact = X.dtype == np.float64 and Y.dtype == np.float64
    return Case(X, Y, 1e-9 if exact else 1e-6)


@pytest.fixture(params=SEPARATED)
def case(request):
    return make(request.param)


@pytest.fixture(params=TIED)
def tied(request):
    return make(request.param)


@pytest.fixture(params=[c for c in SEPARATED if c != "one feature"])
def case_with_features(request):
    """For metrics that say nothing about a single feature (row norms, rotations)."""
    return make(request.param)
