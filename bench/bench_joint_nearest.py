"""Two nearest distances in every pair's joint space: n = 5,000, d = 256, 8 models, 28 pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from workloads import THREADS, dense_squares, embedding, gram_floor, some_rows

N, D, MODELS = 5_000, 256, 8
PAIRS = list(combinations(range(MODELS), 2))
pytestmark = pytest.mark.parametrize("n_threads", THREADS)


def group(n, pairs):
    return f"joint_nearest n={n} d={D} pairs={pairs}"


def check(sets, pair, distances, rtol):
    rows = some_rows(len(sets[0]))
    joint = sum(dense_squares(sets[m], rows) for m in pair)
    assert_allclose(distances[rows], np.sqrt(np.sort(joint, axis=1)[:, :2]), rtol=rtol)


@pytest.mark.parametrize("pairs", [1, len(PAIRS)])
def test_ours(pairs, n_threads, timed, native, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(MODELS if pairs > 1 else 2)]
    run = native(n_threads)
    distances = timed(
        "ours",
        group(n, pairs),
        lambda: run.joint_nearest(sets, PAIRS[:pairs]),
        n_threads=n_threads,
        rounds=3,
    )
    for p in (0, pairs - 1):
        check(sets, PAIRS[p], distances[p], 1e-13)


@pytest.mark.parametrize("pairs", [1, len(PAIRS)])
def test_floor_sgemm(pairs, n_threads, timed, sized):
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(MODELS if pairs > 1 else 2)]
    last = timed("floor", group(n, pairs), gram_floor(*sets), n_threads=n_threads, rounds=3)
    assert last.shape == (n, n)


def test_faiss_on_concatenation(n_threads, timed, sized):
    """One pair, as an expert composes it: hstack, then an index of three neighbours."""
    faiss = pytest.importorskip("faiss")
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(2)]

    def search():
        joint = np.hstack(sets)
        index = faiss.IndexFlatL2(joint.shape[1])
        index.add(joint)
        return index.search(joint, 3)[0]

    squares = timed("rival", group(n, 1), search, n_threads=n_threads, rounds=3)
    check(sets, PAIRS[0], np.sqrt(squares[:, 1:]), 1e-3)


def test_faiss_on_concatenation_all_pairs(n_threads, timed, sized):
    faiss = pytest.importorskip("faiss")
    n = sized(N)
    sets = [embedding(n, D, m) for m in range(MODELS)]

    def search():
        for a, b in PAIRS:
            joint = np.hstack([sets[a], sets[b]])
            index = faiss.IndexFlatL2(joint.shape[1])
            index.add(joint)
            squares = index.search(joint, 3)[0]
        return squares

    squares = timed(
        "rival", group(n, len(PAIRS)), search, n_threads=n_threads, rounds=1, warmup=False
    )
    check(sets, PAIRS[-1], np.sqrt(squares[:, 1:]), 1e-3)
