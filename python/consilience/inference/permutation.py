r"""Exact moments of a score over all relabellings of one model's samples.

For :math:`T = \sum_{i \ne j} A_{ij} B_{\pi(i)\pi(j)}` with :math:`\pi` uniform over the n!
permutations (Mantel 1967; the second moment as in Barton and David 1966).
"""

from __future__ import annotations

import math

import numpy as np

from consilience.terms import Floats, MantelTerms, PairSums


def mantel_moments(A: MantelTerms, B: MantelTerms, n: int) -> tuple[float, float]:
    """Return mean and variance of T.

    E[T] = S_A S_B / (n)_2 and E[T²] sums, over the ways two edges can share ends, the products
    of A's and B's sums over such pairs of edges divided by the falling factorial of the number
    of distinct ends.
    """
    two, three, four = _falling(n)
    mean = A.sum * B.sum / two
    second = (A.squares * B.squares + A.reciprocal * B.reciprocal) / two
    if n > 2:
        second += (
            _same_start(A) * _same_start(B)
            + _same_end(A) * _same_end(B)
            + 2.0 * _chain(A) * _chain(B)
        ) / three
    if n > 3:
        second += _disjoint(A) * _disjoint(B) / four
    return mean, max(second - mean * mean, 0.0)


def _falling(n: int) -> tuple[float, float, float]:
    two = float(n) * (n - 1)
    return two, two * (n - 2), two * (n - 2) * (n - 3)


def _same_start(A: MantelTerms) -> float:
    return A.row_squares - A.squares


def _same_end(A: MantelTerms) -> float:
    return A.col_squares - A.squares


def _chain(A: MantelTerms) -> float:
    return A.row_col - A.reciprocal


def _disjoint(A: MantelTerms) -> float:
    joined = A.squares + A.reciprocal + _same_start(A) + _same_end(A) + 2.0 * _chain(A)
    return A.sum * A.sum - joined


def symmetric_part(A: MantelTerms) -> MantelTerms:
    """Return the terms of (A + Aᵀ) / 2."""
    squares = (A.squares + A.reciprocal) / 2.0
    rows = (A.row_squares + A.col_squares + 2.0 * A.row_col) / 4.0
    return MantelTerms(A.sum, squares, squares, rows, rows, rows)


def of_ranks(columns: Floats, squares: Floats, block: Floats) -> MantelTerms:
    """Return the terms of a matrix of ranks less their mean n / 2.

    Every row holds the ranks 1 to n - 1, ties shared, so rows then sum to 0. How alike rank(i, j)
    and rank(j, i) are comes from a block, exactly if it is of all samples.

    columns, squares : (n,), its column sums and squared row norms;  block : ranks, (m, m)
    """
    n, m = len(columns), len(block)
    mean = n / 2.0
    centered = block - mean
    np.fill_diagonal(centered, 0.0)
    reciprocal = float(np.vdot(centered, centered.T)) / (m * (m - 1.0)) * (n * (n - 1.0))
    about = columns - mean * (n - 1.0)
    spread = float(squares.sum()) - n * (n - 1.0) * mean * mean
    return MantelTerms(0.0, spread, reciprocal, 0.0, float(about @ about), 0.0)


def of_pair_sums(sums: PairSums) -> tuple[MantelTerms, MantelTerms]:
    """Return the terms of the two dense symmetric matrices behind pair sums, less their means.

    A constant off the diagonal moves T by a constant; without it the variance keeps its digits.
    """
    n = sums.n_samples

    def terms(squares: float, rows: Floats) -> MantelTerms:
        total = float(rows.sum())
        squares -= total * total / (n * (n - 1.0))
        rows = rows - total / n
        row_squares = float(rows @ rows)
        return MantelTerms(0.0, squares, squares, row_squares, row_squares, row_squares)

    return terms(sums.aa, sums.rows_a), terms(sums.bb, sums.rows_b)


def centered_moments(
    n: int,
    trace: tuple[float, float],
    diagonal_squares: tuple[float, float],
    squares: tuple[float, float],
) -> tuple[float, float]:
    """Return mean and variance of Σ_ij A_ij B_π(i)π(j), diagonal included.

    A and B are symmetric and double-centred.

    trace : Σ A_ii;  diagonal_squares : Σ A_ii²;  squares : Σ_ij A_ij²; of A and of B

    As rows of A sum to 0, its row sums without the diagonal are -A_ii.
    """
    two, three, _ = _falling(n)
    terms = [
        MantelTerms(-t, s - d, s - d, d, d, d)
        for t, d, s in zip(trace, diagonal_squares, squares, strict=True)
    ]
    mean_off, variance_off = mantel_moments(terms[0], terms[1], n)
    mean_diagonal = trace[0] * trace[1] / n
    variance_diagonal = 1.0
    for t, d in zip(trace, diagonal_squares, strict=True):
        variance_diagonal *= max(d - t * t / n, 0.0)
    variance_diagonal /= n - 1
    # E[off · diagonal]: the diagonal's index is one end of the edge (twice), or neither.
    ends, neither = 1.0, 1.0
    for t, d in zip(trace, diagonal_squares, strict=True):
        ends *= -d
        neither *= -t * t + 2.0 * d
    product = 2.0 * ends / two + (neither / three if n > 2 else 0.0)
    covariance = product - mean_off * mean_diagonal
    variance = variance_off + variance_diagonal + 2.0 * covariance
    return mean_off + mean_diagonal, max(variance, 0.0)


def u_centered_std(n: int) -> float:
    """Return the standard deviation of a correlation of U-centred matrices: √(2 / (n (n-3))).

    It follows from `mantel_moments` with zero row sums, and depends on n alone.
    """
    return math.sqrt(2.0 / (n * (n - 3.0)))
