"""What moments meet on a GPU alone: blocks of rows, rows split into parts, sets left at home."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience.backends.cuda import moments

PAIRS = [(0, 1), (1, 0), (2, 2), (3, 1), (0, 3), (1, 1)]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(moments, "FEWEST_ROWS", 64)
    monkeypatch.setattr(moments, "MOST_ROWS", 100)
    monkeypatch.setattr(moments, "FEWEST_SPLIT", 16)


def augmented(X, shift):
    U = X.astype(np.float64) - shift
    return np.column_stack([U, (U * U).sum(axis=1), np.ones(len(U))])


@pytest.mark.parametrize("n", [3, 100, 333])
def test_blocks_and_parts_add_up(cuda, small_blocks, rng, n):
    kinds = ((3, np.float32), (140, np.float64), (1, np.float32), (7, np.float64))
    sets = [(rng.standard_normal((n, d)) + 5.0).astype(kind) for d, kind in kinds]
    for (a, b), found in zip(PAIRS, cuda.moments(sets, PAIRS), strict=True):
        Z_a, Z_b = augmented(sets[a], found.shift_x), augmented(sets[b], found.shift_y)
        expected = Z_a.T @ Z_b
        size = np.abs(Z_a).T @ np.abs(Z_b)
        assert (np.abs(found.matrix - expected) <= 1e-13 * size).all()
        if a == b:
            assert_array_equal(found.matrix, found.matrix.T)


def test_a_small_memory_takes_a_few_pairs_at_a_time(cuda, rng, monkeypatch):
    monkeypatch.setattr(moments, "FEWEST_ROWS", 8)
    widths, pairs = (5, 30, 2), [(0, 1), (1, 1), (2, 0)]
    sets = [rng.standard_normal((90, d)) for d in widths]
    least = max(
        moments._result_bytes(widths, [pair], 90) + 8 * moments._row_bytes(widths, [pair])
        for pair in pairs
    )
    assert len(list(moments._batches(widths, pairs, 90, least))) > 1
    small = moments.moments(cuda.device, sets, pairs, max_memory=least)
    for found, expected in zip(small, cuda.moments(sets, pairs), strict=True):
        assert_allclose(found.matrix, expected.matrix, rtol=1e-12, atol=1e-12)
    with pytest.raises(MemoryError, match="moments needs"):
        list(moments.moments(cuda.device, sets, pairs, max_memory=least - 1))
