from __future__ import annotations

import numpy as np
import pytest

from consilience import ScoreMatrix, Scores


@pytest.fixture
def scores_of():
    """Scores from a matrix, or from a vector for scores of single models."""

    def make(values, *, label="cknna", metric=None, kind=None, settings=None, **more):
        values = np.asarray(values, dtype=float)
        symmetric = values.ndim == 1 or bool(np.array_equal(values, values.T))
        kind = kind or ("single" if values.ndim == 1 else "pair" if symmetric else "directed")
        bounds = more.pop("bounds", (0.0, float("inf") if kind == "single" else 1.0))
        return Scores(
            label, metric or label, kind, settings or {}, bounds, symmetric, values, **more
        )

    return make


@pytest.fixture
def matrix_of():
    """A score matrix of some scores, for models m0, m1, ... if no names are given."""

    def make(*scores, names=None):
        n = len(scores[0].values)
        names = tuple(names or (f"m{a}" for a in range(n)))
        return ScoreMatrix(names, 100, (8,) * n, {s.label: s for s in scores})

    return make


@pytest.fixture
def random_scores(rng):
    """A symmetric matrix of distinct numbers in (0.1, 0.9), 1 on the diagonal."""

    def make(n):
        values = np.eye(n)
        upper = np.triu_indices(n, 1)
        values[upper] = rng.uniform(0.1, 0.9, len(upper[0]))
        return np.maximum(values, values.T)

    return make
