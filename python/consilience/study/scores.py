"""One metric over all models: scores, what chance would give, and how sure they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience.inference.discovery import benjamini_hochberg

Array = NDArray[np.float64]
Kind = Literal["pair", "directed", "single"]

KINDS = ("pair", "directed", "single")
# Arrays shaped like the values that a metric may do without.
OPTIONAL = ("null_mean", "null_std", "std_error", "p_value", "calibrated")


@dataclass(frozen=True, eq=False)
class Scores:
    """One metric, with one choice of settings, over all models.

    Parameters
    ----------
    label : str
        Name of this column of the study, for example ``"information_imbalance[k=50]"``.
    metric : str
        Registered name of the metric, for example ``"information_imbalance"``.
    kind : {"pair", "directed", "single"}
        "pair": one score for two models. "directed": a score from one model to another.
        "single": a score of one model alone, such as an intrinsic dimension.
    settings : dict
        The options the metric ran with. JSON-able.
    bounds : (float, float)
        Lowest and highest value the metric can take; may be infinite.
    symmetric : bool
        True if the score of (a, b) is the score of (b, a) by definition.
    values : array of shape (n_models, n_models), or (n_models,) for "single"
        ``values[a, b]`` compares a with b, or goes from a to b. The diagonal is the model
        with itself. Finite.
    null_mean, null_std, std_error : arrays shaped like `values`, optional
        Mean and standard deviation of the score over relabellings of one model's samples, and
        the standard error of the score. nan where the quantity is not defined.
    details : dict of arrays shaped like `values`
        Further numbers of each cell, for example ``"dropped_a"``. nan where not defined.
    p_value, calibrated : arrays shaped like `values`, optional
        The share of relabellings of one model's samples that come out as close as the two
        models do, or closer, and the score as a share of the way from what only 5 % of
        relabellings reach (0) to the most there can be (1). nan where not defined.

    Notes
    -----
    All arrays are kept as read-only float64 copies.
    """

    label: str
    metric: str
    kind: Kind
    settings: dict[str, Any]
    bounds: tuple[float, float]
    symmetric: bool
    values: Array
    null_mean: Array | None = None
    null_std: Array | None = None
    std_error: Array | None = None
    details: dict[str, Array] = field(default_factory=dict)
    p_value: Array | None = None
    calibrated: Array | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.label}: `kind` must be one of {KINDS}, got {self.kind!r}")
        low, high = (float(bound) for bound in self.bounds)
        if not low <= high:
            raise ValueError(f"{self.label}: `bounds` must be (low, high), got {self.bounds}")
        values = _frozen_array(self.values, f"{self.label}: `values`")
        _check_shape_for_kind(values, self.kind, self.label)
        _check_finite(values, self.label)
        object.__setattr__(self, "bounds", (low, high))
        object.__setattr__(self, "values", values)
        for name in OPTIONAL:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._shaped(getattr(self, name), name))
        details = {name: self._shaped(array, name) for name, array in self.details.items()}
        object.__setattr__(self, "details", details)
        for name in ("null_std", "std_error"):
            array = getattr(self, name)
            if array is not None and bool(np.any(array < 0)):
                raise ValueError(f"{self.label}: `{name}` must not be negative")
        for name in ("p_value", "calibrated"):
            array = getattr(self, name)
            if array is not None and bool(np.any((array < 0) | (array > 1))):
                raise ValueError(f"{self.label}: `{name}` must be in [0, 1]")

    def _shaped(self, array: ArrayLike, name: str) -> Array:
        result = _frozen_array(array, f"{self.label}: `{name}`")
        if result.shape != self.values.shape:
            raise ValueError(
                f"{self.label}: `{name}` must have the shape of `values`, "
                f"{self.values.shape}, got {result.shape}"
            )
        return result

    def z(self) -> Array | None:
        """Return (values - null_mean) / null_std, nan where the null has no spread, or None."""
        if self.null_mean is None or self.null_std is None:
            return None
        result = np.full(self.values.shape, np.nan)
        defined = (self.null_std > 0) & np.isfinite(self.null_mean)
        np.divide(self.values - self.null_mean, self.null_std, out=result, where=defined)
        return result

    def q_value(self) -> Array | None:
        """Return the p-values adjusted for the number of cells (Benjamini-Hochberg), or None.

        Each pair of a symmetric metric counts once. nan where there is no p-value.
        """
        if self.p_value is None:
            return None
        cells = self.cells()
        found = benjamini_hochberg(np.array([self.at(self.p_value, a, b) for a, b in cells]))
        result = np.full(self.values.shape, np.nan)
        for (a, b), q in zip(cells, found, strict=True):
            if self.kind == "single":
                result[a] = q
                continue
            result[a, b] = q
            if self.kind == "pair" and self.symmetric:
                result[b, a] = q
        return result

    def subset(self, positions: Sequence[int]) -> Scores:
        """Return the scores of the models at these positions, in this order."""
        chosen = np.asarray(positions, dtype=np.intp)
        at = (chosen,) if self.kind == "single" else np.ix_(chosen, chosen)
        arrays = {name: getattr(self, name) for name in OPTIONAL}
        changed: dict[str, Any] = {
            name: None if array is None else array[at] for name, array in arrays.items()
        }
        details = {name: array[at] for name, array in self.details.items()}
        return replace(self, values=self.values[at], details=details, **changed)

    def interval(self, level: float = 0.95) -> tuple[Array, Array] | None:
        """Return the normal interval of each score, clipped to the bounds, or None."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"`level` must lie strictly between 0 and 1, got {level}")
        if self.std_error is None:
            return None
        reach = NormalDist().inv_cdf(0.5 + level / 2.0) * self.std_error
        low, high = self.bounds
        # clip keeps nan, so an undefined error stays an undefined interval
        return np.clip(self.values - reach, low, high), np.clip(self.values + reach, low, high)

    def cells(self) -> list[tuple[int, int]]:
        """Return the (a, b) that carry information: each pair once, or in both directions.

        A "single" score has cells (a, a). The diagonal of the others is left out.
        """
        n_models = len(self.values)
        if self.kind == "single":
            return [(a, a) for a in range(n_models)]
        if self.kind == "pair" and self.symmetric:
            return list(itertools.combinations(range(n_models), 2))
        return list(itertools.permutations(range(n_models), 2))

    def at(self, array: Array | None, a: int, b: int) -> float:
        """Return the entry of `array` for cell (a, b); nan if there is no array."""
        if array is None:
            return math.nan
        return float(array[a] if self.kind == "single" else array[a, b])


def _frozen_array(array: ArrayLike, name: str) -> Array:
    try:
        result = np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers ({error})") from None
    result.setflags(write=False)
    return result


def _check_shape_for_kind(values: Array, kind: str, label: str) -> None:
    square = values.ndim == 2 and values.shape[0] == values.shape[1]
    if kind == "single" and values.ndim != 1:
        raise ValueError(f"{label}: `values` must be (n_models,), got {values.shape}")
    if kind != "single" and not square:
        raise ValueError(f"{label}: `values` must be (n_models, n_models), got {values.shape}")


def _check_finite(values: Array, label: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{label}: `values` must be finite, got {values[place]} at {place}; "
            f"an undefined score must raise where it is computed"
        )
