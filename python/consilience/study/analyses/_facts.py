"""Facts of the models: by name or in order, and which are known to be the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ByName = Mapping[str, Any] | Sequence[Any] | None


def known(value: Any) -> bool:
    """Return whether a fact is stated: not None, not empty and not nan."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    return not isinstance(value, str) or bool(value.strip())


def by_name(values: ByName, names: Sequence[str], what: str) -> list[Any]:
    """Return one value per model, None where it is not stated.

    Parameters
    ----------
    values : mapping from name, sequence in the order of `names`, or None
        A mapping may leave models out.
    names : sequence of str
    what : str
        What the values are, for the message.

    Raises
    ------
    ValueError
        If a sequence has another length, or a mapping names a model that is not there.
    """
    if values is None:
        return [None] * len(names)
    if isinstance(values, Mapping):
        strange = [name for name in values if name not in names]
        if strange:
            raise ValueError(
                f"`{what}` has {strange[0]!r}, which is no model of these scores: {list(names)}"
            )
        found = [values.get(name) for name in names]
    elif isinstance(values, str) or len(values) != len(names):
        raise ValueError(
            f"`{what}` must have one entry per model, {len(names)}, or map names to values; "
            f"got {values!r}"
        )
    else:
        found = list(values)
    return [value if known(value) else None for value in found]


def amounts(values: Sequence[Any], names: Sequence[str], what: str) -> list[float | None]:
    """Return the values as finite numbers, none negative, None where not stated."""
    for value, name in zip(values, names, strict=True):
        if value is not None and not 0.0 <= float(value) < math.inf:
            raise ValueError(
                f"`{what}` of {name!r} must be a finite number, not negative, got {value!r}"
            )
    return [None if value is None else float(value) for value in values]


def same(values: Sequence[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (equal, both known), each (n, n); an unknown equals nothing, not even an unknown."""
    stated = np.array([known(value) for value in values], dtype=bool)
    both = stated[:, None] & stated[None, :]
    equal = np.array([[a == b for b in values] for a in values], dtype=bool).reshape(both.shape)
    return equal & both, both
