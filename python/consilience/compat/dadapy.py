"""DADApy's information imbalance: `from consilience.compat.dadapy import MetricComparisons`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import consilience as cs
from consilience.terms import Floats

Columns = Sequence[int]


class MetricComparisons:
    """The information imbalances of DADApy's class of this name, from full ranks.

    On purpose different:

    - Ranks are exact among all samples, whatever `maxk`, which is taken and not used. There a
      neighbour beyond maxk gets a random rank: 0.53 for 0.049 on data it was measured on.
    - Tied distances share their mean rank, so that row order does not matter; there the first
      listed wins.
    - Nothing is n × n, and constant columns raise ValueError.
    - Coordinates are what is compared: no `distances`, no `period`.

    Parameters
    ----------
    coordinates : array of shape (n_samples, n_features)
    n_jobs : int, optional
        Threads; all processors if left out.

    References
    ----------
    [glielmo2022]_

    Examples
    --------
    >>> import numpy as np
    >>> from consilience.compat.dadapy import MetricComparisons
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> to_one, back = MetricComparisons(X).return_inf_imb_two_selected_coords([0, 1, 2], [0])
    >>> to_one < back
    True
    """

    def __init__(
        self,
        coordinates: Any = None,
        distances: Any = None,
        maxk: int | None = None,
        period: Any = None,
        verbose: bool = False,
        n_jobs: int | None = None,
        rng_seed: int = 42,
    ) -> None:
        if distances is not None or coordinates is None:
            raise ValueError(
                "`coordinates` are wanted, and no `distances`: ranks are counted among all samples"
            )
        if period is not None:
            raise ValueError("`period` must be None: distances are Euclidean; use DADApy for it")
        self.X = np.asarray(coordinates)
        if self.X.ndim != 2:
            raise ValueError(f"`coordinates` must be 2-D, got shape {self.X.shape}")
        self.N, self.dims = self.X.shape
        self.maxk, self.verb, self.n_jobs = maxk, verbose, n_jobs
        self.rng = np.random.default_rng(rng_seed)

    def _both_ways(self, X: Any, Y: Any, k: int) -> tuple[float, float]:
        return cs.information_imbalance(X, Y, k=k, n_threads=self.n_jobs)

    def return_inf_imb_two_selected_coords(
        self, coords1: Columns, coords2: Columns, k: int = 1
    ) -> tuple[float, float]:
        """Return the imbalance from the first columns to the second, and back."""
        return self._both_ways(self.X[:, list(coords1)], self.X[:, list(coords2)], k)

    def return_inf_imb_matrix_of_coords(self, k: int = 1) -> Floats:
        """Return the imbalances between all single columns, (dims, dims), 0 on the diagonal."""
        found = np.zeros((self.dims, self.dims))
        for i in range(self.dims):
            for j in range(i):
                found[i, j], found[j, i] = self.return_inf_imb_two_selected_coords([i], [j], k)
        return found

    def return_inf_imb_full_all_coords(self, k: int = 1) -> Floats:
        """Return the imbalances from all columns to each, and back, (2, dims)."""
        return self.return_inf_imb_full_selected_coords([[i] for i in range(self.dims)], k)

    def return_inf_imb_full_selected_coords(
        self, coord_list: Sequence[Columns], k: int = 1
    ) -> Floats:
        """Return the imbalances from all columns to each selection, and back, (2, n)."""
        pairs = [self._both_ways(self.X, self.X[:, list(chosen)], k) for chosen in coord_list]
        return np.array(pairs).T

    def return_information_imbalace(
        self,
        coordinates: Any,
        k: int = 1,
        subset_size: int = 2000,
        repeats: int | None = None,
        avg: bool = True,
    ) -> tuple[Floats, Floats]:
        """Return the imbalances to another set and back, of disjoint subsets of the samples.

        Each as [mean, standard error], or of every subset if not `avg`. The name is DADApy's. The
        imbalance of all samples, exactly, is `consilience.information_imbalance`.
        """
        other = np.asarray(coordinates)
        if len(other) != self.N:
            raise ValueError(
                f"the two datasets must have the same number of samples, got {self.N} and "
                f"{len(other)}"
            )
        pairs = np.array(
            [
                self._both_ways(self.X[rows], other[rows], k)
                for rows in self._subsets(subset_size, repeats)
            ]
        )
        if not avg:
            return pairs[:, 0], pairs[:, 1]
        error = np.zeros(2) if len(pairs) == 1 else pairs.std(axis=0, ddof=1) / len(pairs) ** 0.5
        there, back = np.stack([pairs.mean(axis=0), error], axis=1)
        return there, back

    def _subsets(self, size: int, repeats: int | None) -> list[Any]:
        """Return DADApy's subsets: a shuffle cut in so many parts, of which equal ones are kept."""
        most = self.N // size
        if size >= self.N:
            warnings.warn(
                "subset_size is not below the number of samples: one imbalance, of all of them",
                stacklevel=3,
            )
            return [np.arange(self.N)]
        if repeats is not None and repeats > most:
            warnings.warn(
                f"repeats * subset_size exceeds the number of samples: repeats is {most}",
                stacklevel=3,
            )
            repeats = most
        repeats = most if repeats is None else repeats
        if repeats <= 1:
            return [np.arange(self.N)]
        subsets = np.array_split(self.rng.choice(self.N, self.N, replace=False), repeats)
        return subsets if len(subsets[-1]) == len(subsets[-2]) else subsets[:-1]
