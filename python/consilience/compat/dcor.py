"""dcor's distance covariances and correlations: `from consilience.compat import dcor`.

The same names, arguments and numbers, in float64 whatever comes in, and np.float64 comes back.
Arrays may be 1-D or 2-D, of floats or integers, and on a GPU. On purpose different:

- `exponent` must be 1, and `method` and `compile_mode` choose nothing: the sums over pairs are
  exact, O(n²) time and O(n) memory. For two single variables dcor's own O(n log n) is faster.
- Constant input raises ValueError; there covariance and correlation are 0.
- An unbiased correlation whose variance is not positive raises ValueError; there its sign is lost.
- Offsets in float32 cost no digits; there they do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from consilience._evaluate import terms_of
from consilience._validate import check_choice, check_samples
from consilience.metrics._kernels import CenteredKernels, of_pairs
from consilience.needs import PairNeed, View

METHODS = ("auto", "naive", "avl", "mergesort")


@dataclass(frozen=True)
class Stats:
    """Covariance, correlation and the two variances."""

    covariance_xy: np.float64
    correlation_xy: np.float64
    variance_x: np.float64
    variance_y: np.float64

    def __iter__(self) -> Iterator[np.float64]:
        return iter(astuple(self))


def distance_covariance_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the biased squared distance covariance, Σ A_ij B_ij / n² of centred distances."""
    found = _centered(x, y, exponent, method)
    return np.float64(found.xy / _pairs(found))


def distance_covariance(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the biased distance covariance, the root of its square."""
    return _root(distance_covariance_sqr(x, y, exponent=exponent, method=method))


def u_distance_covariance_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the unbiased squared distance covariance, which may be negative."""
    return np.float64(_unbiased(x, y, exponent, method).u_xy)


def distance_stats_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> Stats:
    """Return the biased squares of covariance, correlation and variances."""
    found = _centered(x, y, exponent, method)
    n2 = _pairs(found)
    correlation = found.xy / math.sqrt(found.xx * found.yy)
    return _stats(found.xy / n2, correlation, found.xx / n2, found.yy / n2)


def u_distance_stats_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> Stats:
    """Return the unbiased squares of covariance, correlation and variances."""
    found = _unbiased(x, y, exponent, method)
    found.require_spread(("x", "y"))
    correlation = found.u_xy / math.sqrt(found.u_xx * found.u_yy)
    return _stats(found.u_xy, correlation, found.u_xx, found.u_yy)


def distance_stats(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> Stats:
    """Return the biased covariance, correlation and standard deviations."""
    squares = distance_stats_sqr(x, y, exponent=exponent, method=method)
    return _stats(*map(_root, squares))


def distance_correlation_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the biased squared distance correlation."""
    return distance_stats_sqr(x, y, exponent=exponent, method=method).correlation_xy


def distance_correlation(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the biased distance correlation.

    Examples
    --------
    >>> import numpy as np
    >>> from consilience.compat import dcor
    >>> x = np.arange(5.0)
    >>> round(float(dcor.distance_correlation(x, 3 - 2 * x)), 12)
    1.0
    """
    return _root(distance_correlation_sqr(x, y, exponent=exponent, method=method))


def u_distance_correlation_sqr(
    x: Any, y: Any, *, exponent: float = 1, method: Any = "auto", compile_mode: Any = None
) -> np.float64:
    """Return the bias-corrected squared distance correlation, which may be negative."""
    return u_distance_stats_sqr(x, y, exponent=exponent, method=method).correlation_xy


def _stats(*values: float) -> Stats:
    return Stats(*map(np.float64, values))


def _root(square: float) -> np.float64:
    # Biased squares are not negative, but for rounding.
    return np.float64(math.sqrt(max(square, 0.0)))


def _pairs(found: CenteredKernels) -> float:
    return float(found.n) * found.n


def _unbiased(x: Any, y: Any, exponent: float, method: Any) -> CenteredKernels:
    found = _centered(x, y, exponent, method)
    check_samples(found.n, 4, "an unbiased estimate")
    return found


def _centered(x: Any, y: Any, exponent: float, method: Any) -> CenteredKernels:
    if exponent != 1:
        raise ValueError(
            f"`exponent` must be 1 here, got {exponent}: distances are Euclidean; "
            "use dcor itself for other powers"
        )
    check_choice(str(getattr(method, "name", method)).lower(), "method", METHODS)
    need = PairNeed(View(), "distance")
    arrays = (("x", _matrix(x)), ("y", _matrix(y)))
    return of_pairs(terms_of(arrays, (need,), [(0, 1)], nulls=False), 0, 1, need)


def _matrix(x: Any) -> Any:
    """Return a vector as one column, and integers as float64."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
        x = x.astype(np.float64)
    return x[:, None] if getattr(x, "ndim", None) == 1 else x
