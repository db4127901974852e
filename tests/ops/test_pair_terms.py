import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from consilience.backends import Channel
from engine import native


def dense(channel):
    D = reference.distances(channel.X)
    if channel.function == "distance":
        return D
    A = D**2 if channel.function == "squared" else np.exp(-channel.gamma * D**2)
    np.fill_diagonal(A, 0.0)
    return A


def channels_of(sets):
    X, Y, Z = sets
    return [
        Channel(X),
        Channel(Y),
        Channel(Z, "rbf", 0.3),
        Channel(X, "rbf", 0.05),
        Channel(Y, "squared"),
    ]


def test_sums_over_all_pairs_of_samples(ops, sets):
    channels = channels_of(sets)
    table = ops.pair_terms(channels)
    matrices = [dense(channel) for channel in channels]
    for a, A in enumerate(matrices):
        for b, B in enumerate(matrices):
            sums = table.pair(a, b).without_offsets()
            assert_allclose(sums.ab, (A * B).sum(), rtol=1e-11)
            assert_allclose(sums.rows_a, A.sum(axis=1), rtol=1e-11)
            assert_allclose(sums.rows_b, B.sum(axis=1), rtol=1e-11)
    assert_array_equal(table.at_zero, [0.0, 0.0, 1.0, 1.0, 0.0])


def test_sums_about_offsets(ops, sets):
    channels = channels_of(sets)[:2]
    table = ops.pair_terms(channels)
    shifted = []
    for channel, u in zip(channels, table.offsets, strict=True):
        A = dense(channel) - u[:, None] - u[None, :]
        np.fill_diagonal(A, 0.0)
        shifted.append(A)
    assert_allclose(table.products[0, 1], (shifted[0] * shifted[1]).sum(), rtol=1e-10)
    assert_allclose(table.rows[0], shifted[0].sum(axis=1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", ["distance", "squared", "rbf"])
def test_same_bits_for_any_number_of_threads(rng, function):
    sets = [rng.standard_normal((2500, d)).astype(np.float32) for d in (5, 30)]
    channels = [Channel(X, function, 0.01) for X in sets]
    expected = native(n_threads=1).pair_terms(channels)
    for n_threads in (2, 3, 5):
        found = native(n_threads=n_threads).pair_terms(channels)
        for field in dataclasses.fields(found):
            assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


@pytest.mark.parametrize("function", ["distance", "rbf"])
def test_float32_tiles_are_close_to_float64_ones(rng, function):
    Z = rng.standard_normal((600, 6))
    sets = [(Z @ rng.standard_normal((6, d)) + 100.0).astype(np.float32) for d in (20, 64)]
    sets[0][::50] = sets[0][0]
    native()
    arguments = {
        "functions": [function] * 2,
        "gammas": [0.01] * 2,
        "offsets": [np.full(600, 2.0)] * 2,
        "tile": 128,
        "n_threads": 1,
    }
    rows, products = _core.pair_terms(sets, double_tiles=False, **arguments)
    exact_rows, exact_products = _core.pair_terms(sets, double_tiles=True, **arguments)
    assert_allclose(rows, exact_rows, rtol=1e-6, atol=1e-4)
    assert_allclose(products, exact_products, rtol=1e-6)


def test_too_small_a_memory_says_so(sets):
    with pytest.raises(MemoryError, match=r"pair_terms needs .* MiB"):
        native(max_memory=1000).pair_terms([Channel(sets[0])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"functions": ["distance", "cosine"]}, "function"),
        ({"functions": ["distance"]}, "per channel"),
        ({"offsets": [np.zeros(4), np.zeros(5)]}, "offset per sample"),
        ({"tile": 0}, "tile"),
        ({"sets": [np.ones((4, 2)), np.ones((5, 2))]}, "n_samples differ"),
        ({"sets": []}, "no channels"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(change, message):
    native()
    arguments = {
        "sets": [np.eye(4), np.eye(4)],
        "functions": ["distance", "rbf"],
        "gammas": [0.0, 1.0],
        "offsets": [np.zeros(4), np.zeros(4)],
        "tile": 8,
        "double_tiles": True,
        "n_threads": 1,
    }
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        _core.pair_terms(arguments.pop("sets"), **arguments)
