"""Seeded samples are the same for all, of the sizes asked for, and drawn evenly."""

from __future__ import annotations

import numpy as np
import pytest

from consilience._draws import FOR_ROWS, FOR_SUBSETS, parts_of, some_of


@pytest.mark.parametrize(
    ("n", "size", "parts"), [(1, 1, 1), (7, 3, 2), (31, 10, 3), (5001, 2500, 2), (4097, 128, 9)]
)
def test_parts_are_those_with_the_smallest_words(n: int, size: int, parts: int) -> None:
    words = np.random.Philox(key=FOR_SUBSETS, counter=[0, 0, 0, 5]).random_raw(n)
    order = np.argsort(words, kind="stable")
    found = parts_of(n, size, parts, FOR_SUBSETS, 5)
    assert len(found) == parts
    for part, chosen in enumerate(found):
        np.testing.assert_array_equal(chosen, np.sort(order[part * size : (part + 1) * size]))


def test_a_sample_as_large_as_the_whole_is_the_whole() -> None:
    for size in (9, 10):
        np.testing.assert_array_equal(some_of(9, size, FOR_ROWS), np.arange(9))


def test_every_number_is_as_likely_as_any_other() -> None:
    counts = np.zeros(50)
    for draw in range(4000):
        counts[some_of(50, 10, FOR_ROWS, draw)] += 1
    assert abs(counts - 800).max() < 5 * np.sqrt(4000 * 0.2 * 0.8)
    assert (some_of(50, 10, FOR_ROWS) != some_of(50, 10, FOR_SUBSETS)).any()
