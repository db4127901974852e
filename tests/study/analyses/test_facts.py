from __future__ import annotations

import math

import pytest

from consilience.study.analyses._facts import by_name, known, same


def test_an_unknown_equals_nothing():
    equal, both = same(["MPtrj", "", None, "MPtrj", math.nan, " ", "OMat"])
    assert [(a, b) for a, b in zip(*equal.nonzero(), strict=True) if a < b] == [(0, 3)]
    assert both.sum(axis=1).tolist() == [3, 0, 0, 3, 0, 0, 3]


@pytest.mark.parametrize("value", [0, False, "x", 1.5])
def test_what_is_stated_is_known(value):
    assert known(value)


def test_facts_come_by_name_or_in_order():
    assert by_name({"b": 2}, ["a", "b"], "size") == [None, 2]
    assert by_name(["", 2], ["a", "b"], "size") == [None, 2]
    assert by_name(None, ["a", "b"], "size") == [None, None]
    with pytest.raises(ValueError, match="`size` has 'c', which is no model"):
        by_name({"c": 1}, ["a", "b"], "size")
    with pytest.raises(ValueError, match="`size` must have one entry per model, 2"):
        by_name("ab", ["a", "b"], "size")
