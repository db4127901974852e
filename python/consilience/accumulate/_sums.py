"""Augmented cross-moments of all pairs of models about common shifts, which may be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.terms import CenteredMoments
from consilience.terms import Moments as PairMoments


def pairs_of(n_models: int) -> list[tuple[int, int]]:
    """Return the pairs a <= b."""
    return [(a, b) for a in range(n_models) for b in range(a, n_models)]


def move_shifts(matrix: Any, step_x: Any, step_y: Any) -> None:
    """Turn Z_xᵀ Z_y, in place, into the moments about shifts that are so much further.

    Exact: with u' = u - δ, ‖u'‖² = ‖u‖² - 2 u·δ + ‖δ‖², so that Z' = Z T. NumPy, torch or CuPy.
    """
    _move_columns(matrix, step_y)
    _move_columns(matrix.T, step_x)


def _move_columns(matrix: Any, step: Any) -> None:
    d = matrix.shape[1] - 2
    count = matrix[:, -1]
    matrix[:, d] += (step @ step) * count - 2.0 * (matrix[:, :d] @ step)
    matrix[:, :d] -= count[:, None] * step[None, :]


@dataclass
class Sums:
    """The moments of all pairs a <= b, in the order of `pairs_of`: NumPy, torch or CuPy.

    shifts : of each model, (d,);  matrices : (d_a + 2, d_b + 2)
    """

    shifts: list[Any]
    matrices: list[Any]

    def add(self, matrices: Sequence[Any]) -> None:
        """Add moments about the same shifts."""
        for total, matrix in zip(self.matrices, matrices, strict=True):
            total += matrix

    def own(self, model: int) -> Any:
        """Return the moments of a model with itself."""
        return self.matrices[pairs_of(len(self.shifts)).index((model, model))]

    def means(self) -> list[Any]:
        """Return the means of all rows."""
        return [
            shift + own[-1, : len(shift)] / own[-1, -1]
            for shift, own in zip(self.shifts, map(self.own, range(len(self.shifts))), strict=True)
        ]

    def moved(self, shifts: Sequence[Any]) -> Sums:
        """Return the moments about other shifts; these stay."""
        steps = [new - old for new, old in zip(shifts, self.shifts, strict=True)]
        matrices = []
        for (a, b), matrix in zip(pairs_of(len(steps)), self.matrices, strict=True):
            moved = matrix * 1.0
            move_shifts(moved, steps[a], steps[b])
            matrices.append((moved + moved.T) / 2.0 if a == b else moved)
        return Sums(list(shifts), matrices)

    def drifted(self) -> bool:
        """Return whether a column's mean is further from its shift than it is wide; of NumPy."""
        for shift, own in zip(self.shifts, map(self.own, range(len(self.shifts))), strict=True):
            d = len(shift)
            mean_part = own[-1, :d] ** 2 / own[-1, -1]
            if np.any(mean_part > own.diagonal()[:d] - mean_part):
                return True
        return False

    def centered(self, a: int, b: int) -> CenteredMoments:
        """Return the moments of a and b about their means; of NumPy."""
        if a > b:
            return self.centered(b, a).transposed()
        matrix = self.matrices[pairs_of(len(self.shifts)).index((a, b))]
        return PairMoments(matrix, self.shifts[a], self.shifts[b]).centered()


def joined(one: Sums, other: Sums) -> Sums:
    """Return the moments of both blocks of rows; the same bits whichever comes first."""
    counts = one.matrices[0][-1, -1], other.matrices[0][-1, -1]
    total = counts[0] + counts[1]
    # Close to what both are wide, so that moving cancels no digits.
    shifts = [
        (counts[0] * x + counts[1] * y) / total
        for x, y in zip(one.means(), other.means(), strict=True)
    ]
    parts = one.moved(shifts).matrices, other.moved(shifts).matrices
    return Sums(shifts, [a + b for a, b in zip(*parts, strict=True)])
