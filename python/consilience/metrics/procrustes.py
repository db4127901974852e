"""Procrustes similarity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from consilience._evaluate import score
from consilience.metrics._registry import MetricSettings, Score, metric
from consilience.needs import MomentNeed, Normalize, View
from consilience.terms import Floats


@dataclass(frozen=True)
class Procrustes(MetricSettings):
    """Settings of `procrustes`."""

    normalize: Normalize = "none"
    least_samples = 3

    @cached_property
    def need(self) -> MomentNeed:
        """Return what the formula reads."""
        return MomentNeed(View(self.normalize))

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        need = self.need
        xx, yy = (terms.moments(m, m, need).norms_x for m in (a, b))
        if a == b:  # the singular values of X'X add up to its trace
            return Score(1.0)
        lengths = np.linalg.svd(terms.moments(a, b, need).xy, compute_uv=False)
        return Score(float(np.add.reduce(lengths)) / math.sqrt(xx * yy))

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return what each row adds to the ratio of norms, to first order."""
        need = self.need
        left, lengths, right = np.linalg.svd(terms.moments(a, b, need).xy, full_matrices=False)
        rotation = left @ right

        def of_rows(X: Floats, Y: Floats) -> Floats:
            return np.stack([(Z * W).sum(axis=1) for Z, W in ((X, X), (Y, Y), (X @ rotation, Y))])

        own_x, own_y, turned = terms.by_rows((a, b), need.view, of_rows)
        xx, yy = own_x.sum(), own_y.sum()
        scale = math.sqrt(xx * yy)
        value = float(lengths.sum()) / scale
        change = turned / scale - 0.5 * value * (own_x / xx + own_y / yy)
        return np.asarray(terms.n_samples * change)


@metric(
    Procrustes,
    bounds=(0.0, 1.0),
    invariant_to={"translation", "rotation", "isotropic_scaling", "sample_order"},
)
def procrustes(
    X: Any,
    Y: Any,
    *,
    normalize: Normalize = "none",
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> float:
    r"""Procrustes similarity: how well a rotation carries one set onto the other.

    .. math:: \frac{\lVert X^\top Y \rVert_*}{\lVert X \rVert_F \lVert Y \rVert_F}

    for centred X and Y; 1 minus it is half the squared Procrustes distance of the sets scaled
    to norm 1.

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    normalize : "none", "l2", "max" or "zscore"
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    float
        In [0, 1]; 1 for equality up to rotation, shift and scale.

    Raises
    ------
    ValueError
        On fewer than 3 samples, a constant embedding.

    Notes
    -----
    O(n_samples · n_features² + n_features³) time and O(n_features²) memory, from the moments alone.

    References
    ----------
    [schonemann1966]_, [williams2021]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> round(cs.procrustes(X, 3 - 2 * X), 6)
    1.0
    """
    settings = Procrustes(normalize)
    return float(score(settings, X, Y, backend=backend, device=device, n_threads=n_threads).value)
