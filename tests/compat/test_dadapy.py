"""DADApy's class: its numbers where all ranks are known, the right ones where they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import consilience as cs
import reference
from consilience.compat.dadapy import MetricComparisons

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "prh_s0_n200.npz", allow_pickle=False)
A, B = GOLDEN["A"], GOLDEN["B"]
VALUES = dict(zip(GOLDEN["names"].tolist(), GOLDEN["values"].tolist(), strict=True))
LEFT, RIGHT = range(A.shape[1]), range(A.shape[1], A.shape[1] + B.shape[1])


@pytest.mark.parametrize("k", [1, 5, 25])
def test_the_golden_numbers_are_theirs(k):
    both = MetricComparisons(np.hstack([A, B]), maxk=20)
    found = both.return_inf_imb_two_selected_coords(LEFT, RIGHT, k=k)
    expected = VALUES[f"dadapy.ii.k{k}.AB"], VALUES[f"dadapy.ii.k{k}.BA"]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def table(rng):
    X = rng.standard_normal((90, 4))
    return np.hstack([X, X[:, :1] + 0.1 * rng.standard_normal((90, 1))])


def test_columns_against_columns(table):
    table = table[:40]
    found = MetricComparisons(table).return_inf_imb_matrix_of_coords(k=2)
    for i in range(5):
        for j in range(5):
            columns = table[:, [i]], table[:, [j]]
            expected = reference.information_imbalance(*columns, k=2) if i != j else 0.0
            expected = expected[0] if isinstance(expected, tuple) else expected
            assert found[i, j] == pytest.approx(expected, rel=1e-12)


def test_all_columns_against_some(table):
    comparisons = MetricComparisons(table)
    found = comparisons.return_inf_imb_full_selected_coords([[0, 1], [4]], k=3)
    assert found.shape == (2, 2)
    for at, columns in enumerate(([0, 1], [4])):
        expected = cs.information_imbalance(table, table[:, columns], k=3)
        assert tuple(found[:, at]) == expected
    each = comparisons.return_inf_imb_full_all_coords()
    assert each.shape == (2, 5)
    assert tuple(each[:, 2]) == cs.information_imbalance(table, table[:, [2]])


def test_two_sets_of_fewer_samples_than_a_subset(table):
    with pytest.warns(UserWarning, match="subset_size"):
        there, back = MetricComparisons(table).return_information_imbalace(table[:, :2], k=2)
    assert (there[0], back[0]) == cs.information_imbalance(table, table[:, :2], k=2)
    assert (there[1], back[1]) == (0.0, 0.0)


def test_two_sets_of_more_are_cut_into_disjoint_subsets(table):
    other = table[:, :2]
    there, back = MetricComparisons(table).return_information_imbalace(
        other, subset_size=20, avg=False
    )
    order = np.random.default_rng(42).choice(90, 90, replace=False)
    subsets = np.array_split(order, 4)  # of 23, 23, 22, 22: the last two are equal
    expected = [cs.information_imbalance(table[rows], other[rows]) for rows in subsets]
    assert list(zip(there, back, strict=True)) == expected
    mean = MetricComparisons(table).return_information_imbalace(other, subset_size=20)[0]
    assert mean[0] == pytest.approx(there.mean(), rel=1e-12)
    assert mean[1] == pytest.approx(there.std(ddof=1) / 2.0, rel=1e-12)
    with pytest.warns(UserWarning, match="repeats is 4"):
        MetricComparisons(table).return_information_imbalace(other, subset_size=20, repeats=9)
    whole = MetricComparisons(table).return_information_imbalace(other, subset_size=20, repeats=1)
    assert whole[0][0] == cs.information_imbalance(table, other)[0]


def test_what_is_not_compared_here_raises(table):
    with pytest.raises(ValueError, match="no `distances`"):
        MetricComparisons(distances=np.ones((3, 3)))
    with pytest.raises(ValueError, match="`period`"):
        MetricComparisons(table, period=1.0)
    with pytest.raises(ValueError, match="2-D"):
        MetricComparisons(table[0])
    with pytest.raises(ValueError, match="same number of samples"):
        MetricComparisons(table).return_information_imbalace(table[:5])
