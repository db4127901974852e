"""HSIC and CKA of any kernel from minibatches, each of which is unbiased."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from consilience._validate import as_rows, check_choice, check_integer, check_positive
from consilience.accumulate._ranges import column_ranges
from consilience.accumulate.moments import RowNormalize
from consilience.terms import Floats

Kernel = Literal["rbf", "linear"] | Callable[[Any], Any]
FIRST_BATCH = "first-batch median"
LEAST_ROWS = 4


@dataclass(frozen=True)
class Estimate:
    """An estimate and its standard error; None where one batch alone leaves it open."""

    value: float
    std_error: float | None
    n_samples: int
    n_batches: int

    def __float__(self) -> float:
        return self.value


@dataclass
class _Batches:
    """Weighted sums of the three statistics [XY, XX, YY] of batches of m rows, weight m.

    They are kept about those of the first batch, so that the variance keeps its digits.
    """

    center: Floats = field(default_factory=lambda: np.zeros(3))
    n_batches: int = 0
    n_samples: int = 0
    first: Floats = field(default_factory=lambda: np.zeros(3))  # Σ m h
    weights: float = 0.0  # Σ m²
    second: Floats = field(default_factory=lambda: np.zeros(3))  # Σ m² h
    squares: Floats = field(default_factory=lambda: np.zeros((3, 3)))  # Σ m² h hᵀ

    def add(self, statistics: Floats, rows: int) -> None:
        if self.n_batches == 0:
            self.center = statistics
        h = statistics - self.center
        self.n_batches += 1
        self.n_samples += rows
        self.first = self.first + rows * h
        self.weights += rows * rows
        self.second = self.second + rows * rows * h
        self.squares = self.squares + rows * rows * np.outer(h, h)

    def about(self, center: Floats) -> _Batches:
        """Return the same sums about another centre."""
        step = self.center - center
        cross = np.outer(self.second, step)
        return _Batches(
            center,
            self.n_batches,
            self.n_samples,
            self.first + self.n_samples * step,
            self.weights,
            self.second + self.weights * step,
            self.squares + cross + cross.T + self.weights * np.outer(step, step),
        )

    def joined(self, other: _Batches) -> _Batches:
        if self.n_batches == 0:
            return other.about(other.center)
        moved = other.about(self.center)
        return _Batches(
            self.center,
            self.n_batches + moved.n_batches,
            self.n_samples + moved.n_samples,
            self.first + moved.first,
            self.weights + moved.weights,
            self.second + moved.second,
            self.squares + moved.squares,
        )

    def mean(self) -> Floats:
        return np.asarray(self.center + self.first / self.n_samples)

    def covariance(self) -> Floats | None:
        """Return the covariance of the mean, from how batches differ."""
        if self.n_batches < 2:
            return None
        d = self.first / self.n_samples
        cross = np.outer(self.second, d)
        scatter = self.squares - cross - cross.T + self.weights * np.outer(d, d)
        return np.asarray(scatter / (float(self.n_samples) ** 2 - self.weights))


class StreamingHSIC:
    r"""Unbiased HSIC of two models from minibatches, for kernels that moments do not hold.

    .. math:: \widehat{\mathrm{HSIC}} = \frac{\sum_b m_b \, \mathrm{HSIC}_u(X_b, Y_b)}{\sum_b m_b}

    with HSIC_u the estimator of Song et al. 2012 (equation 5) on a batch of m_b rows. As each
    batch is unbiased for the HSIC of the population, so is their mean with weights that do not
    look at them; m_b is the best weight where the variance of a batch falls as 1 / m_b, and no
    two unequal batches count alike.

    Parameters
    ----------
    kernel : "rbf", "linear" or a function
        K_ij = exp(-‖x_i - x_j‖² / (2σ²)), or XXᵀ (of which `Moments` is exact), or what returns
        the symmetric (m, m) matrix of a batch of m rows.
    bandwidth : float, two floats, or "first-batch median"
        σ, or that of X and of Y; must be given for "rbf". A number, because the median of every
        batch would change the kernel between batches. "first-batch median" takes the median
        distance within the first batch, for each set its own, and keeps it.
    normalize : "none", "l2" or "max"
        What is done to each row first.
    n_threads : int, optional
        Workers for batches in host memory.

    Notes
    -----
    Batches must be random draws of the samples: pairs of samples in different batches are never
    compared, so what only shows between sorted batches is not seen. The standard error comes from
    how the batches differ, exact on average where the variance of a batch falls as 1 / m_b. An
    update costs O(m² (d_x + d_y)), and everything kept is sixteen numbers or so.

    CKA is the ratio of three such means, consistent, with a bias of the order of one over the
    number of batches; its standard error is by the delta method.

    References
    ----------
    [song2012]_, [nguyen2021]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> rng = np.random.default_rng(0)
    >>> streaming = cs.StreamingHSIC(kernel="rbf", bandwidth=2.0)
    >>> for _ in range(20):
    ...     X = rng.standard_normal((64, 3))
    ...     _ = streaming.update(X, X + 0.1 * rng.standard_normal((64, 3)))
    >>> cka = streaming.compute("cka")
    >>> 0.9 < cka.value < 1.0, cka.std_error < 0.01
    (True, True)
    """

    def __init__(
        self,
        kernel: Kernel = "rbf",
        *,
        bandwidth: float | tuple[float, float] | Literal["first-batch median"] | None = None,
        normalize: RowNormalize = "none",
        n_threads: int | None = None,
    ) -> None:
        if not callable(kernel):
            check_choice(kernel, "kernel", ["rbf", "linear"])
        check_choice(normalize, "normalize", ["none", "l2", "max"])
        if n_threads is not None:
            check_integer(n_threads, "n_threads", 1)
        self._kernel: Kernel = kernel
        self._bandwidth = _checked_bandwidth(kernel, bandwidth)
        self._normalize: RowNormalize = normalize
        self._n_threads = n_threads
        self.reset()

    def reset(self) -> Self:
        """Forget all batches, and a bandwidth taken from the first. Returns self."""
        self._batches = _Batches()
        self._widths: tuple[int, int] | None = None
        self._sigmas = self._bandwidth if isinstance(self._bandwidth, tuple) else None
        return self

    @property
    def n_samples(self) -> int:
        """Rows so far."""
        return self._batches.n_samples

    @property
    def n_batches(self) -> int:
        """Batches so far."""
        return self._batches.n_batches

    @property
    def bandwidth(self) -> tuple[float, float] | None:
        """Sigma of X and of Y; None if the kernel has none, or before the first batch says."""
        return self._sigmas

    def update(self, X: Any, Y: Any) -> Self:
        """Add a batch of at least 4 rows, row i of X and of Y from the same sample.

        What raises adds nothing.

        Returns
        -------
        StreamingHSIC
            Itself.

        Raises
        ------
        TypeError
            If one is no array of floats.
        ValueError
            On fewer than 4 rows, other widths than before, NaN, or if n_samples differ.
        """
        sets = [self._rows(array, name) for array, name in ((X, "X"), (Y, "Y"))]
        rows, others = (int(values.shape[0]) for values in sets)
        if rows != others:
            raise ValueError(
                "`X` and `Y` must have the same n_samples, row i of each from sample i; "
                f"got {rows} and {others}"
            )
        if rows < LEAST_ROWS:
            raise ValueError(
                f"a batch of {rows} has no unbiased estimate, which takes {LEAST_ROWS} rows at "
                "least: join it with another, or drop it"
            )
        widths = int(sets[0].shape[1]), int(sets[1].shape[1])
        if self._widths not in (None, widths):
            raise ValueError(f"batches had {self._widths} features, and this one has {widths}")
        sigmas = self._sigmas
        if self._kernel == "rbf" and sigmas is None:
            sigmas = self._median(sets[0], "X"), self._median(sets[1], "Y")
        statistics = self._statistics(sets, sigmas)
        self._widths, self._sigmas = widths, sigmas
        self._batches.add(statistics, rows)
        return self

    def _rows(self, array: Any, name: str) -> Any:
        from consilience.views import normalized_rows

        values, _ = as_rows(array, name)
        column_ranges(values, name)
        return normalized_rows(values, self._normalize, name)

    def _ops(self, arrays: list[Any]) -> Any:
        from consilience.backends import select

        return select("auto", arrays, n_threads=self._n_threads)

    def _median(self, X: Any, name: str) -> float:
        from consilience._evaluate import ALL_PAIRS_SAMPLES, SAMPLED_PAIRS
        from consilience.backends.base import sampled_pairs

        n = int(X.shape[0])
        few = n <= ALL_PAIRS_SAMPLES
        pairs = np.triu_indices(n, 1) if few else sampled_pairs(n, SAMPLED_PAIRS)
        median = float(np.median(self._ops([X]).pair_distances(X, *pairs)))
        if median == 0.0:
            raise ValueError(
                f"`{name}`: the median distance is 0, as most rows are equal; "
                "give `bandwidth` as a number"
            )
        return median

    def _statistics(self, sets: list[Any], sigmas: tuple[float, float] | None) -> Floats:
        """Return the unbiased HSIC of X with Y, of X with itself, of Y with itself."""
        from consilience.metrics._kernels import of_moments, of_sums

        if callable(self._kernel):
            return _of_dense(*(_dense(self._kernel, X, m) for X, m in zip(sets, "XY", strict=True)))
        if sigmas is not None and any(bool((X[:1, :] == X).all()) for X in sets):
            # Rows that are all equal, which a batch may have and a whole set may not.
            return _of_dense(*(_rbf(X, sigma) for X, sigma in zip(sets, sigmas, strict=True)))
        ops = self._ops(sets)
        if sigmas is not None:
            from consilience.backends import Channel

            channels = [
                Channel(X, "rbf", 0.5 / sigma**2) for X, sigma in zip(sets, sigmas, strict=True)
            ]
            found = of_sums(ops.pair_terms(channels).pair(0, 1))
        else:
            pairs = [(0, 1), (0, 0), (1, 1)]
            found = of_moments(*(one.centered() for one in ops.moments(sets, pairs)))
        return np.array([found.u_xy, found.u_xx, found.u_yy])

    def merge(self, other: StreamingHSIC) -> Self:
        """Add all batches of another, which stays as it is.

        Returns
        -------
        StreamingHSIC
            Itself.

        Raises
        ------
        ValueError
            If kernels, bandwidths, widths or `normalize` differ.
        """
        if not isinstance(other, StreamingHSIC):
            raise TypeError(f"`other` must be StreamingHSIC, got {type(other).__name__}")
        for what in ("_kernel", "_normalize", "_widths", "_sigmas"):
            ours, theirs = getattr(self, what), getattr(other, what)
            fresh = what in ("_widths", "_sigmas") and 0 in (self.n_batches, other.n_batches)
            if ours != theirs and not fresh:
                hint = "; give all workers the same number" if what == "_sigmas" else ""
                name = {"_widths": "features", "_sigmas": "bandwidth"}.get(what, what[1:])
                raise ValueError(f"{name} differ: {ours!r} and {theirs!r}{hint}")
        if other.n_batches:
            self._widths, self._sigmas = other._widths, other._sigmas
            self._batches = self._batches.joined(other._batches)
        return self

    def compute(self, metric: Literal["hsic", "cka"] = "hsic") -> Estimate:
        """Return the estimate over all batches so far, with its standard error.

        Raises
        ------
        ValueError
            Without a batch, or for "cka" if the HSIC of a set with itself is not positive.
        """
        check_choice(metric, "metric", ["hsic", "cka"])
        if self.n_batches == 0:
            raise ValueError("no batch yet: `update` first")
        xy, xx, yy = map(float, self._batches.mean())
        covariance = self._batches.covariance()
        value, slope = xy, np.array([1.0, 0.0, 0.0])
        if metric == "cka":
            for name, own in (("X", xx), ("Y", yy)):
                if not own > 0.0:
                    raise ValueError(
                        f"`{name}`: the HSIC with itself is estimated as {own:.3g}, so CKA is "
                        "undefined; add batches, or larger ones"
                    )
            scale = math.sqrt(xx * yy)
            value = xy / scale
            slope = np.array([1.0 / scale, -0.5 * value / xx, -0.5 * value / yy])
        error = None
        if covariance is not None:
            # Rounding may leave a variance of 0 on either side of it.
            error = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
        return Estimate(value, error, self.n_samples, self.n_batches)

    def __repr__(self) -> str:
        return (
            f"StreamingHSIC(kernel={self._kernel!r}, bandwidth={self._bandwidth!r}, "
            f"n_batches={self.n_batches}, n_samples={self.n_samples})"
        )


def _checked_bandwidth(kernel: Kernel, bandwidth: Any) -> Any:
    """Return None, two numbers, or the name of the rule."""
    if kernel != "rbf":
        if bandwidth is not None:
            raise ValueError('`bandwidth` belongs to kernel="rbf"')
        return None
    if bandwidth is None or isinstance(bandwidth, str):
        if bandwidth == FIRST_BATCH:
            return FIRST_BATCH
        raise ValueError(
            f"`bandwidth` must be a number, got {bandwidth!r}: a median of each batch would change "
            "the kernel between batches. Take one from a sample of the data, or ask for "
            f"{FIRST_BATCH!r}"
        )
    both = tuple(bandwidth) if isinstance(bandwidth, (tuple, list)) else (bandwidth, bandwidth)
    if len(both) != 2:
        raise ValueError(f"`bandwidth` is of X and of Y, got {len(both)} numbers")
    for sigma in both:
        check_positive(sigma, "bandwidth")
    return tuple(map(float, both))


def _of_dense(K: Floats, L: Floats) -> Floats:
    """Return the three statistics of kernel matrices without their diagonals."""
    from consilience.metrics._kernels import u_centered_product

    return np.array(
        [
            u_centered_product(float(np.vdot(A, B)), A.sum(axis=1), B.sum(axis=1))
            for A, B in ((K, L), (K, K), (L, L))
        ]
    )


def _rbf(X: Any, sigma: float) -> Floats:
    from scipy.spatial.distance import cdist

    from consilience.backends._offsets import to_host

    rows = to_host(X).astype(np.float64)
    K = np.asarray(np.exp(-0.5 * cdist(rows, rows, "sqeuclidean") / sigma**2))
    np.fill_diagonal(K, 0.0)
    return K


def _dense(kernel: Callable[[Any], Any], X: Any, name: str) -> Floats:
    """Return the kernel matrix of a batch without its diagonal."""
    from consilience.backends._offsets import to_host

    K = np.array(to_host(kernel(X)), dtype=np.float64)
    m = int(X.shape[0])
    if K.shape != (m, m):
        raise ValueError(f"`kernel` must return ({m}, {m}) of {m} rows, got {K.shape}")
    if not np.isfinite(K).all():
        raise ValueError(f"`kernel` returned NaN or infinity for `{name}`")
    if np.abs(K - K.T).max() > 1e-6 * np.abs(K).max():
        raise ValueError(f"`kernel` must return a symmetric matrix, and for `{name}` did not")
    np.fill_diagonal(K, 0.0)
    return K
