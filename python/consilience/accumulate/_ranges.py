"""What a batch is checked for: unlike a whole set, it may hold one row, or equal ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from consilience._validate import LARGEST, finite_ranges
from consilience.terms import Floats


def column_ranges(values: Any, name: str) -> tuple[Floats, Floats]:
    """Return the largest and smallest entry of every column at home, in float64.

    Raises ValueError on NaN, infinity, or numbers whose eighth power leaves float64.
    """
    from consilience.backends._offsets import to_host

    high, low = (to_host(found).astype(np.float64) for found in finite_ranges(values, name))
    largest = max(abs(float(high.max())), abs(float(low.min())))
    if largest > LARGEST:
        raise ValueError(f"`{name}` holds numbers too large to compute with ({largest:.3g})")
    return high, low
