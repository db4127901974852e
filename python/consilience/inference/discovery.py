"""Many tests at once."""

from __future__ import annotations

import numpy as np

from consilience.terms import Floats


def benjamini_hochberg(p: Floats) -> Floats:
    r"""Return the adjusted p-values of Benjamini and Hochberg, nan where p is nan.

    .. math:: q_{(i)} = \min_{j \ge i} \frac{m}{j}\, p_{(j)}

    over the m defined p-values in ascending order. Calling all tests with q ≤ 0.05 discoveries
    keeps the expected share of false ones among them below 0.05, if the tests are independent
    or positively dependent.

    Parameters
    ----------
    p : array of any shape

    References
    ----------
    [benjamini1995]_

    Examples
    --------
    >>> import numpy as np
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan])).tolist()
    [0.03, 0.04, 0.04, nan]
    """
    q = np.full(p.shape, np.nan)
    defined = np.isfinite(p)
    values = p[defined]
    order = np.argsort(values, kind="stable")[::-1]
    rank = np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum.accumulate(values[order] * len(values) / rank)
    q[defined] = np.minimum(adjusted, 1.0)
    return q
