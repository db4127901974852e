"""Random relabellings, each made from its own number and nothing else."""

from __future__ import annotations

import numpy as np

from consilience.terms import Indices


def permutation(n_samples: int, seed: int, draw: int) -> Indices:
    """Return the permutation of one draw, whatever the order of the draws.

    It sorts words of the counter-based generator Philox [salmon2011]_, so that it is the same
    on every machine and for any number of threads.
    """
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, draw])
    return np.argsort(bits.random_raw(n_samples), kind="stable")


def permutations(n_samples: int, seed: int, first: int, stop: int) -> Indices:
    """Return the permutations of the draws in [first, stop), (stop - first, n_samples)."""
    return np.stack([permutation(n_samples, seed, draw) for draw in range(first, stop)])
