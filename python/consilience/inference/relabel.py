"""Random relabellings, each made from its own number and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from consilience.terms import Indices

# Samples from which sorting them takes longer than handing it to a thread.
THREADS_FROM = 4096


def permutation(n_samples: int, seed: int, draw: int) -> Indices:
    """Return the permutation of one draw, whatever the order of the draws.

    It sorts words of the counter-based generator Philox [salmon2011]_, so that it is the same
    on every machine and for any number of threads.
    """
    bits = np.random.Philox(key=seed, counter=[0, 0, 0, draw])
    return np.argsort(bits.random_raw(n_samples), kind="stable")


def permutations(n_samples: int, seed: int, first: int, stop: int, n_threads: int = 1) -> Indices:
    """Return the permutations of the draws in [first, stop), (stop - first, n_samples)."""
    found = np.empty((stop - first, n_samples), dtype=np.int64)

    def draw(place: int) -> None:
        found[place] = permutation(n_samples, seed, first + place)

    if n_threads == 1 or n_samples < THREADS_FROM:
        for place in range(len(found)):
            draw(place)
        return found
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(draw, range(len(found))))
    return found
