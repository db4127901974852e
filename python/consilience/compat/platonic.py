"""platonic-rep's `AlignmentMetrics`: `from consilience.compat.platonic import AlignmentMetrics`."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

import consilience as cs
from consilience._evaluate import Terms, terms_of
from consilience.metrics.cka import Cka
from consilience.metrics.cknna import Cknna

# What platonic-rep adds to the denominators of CKA and CKNNA.
EPSILON = 1e-6


class AlignmentMetrics:
    """The metrics of Huh et al. 2024 under platonic-rep's names, arguments and return types.

    Numbers are platonic-rep's to what its float32 arithmetic allows, its 1e-6 in denominators
    included, on features as they are given: normalise rows first, as its scripts do. Sums are
    float64 here and nothing is n × n. Features may be torch tensors on any device, NumPy, CuPy or
    JAX; of arrays that are no tensors, `lcs_knn` and `edit_distance_knn` are floats.

    On purpose different:

    - `svcca` is exact and the same every time; there it draws random numbers.
    - `lcs_knn` and `edit_distance_knn` count every row; with pymp installed it loses most of them.
    - `cknna` takes topk=None, all others, and distance_agnostic=True, where it crashes. The latter
      is the sum of the masks in the place of HSIC, which is `mutual_knn`.
    - `topk` must be below n; there a sample becomes its own neighbour.
    - Undefined scores (constant features, a masked HSIC that is not positive) raise ValueError,
      where it returns NaN or a number made of its epsilon.

    References
    ----------
    [huh2024]_

    Examples
    --------
    >>> import numpy as np
    >>> from consilience.compat.platonic import AlignmentMetrics
    >>> X = np.random.default_rng(0).standard_normal((40, 5))
    >>> AlignmentMetrics.measure("mutual_knn", X, X, topk=5)
    1.0
    """

    SUPPORTED_METRICS = [  # noqa: RUF012 (its type there)
        "cycle_knn",
        "mutual_knn",
        "lcs_knn",
        "cka",
        "unbiased_cka",
        "cknna",
        "svcca",
        "edit_distance_knn",
    ]

    @staticmethod
    def measure(metric: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the method of this name returns."""
        if metric not in AlignmentMetrics.SUPPORTED_METRICS:
            raise ValueError(f"Unrecognized metric: {metric}")
        return getattr(AlignmentMetrics, metric)(*args, **kwargs)

    @staticmethod
    def cycle_knn(feats_A: Any, feats_B: Any, topk: int) -> float:
        """Return the share of samples found again through B's neighbours, then A's."""
        return cs.cycle_knn(feats_A, feats_B, k=topk, normalize="none")

    @staticmethod
    def mutual_knn(feats_A: Any, feats_B: Any, topk: int) -> float:
        """Return the share of neighbours in common."""
        return cs.mutual_knn(feats_A, feats_B, k=topk, normalize="none")

    @staticmethod
    def lcs_knn(feats_A: Any, feats_B: Any, topk: int) -> Any:
        """Return the mean longest common subsequence, a float32 tensor."""
        found = cs.lcs_knn(feats_A, feats_B, k=topk, normalize="none")
        return _as_there(found, feats_A, "float32")

    @staticmethod
    def edit_distance_knn(feats_A: Any, feats_B: Any, topk: int) -> Any:
        """Return 1 - the mean edit distance / topk, a float64 tensor."""
        found = cs.edit_knn(feats_A, feats_B, k=topk, normalize="none")
        return _as_there(found, feats_A, "float64")

    @staticmethod
    def cka(
        feats_A: Any,
        feats_B: Any,
        kernel_metric: Literal["ip", "rbf"] = "ip",
        rbf_sigma: float = 1.0,
        unbiased: bool = False,
    ) -> float:
        """Return centred kernel alignment, 1e-6 in its denominator."""
        if kernel_metric not in ("ip", "rbf"):
            raise ValueError(f"Invalid kernel metric {kernel_metric}")
        settings = Cka("linear", debiased=unbiased)
        if kernel_metric == "rbf":
            settings = Cka("rbf", rbf_sigma, debiased=unbiased)
        terms = _terms(settings, feats_A, feats_B)
        found = settings.kernels(terms, 0, 1)
        if not unbiased:
            return found.xy / (math.sqrt(found.xx * found.yy) + EPSILON)
        found.require_spread(("feats_A", "feats_B"))
        return found.u_xy / (math.sqrt(found.u_xx * found.u_yy) + EPSILON)

    @staticmethod
    def unbiased_cka(*args: Any, **kwargs: Any) -> float:
        """Return `cka` by Song et al.'s unbiased estimator."""
        kwargs["unbiased"] = True
        return AlignmentMetrics.cka(*args, **kwargs)

    @staticmethod
    def svcca(feats_A: Any, feats_B: Any, cca_dim: int = 10) -> np.float64:
        """Return the mean canonical correlation of cca_dim main axes of standardised features."""
        return np.float64(cs.svcca(feats_A, feats_B, dims=cca_dim, normalize="zscore"))

    @staticmethod
    def cknna(
        feats_A: Any,
        feats_B: Any,
        topk: int | None = None,
        distance_agnostic: bool = False,
        unbiased: bool = True,
    ) -> float:
        """Return HSIC of kernels masked to shared neighbours over that of each with itself."""
        if topk is None:
            topk = int(feats_A.shape[0]) - 1
        if topk < 2:
            raise ValueError("CKNNA requires topk >= 2")
        settings = Cknna(topk, variant="prh-code", normalize="none", unbiased=unbiased, eps=EPSILON)
        if not distance_agnostic:
            return cs.cknna(
                feats_A,
                feats_B,
                k=topk,
                variant="prh-code",
                normalize="none",
                unbiased=unbiased,
                eps=EPSILON,
            )
        terms = _terms(settings, feats_A, feats_B)
        shared = settings.shared_places(terms, 0, 1)
        return shared / (terms.n_samples * topk + EPSILON)


def _terms(settings: Any, feats_A: Any, feats_B: Any) -> Terms:
    arrays = (("feats_A", feats_A), ("feats_B", feats_B))
    terms = terms_of(arrays, settings.needs(), [(0, 1)], nulls=False)
    settings.check(terms)
    return terms


def _as_there(value: float, feats: Any, dtype: Literal["float32", "float64"]) -> Any:
    """Return a tensor, as platonic-rep does, to those who work with tensors."""
    if not type(feats).__module__.startswith("torch"):
        return value
    import torch

    return torch.tensor(value, dtype=getattr(torch, dtype))
