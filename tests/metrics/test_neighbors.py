from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference
from assertions import assert_neighbors

KINDS = ["l2", "cosine", "ip"]


@pytest.mark.parametrize("kind", KINDS)
def test_equals_brute_force(kind, case_with_features, backend):
    X = case_with_features.X
    indices, distances = cs.neighbors(X, k=6, distance=kind, backend=backend)
    # The kept distances are recomputed from float64 differences whatever the input was.
    assert_neighbors(X, indices, distances, kind=kind, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["l2", "ip"])
def test_ties_are_broken_by_index(kind, tied, backend):
    indices, distances = cs.neighbors(tied.X, k=7, distance=kind, backend=backend)
    expected, expected_distances = reference.neighbors(tied.X, 7, kind)
    assert_array_equal(indices, expected)
    assert_allclose(distances, expected_distances, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("k", [1, 2, 31, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_neighbors(k, kind, backend, rng):
    X = rng.standard_normal((61, 5))
    indices, distances = cs.neighbors(X, k=k, distance=kind, backend=backend)
    assert indices.shape == distances.shape == (61, k)
    assert_neighbors(X, indices, distances, kind=kind, rtol=1e-12, atol=1e-14)


def test_cosines_of_one_feature(backend):
    X = np.array([[1.0], [-2.0], [3.0], [-4.0], [5.0], [0.5]])
    indices, distances = cs.neighbors(X, k=3, distance="cosine", backend=backend)
    assert indices.tolist() == [
        [2, 4, 5],
        [3, 0, 2],
        [0, 4, 5],
        [1, 0, 2],
        [0, 2, 5],
        [0, 2, 4],
    ]
    assert_allclose(distances[0], [0.0, 0.0, 0.0], atol=1e-15)
    assert_allclose(distances[1], [0.0, 2.0, 2.0], atol=1e-15)


def test_all_rows_but_one_equal(backend):
    X = np.zeros((40, 3))
    X[7] = 1.0
    indices, distances = cs.neighbors(X, k=4, backend=backend)
    assert indices[0].tolist() == [1, 2, 3, 4]
    assert indices[2].tolist() == [0, 1, 3, 4]
    assert indices[7].tolist() == [0, 1, 2, 3]
    assert_allclose(distances[7], np.sqrt(3.0))
    assert not distances[0].any()


@pytest.mark.parametrize("n", [2, 3, 15, 16, 17, 63, 64, 65, 127, 129, 255, 257, 300])
def test_every_remainder_of_a_tile(n, backend):
    X = np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)
    k = min(n - 1, 9)
    indices, distances = cs.neighbors(X, k=k, backend=backend)
    assert_neighbors(X, indices, distances, rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 100, 513])
def test_every_remainder_of_a_vector(d, backend):
    X = np.random.default_rng(d).standard_normal((41, d)).astype(np.float32)
    indices, distances = cs.neighbors(X, k=5, backend=backend)
    assert_neighbors(X, indices, distances, rtol=1e-12)


def test_the_input_is_left_as_it_was(backend, rng):
    X = rng.standard_normal((30, 4)) + 100.0
    before = X.copy()
    cs.neighbors(X, k=3, distance="cosine", backend=backend)
    assert_array_equal(X, before)


def test_a_memory_map_is_read(tmp_path, backend, rng):
    X = rng.standard_normal((30, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    indices, _ = cs.neighbors(mapped, k=3, backend=backend)
    assert_array_equal(indices, reference.neighbors(X, 3)[0])


def test_values_of_the_other_byte_order_are_the_same_numbers(backend, rng):
    X = rng.standard_normal((30, 4))
    other = X.astype(X.dtype.newbyteorder())
    indices, distances = cs.neighbors(other, k=3, backend=backend)
    assert_neighbors(X, indices, distances, rtol=1e-12)
