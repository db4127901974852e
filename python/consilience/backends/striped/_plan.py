"""How the work of an op is cut: by rows, into stripes of about as many seconds as asked for.

A plan looks at the sizes of the arrays alone, never at who will work: sums have one order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from consilience.backends.base import PAIR_STEP

# Products per second of one core, about, by which seconds are estimated: of stripes, and of all
# pairs for sums, though a sweep makes each tile once (bench/bench_scaling_out.py).
RATES = {
    "knn_exact": 80e9,
    "knn_approx": 7e9,
    "rank_counts": 45e9,
    "joint_nearest": 140e9,
    "pair_rows": 80e9,
    "moments": 50e9,
    "pair_terms": 140e9,
}
# Of a task, by default: the overhead of one on Dask is below 0.1 s (docs/scaling.md).
TASK_SECONDS = 10.0
# Rows that a stripe has at least. What every stripe does for itself (rounding all rows to words,
# turning them onto axes) takes as long as 400 of its rows for ranks, and as 1,000 to 4,000 for
# neighbours, the more the better axes tell rows apart (bench/bench_scaling_out.py).
# For sums over pairs: centring all rows takes as long as 600 of them.
LEAST_ROWS = {"knn_exact": 8192, "joint_nearest": 8192, "rank_counts": 2048, "pair_terms": 4096}
# A sweep over all rows makes each tile once, for both of its sides; stripes make it twice. Up to
# so many stripes, all rows are one task.
WORTH_CUTTING = 4
# Work below this share of a task is done at once where it is asked for.
LEAST_SHARE = 1 / 20
# Bytes of the result of a task of moments, about.
RESULT_BYTES = 256 << 20

Stripe = tuple[int, int]


def seconds_of(op: str, products: float) -> float:
    """Return how long one core takes for an op, about."""
    return products / RATES[op]


def stripes_of(
    op: str, n_rows: int, products: float, *, seconds: float, rows: int | None, symmetric: bool
) -> list[Stripe | None]:
    """Return the stripes [first, stop) of an op over `n_rows` rows, or [None] for all at once.

    Parameters
    ----------
    products : float
        Multiplications of the op.
    seconds : float
        Of one core, that a stripe is to take at least.
    rows : int, optional
        Rows of a stripe, instead.
    symmetric : bool
        Whether all rows at once cost half of what their stripes do.
    """
    if rows is not None:
        count = math.ceil(n_rows / rows)
    else:
        count = min(n_rows // LEAST_ROWS.get(op, 1), int(seconds_of(op, products) / seconds))
        if symmetric and count <= WORTH_CUTTING:
            count = 1
    if count <= 1:
        return [None]
    edges = [round(i * n_rows / count) for i in range(count + 1)]
    return [(first, stop) for first, stop in pairwise(edges) if first < stop]


def triangle_stripes(
    n_rows: int, products: float, *, seconds: float, rows: int | None
) -> list[Stripe | None]:
    """Return stripes of `pair_terms`, of about equal work, or [None] for all at once.

    A row meets those after it alone: stripes grow longer towards the end. Parameters as above;
    `rows` are those of a stripe on average.
    """
    if rows is not None:
        count = math.ceil(n_rows / rows)
    else:
        fitting = n_rows // LEAST_ROWS.get("pair_terms", 1)
        count = min(fitting, int(seconds_of("pair_terms", products) / seconds))
    inner = (n_rows * (1.0 - math.sqrt(1.0 - i / count)) for i in range(1, count))
    edges = [0, *(int(edge) // PAIR_STEP * PAIR_STEP for edge in inner), n_rows]
    stripes = [(first, stop) for first, stop in pairwise(edges) if first < stop]
    return [None] if len(stripes) == 1 else [*stripes]


def batches_of_pairs(
    pairs: Sequence[tuple[int, int]], widths: Sequence[int]
) -> list[list[tuple[int, int]]]:
    """Return the pairs in their order, as many at a time as one result may hold."""
    batches: list[list[tuple[int, int]]] = []
    room = 0
    for a, b in pairs:
        size = 8 * (widths[a] + 2) * (widths[b] + 2)
        if size > room or not batches:
            batches.append([])
            room = RESULT_BYTES
        batches[-1].append((a, b))
        room -= size
    return batches
