import dataclasses
import functools
import itertools
import operator

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from consilience import _core
from consilience.backends import Channel, PairTable
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


def cut(n_samples, *edges):
    return list(itertools.pairwise([0, *(edge for edge in edges if edge < n_samples), n_samples]))


@pytest.mark.parametrize("edges", [(48,), (48, 96), (96,)])
def test_stripes_add_up_to_all_pairs(ops, sets, edges):
    channels = channels_of(sets)
    whole = ops.pair_terms(channels)
    parts = [ops.pair_terms(channels, rows=stripe) for stripe in cut(len(sets[0]), *edges)]
    total = functools.reduce(operator.add, parts)
    assert_array_equal(total.offsets, whole.offsets)
    scale = np.abs(whole.rows).max(axis=1, keepdims=True)
    assert_allclose(total.rows / scale, whole.rows / scale, rtol=0, atol=1e-12)
    own = np.sqrt(np.diag(whole.products))
    assert_allclose(total.products, whole.products, rtol=0, atol=1e-12 * np.outer(own, own).max())


def test_a_stripe_is_the_pairs_whose_first_row_is_in_it(ops, sets):
    channel = Channel(sets[0])
    found = ops.pair_terms([channel], rows=(48, 96))
    u = found.offsets[0]
    A = dense(channel) - u[:, None] - u[None, :]
    i, j = np.indices(A.shape)
    lower = np.minimum(i, j)
    A[(i == j) | (lower < 48) | (lower >= 96)] = 0.0
    assert_allclose(found.rows[0], A.sum(axis=1), rtol=1e-9, atol=1e-9)
    assert_allclose(found.products[0, 0], (A * A).sum(), rtol=1e-10)


@pytest.mark.parametrize("rows", [(1, 48), (0, 47), (48, 48), (96, 48), (-48, 48), (48, 1 << 20)])
def test_what_is_no_stripe_is_rejected(ops, sets, rows):
    with pytest.raises(ValueError, match="`rows` must be a stripe"):
        ops.pair_terms([Channel(sets[0])], rows=rows)


def test_sums_about_other_offsets_do_not_add_up(sets):
    table = native().pair_terms([Channel(sets[0])])
    other = dataclasses.replace(table, offsets=table.offsets + 1e-3)
    with pytest.raises(ValueError, match="about different offsets"):
        table + other


FUNCTIONS = ["distance", "squared", "rbf"]


@pytest.mark.parametrize("n_samples", [2500, 700])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_same_bits_for_any_number_of_threads(rng, function, n_samples):
    sets = [rng.standard_normal((n_samples, d)).astype(np.float32) for d in (5, 30)]
    channels = [Channel(X, function, 0.01) for X in sets]
    expected = native(n_threads=1).pair_terms(channels)
    for n_threads in (2, 3, 5):
        found = native(n_threads=n_threads).pair_terms(channels)
        for field in dataclasses.fields(found):
            assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


def kernel(channels, *, double_tiles=False, tile=96, n_threads=1, stripe=None):
    """The kernel's sums, whatever tiles the backend would choose."""
    native()
    sums, products, offsets = _core.pair_terms(
        [channel.X for channel in channels],
        functions=[channel.function for channel in channels],
        gammas=[channel.gamma for channel in channels],
        tile=tile,
        double_tiles=double_tiles,
        n_threads=n_threads,
        rows=stripe,
    )
    return PairTable(sums, products, offsets, np.zeros(len(channels)))


def in_stripes(channels, *, rows=None):
    """The sums of the GPU's kernels on a CPU, in stripes of about so many rows."""
    from consilience.backends.cuda import pair_terms
    from emulated import emulated

    n = len(channels[0].X)
    fixed, least = pair_terms.needed_bytes(channels)
    room = pair_terms.Stripe(0, rows or n, n).nbytes(len(channels))
    return emulated(max_memory=fixed + max(least, room)).pair_terms(channels)


KERNELS = {
    "float32 tiles": kernel,
    "float64 tiles": lambda channels: kernel(channels, double_tiles=True),
    "a stripe, emulated": in_stripes,
    "stripes of a few rows, emulated": lambda channels: in_stripes(channels, rows=67),
}


# Around the rows (4, 8), panels (8, 24, 48) and tiles of the micro-kernels.
@pytest.mark.parametrize("n_samples", [2, 3, 7, 9, 23, 47, 48, 49, 95, 97, 145])
@pytest.mark.parametrize("how", KERNELS)
def test_sums_at_the_edges_of_blocks(rng, n_samples, how):
    X, Y = (rng.standard_normal((n_samples, d)).astype(np.float32) for d in (1, 19))
    channels = [Channel(X), Channel(Y, "rbf", 0.02), Channel(Y, "squared")]
    table = KERNELS[how](channels)
    matrices = [dense(channel) for channel in channels]
    rtol = 3e-6 if how == "float32 tiles" else 1e-12
    for a, A in enumerate(matrices):
        for b, B in enumerate(matrices):
            sums = table.pair(a, b).without_offsets()
            assert_allclose(sums.ab, (A * B).sum(), rtol=rtol)
            assert_allclose(sums.rows_a, A.sum(axis=1), rtol=rtol)


def test_more_columns_than_a_block_has_threads(rng):
    channel = Channel(rng.standard_normal((259, 3)))
    found, D = in_stripes([channel], rows=66).pair(0, 0).without_offsets(), dense(channel)
    assert_allclose(found.ab, (D * D).sum(), rtol=1e-12)
    assert_allclose(found.rows_a, D.sum(axis=1), rtol=1e-12)


# Higher and lower than the tiles, alone before the others and after them.
@pytest.mark.parametrize("edges", [(48,), (96, 240), (144, 192, 384), (432,)])
@pytest.mark.parametrize("double_tiles", [False, True])
def test_stripes_have_the_sums_of_the_same_tiles(rng, double_tiles, edges):
    n = 451
    sets = [(rng.standard_normal((n, d)) + 1e4).astype(np.float32) for d in (5, 30)]
    sets[0][::7] = sets[0][0]
    channels = [Channel(sets[0]), Channel(sets[1], "rbf", 0.02), Channel(sets[1], "squared")]
    how = {"double_tiles": double_tiles}
    whole = kernel(channels, **how)
    found = []
    for n_threads in (1, 3):
        parts = [kernel(channels, **how, n_threads=n_threads, stripe=at) for at in cut(n, *edges)]
        found.append(functools.reduce(operator.add, parts))
    for a, b in zip(*map(dataclasses.astuple, found), strict=True):
        assert_array_equal(a, b)
    scale = np.abs(whole.rows).max()
    assert_allclose(found[0].rows, whole.rows, rtol=0, atol=1e-12 * scale)
    assert_allclose(found[0].products, whole.products, rtol=1e-12)


@pytest.mark.parametrize("how", KERNELS)
@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5])
def test_products_of_any_number_of_channels(rng, n_channels, how):
    sets = [rng.standard_normal((130, 4 + c)).astype(np.float32) for c in range(n_channels)]
    channels = [Channel(X, FUNCTIONS[c % 3], 0.05) for c, X in enumerate(sets)]
    table = KERNELS[how](channels)
    assert_array_equal(table.products, table.products.T)
    for a, b in itertools.product(range(n_channels), repeat=2):
        expected = (dense(channels[a]) * dense(channels[b])).sum()
        assert_allclose(table.pair(a, b).without_offsets().ab, expected, rtol=3e-6)


@pytest.mark.parametrize("how", KERNELS)
def test_channels_of_one_set_share_its_products(rng, how):
    X, Y = (rng.standard_normal((150, d)).astype(np.float32) for d in (6, 9))
    together = [Channel(X), Channel(Y, "rbf", 0.1), Channel(X, "squared"), Channel(X, "rbf", 0.1)]
    apart = [dataclasses.replace(channel, X=channel.X.copy()) for channel in together]
    for found, expected in zip(
        dataclasses.astuple(KERNELS[how](together)),
        dataclasses.astuple(KERNELS[how](apart)),
        strict=True,
    ):
        assert_array_equal(found, expected)


def test_views_of_one_buffer_are_different_sets(ops, rng):
    buffer = rng.standard_normal(60 * 4)
    wide, narrow = buffer.reshape(60, 4), buffer[: 60 * 3].reshape(60, 3)
    table = ops.pair_terms([Channel(wide), Channel(narrow)])
    for c, X in enumerate((wide, narrow)):
        D = reference.distances(X)
        assert_allclose(table.pair(c, c).without_offsets().ab, (D * D).sum(), rtol=1e-11)


@pytest.mark.parametrize("how", KERNELS)
def test_twins_in_one_set_are_equal_to_the_last_bit(rng, how):
    X = rng.standard_normal((300, 12)).astype(np.float32)
    table = KERNELS[how]([Channel(X), Channel(X.copy())])
    assert_array_equal(table.rows[0], table.rows[1])
    assert len(np.unique(table.products)) == 1


@pytest.mark.parametrize("function", ["distance", "rbf"])
def test_float32_tiles_are_close_to_float64_ones(rng, function):
    Z = rng.standard_normal((600, 6))
    sets = [(Z @ rng.standard_normal((6, d)) + 100.0).astype(np.float32) for d in (20, 64)]
    sets[0][::50] = sets[0][0]
    channels = [Channel(X, function, 0.01) for X in sets]
    found, exact = (kernel(channels, double_tiles=double) for double in (False, True))
    for a, b in ((0, 0), (0, 1), (1, 1)):
        found_sums, sums = (table.pair(a, b).without_offsets() for table in (found, exact))
        assert_allclose(found_sums.ab, sums.ab, rtol=1e-6)
        assert_allclose(found_sums.rows_a, sums.rows_a, rtol=1e-6, atol=1e-4)


def test_rows_far_out_and_rows_close_together(ops, rng):
    # Products alone leave no digits of the distances of those close together.
    X = np.vstack([rng.standard_normal((50, 3)), 4.0 + 1e-7 * rng.standard_normal((40, 3))])
    far = X.copy()
    far[7] += 1e9
    channels = [Channel(X), Channel(far, "rbf", 0.5), Channel(rng.standard_normal((90, 2)))]
    table = ops.pair_terms(channels)
    matrices = [dense(channel) for channel in channels]
    for c, A in enumerate(matrices):
        sums = table.pair(c, c).without_offsets()
        assert_allclose(sums.rows_a, A.sum(axis=1), rtol=1e-11, atol=1e-12)
    for a, b in ((0, 1), (1, 2)):
        sums = table.pair(a, b).without_offsets()
        assert_allclose(sums.ab, (matrices[a] * matrices[b]).sum(), rtol=1e-11)


@pytest.mark.parametrize("double_tiles", [False, True])
def test_the_exponential_of_small_and_large_arguments(double_tiles):
    # Two samples: the row sum is one value of the kernel.
    exponents = np.concatenate([np.geomspace(1e-9, 80.0, 200), [86.0, 87.0, 200.0, 1e4]])
    for exponent in exponents:
        X = np.array([[0.0], [1.0]], dtype=np.float32)
        table = kernel([Channel(X, "rbf", exponent)], double_tiles=double_tiles)
        value = table.rows[0, 0] + table.offsets[0].sum()
        # A float32 exponent is off by 6e-8 of itself, and values near the offsets are rounded.
        tolerance = 2.3e-16 if double_tiles else 1.2e-7
        assert abs(value - np.exp(-exponent)) <= tolerance * (2 + exponent * np.exp(-exponent))


@pytest.mark.parametrize("n_threads", [1, 3])
def test_distances_of_given_pairs(rng, n_threads):
    X = (rng.standard_normal((90, 33)) + 1e4).astype(np.float32)
    i, j = (rng.integers(0, 90, 10_000) for _ in range(2))
    expected = reference.distances(X)[i, j]
    assert_allclose(native(n_threads=n_threads).pair_distances(X, i, j), expected, rtol=1e-13)


def test_pairs_that_point_outside_are_rejected():
    for i, j, message in (([0, 4], [1, 1], "outside"), ([0], [-1], "outside"), ([0], [], "per i")):
        with pytest.raises(ValueError, match=message):
            native().pair_distances(np.eye(4), np.array(i, int), np.array(j, int))


def test_too_small_a_memory_says_so(sets):
    with pytest.raises(MemoryError, match=r"pair_terms needs .* MiB"):
        native(max_memory=1000).pair_terms([Channel(sets[0])])


def test_too_small_a_memory_of_a_gpu_says_so(sets):
    from emulated import emulated

    with pytest.raises(MemoryError, match=r"pair_terms needs .* MiB of the GPU"):
        emulated(max_memory=1000).pair_terms([Channel(sets[0])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"functions": ["distance", "cosine"]}, "function"),
        ({"functions": ["distance"]}, "per channel"),
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
        "tile": 8,
        "double_tiles": True,
        "n_threads": 1,
    }
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        _core.pair_terms(arguments.pop("sets"), **arguments)
