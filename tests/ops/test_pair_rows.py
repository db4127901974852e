import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from consilience import _core
from consilience.backends import Channel, RowTable
from consilience.backends.array import ArrayBackend
from consilience.backends.base import reference_rows
from engine import native


def dense(channel, rows):
    """The function of these rows and all samples, each with itself too."""
    X = np.asarray(channel.X, dtype=np.float64)
    squares = ((X[rows][:, None, :] - X[None, :, :]) ** 2).sum(axis=2)
    if channel.function == "distance":
        return np.sqrt(squares)
    return squares if channel.function == "squared" else np.exp(-channel.gamma * squares)


def about(channel, rows, references, dense=dense):
    """The same about the offsets of all samples, 0 of a row with itself; and those offsets."""
    u = dense(channel, references).mean(axis=0)
    u = u - 0.5 * u[references].mean()
    A = dense(channel, rows) - u[rows][:, None] - u[None, :]
    A[np.arange(len(rows)), rows] = 0.0
    return A, u


def expect(table, channels, pairs, rows, references, rtol):
    made = [about(channel, rows, references) for channel in channels]
    for c, (A, u) in enumerate(made):
        scale = dense(channels[c], rows).max()
        assert_allclose(table.offsets[c], u[rows], rtol=rtol, atol=rtol * scale)
        atol = A.shape[1] * rtol * scale
        assert_allclose(table.rows[c], A.sum(axis=1), rtol=rtol, atol=atol)
    for p, (a, b) in enumerate(pairs):
        (A, _), (B, _) = made[a], made[b]
        scale = np.sqrt((A * A).sum(axis=1) * (B * B).sum(axis=1))
        assert (np.abs(table.products[p] - (A * B).sum(axis=1)) <= 30 * rtol * scale).all()


PAIRS = [(0, 0), (0, 1), (1, 1), (4, 2), (3, 0), (3, 3)]


def channels_of(sets):
    X, Y, Z = sets
    return [
        Channel(X),
        Channel(Y),
        Channel(Z, "rbf", 0.3),
        Channel(X, "rbf", 0.05),
        Channel(Y, "squared"),
    ]


# ---- what is summed ----------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 40, 97])
def test_sums_of_some_rows_over_all_samples(ops, sets, rng, n_rows):
    channels, rows = channels_of(sets), np.sort(rng.permutation(97)[:n_rows])
    table = ops.pair_rows(channels, PAIRS, rows)
    expect(table, channels, PAIRS, rows, reference_rows(97), 1e-12)
    assert table.n_samples == 97
    assert_array_equal(table.at_zero, [0.0, 0.0, 1.0, 1.0, 0.0])


def test_a_pair_of_channels_either_way_round(ops, sets):
    table = ops.pair_rows(channels_of(sets), PAIRS, np.arange(5, 20))
    one, other = table.pair(0, 3), RowTable.pair(table, 3, 0)
    assert_array_equal(one.ab, table.products[4])
    assert_array_equal(one.ab, other.ab)
    assert_array_equal(one.aa, other.bb)
    assert_array_equal(one.rows_a, other.rows_b)


def test_all_rows_add_up_to_the_sums_over_all_pairs(ops, sets):
    channels = channels_of(sets)[:2]
    of_rows = ops.pair_rows(channels, [(0, 1), (0, 0), (1, 1)], np.arange(97)).pair(0, 1)
    u, v = of_rows.offsets_a, of_rows.offsets_b
    whole = ops.pair_terms(channels).pair(0, 1).without_offsets()
    raw = of_rows.rows_a + 95 * u + u.sum()
    assert_allclose(raw, whole.rows_a, rtol=1e-12)
    cross = 2 * (of_rows.rows_a @ v + of_rows.rows_b @ u)
    cross += 2 * (95 * (u @ v) + u.sum() * v.sum())
    assert_allclose(of_rows.ab.sum() + cross, whole.ab, rtol=1e-12)


# ---- the kernel --------------------------------------------------------------------------


def kernel(channels, pairs, rows, *, double_tiles=False, n_threads=1, references=None):
    native()
    n = len(channels[0].X)
    references = reference_rows(n) if references is None else references
    sums = _core.pair_rows(
        [channel.X for channel in channels],
        functions=[channel.function for channel in channels],
        gammas=[channel.gamma for channel in channels],
        pairs=pairs,
        rows=rows,
        references=references,
        double_tiles=double_tiles,
        n_threads=n_threads,
    )
    at_zero = np.array([channel.at_zero for channel in channels])
    return RowTable(n, *sums, np.array(pairs), at_zero)


# Around the blocks of columns (240), and of rows (24 of float32, 96 of float64).
@pytest.mark.parametrize("n_samples", [2, 15, 17, 239, 240, 241, 487])
@pytest.mark.parametrize("double_tiles", [False, True])
def test_the_edges_of_blocks(rng, n_samples, double_tiles):
    X, Y = (rng.standard_normal((n_samples, d)).astype(np.float32) for d in (1, 19))
    channels = [Channel(X), Channel(Y, "rbf", 0.02), Channel(Y, "squared")]
    pairs = [(0, 0), (0, 1), (2, 1)]
    references = reference_rows(n_samples)
    for n_rows in {min(n_samples, count) for count in (1, 23, 24, 25, 95, 97, 241)}:
        rows = np.sort(rng.permutation(n_samples)[:n_rows])
        table = kernel(channels, pairs, rows, double_tiles=double_tiles)
        expect(table, channels, pairs, rows, references, 1e-12 if double_tiles else 1e-6)


def test_more_columns_than_are_packed_at_a_time(rng):
    X = rng.standard_normal((4100, 3)).astype(np.float32)
    rows = np.array([0, 1, 3839, 3840, 4099])
    channels = [Channel(X), Channel(X, "rbf", 0.1)]
    table = native().pair_rows(channels, [(0, 0), (0, 1)], rows)
    expect(table, channels, [(0, 0), (0, 1)], rows, reference_rows(4100), 1e-6)


@pytest.mark.parametrize("double_tiles", [False, True])
def test_same_bits_for_any_number_of_threads(rng, double_tiles):
    sets = [rng.standard_normal((900, d)).astype(np.float32) for d in (5, 30)]
    channels = [Channel(sets[0]), Channel(sets[1], "rbf", 0.02)]
    rows = np.sort(rng.permutation(900)[:211])
    expected = kernel(channels, [(0, 1), (0, 0)], rows, double_tiles=double_tiles)
    for n_threads in (2, 3, 5):
        found = kernel(
            channels, [(0, 1), (0, 0)], rows, double_tiles=double_tiles, n_threads=n_threads
        )
        for field in dataclasses.fields(found):
            assert_array_equal(getattr(found, field.name), getattr(expected, field.name))


def test_float32_rows_say_the_same_whatever_rows_come_with_them(rng):
    channels = [Channel(rng.standard_normal((700, 30)).astype(np.float32))]
    rows = np.sort(rng.permutation(700)[:150])
    whole = kernel(channels, [(0, 0)], rows)
    parts = [kernel(channels, [(0, 0)], some) for some in np.split(rows, [1, 24, 77])]
    joined = RowTable.joined(parts)
    for name in ("rows", "products", "offsets"):
        assert_array_equal(getattr(joined, name), getattr(whole, name))


def test_a_small_memory_takes_a_few_rows_at_a_time(rng):
    X = rng.standard_normal((3000, 20)).astype(np.float32)
    rows = np.arange(0, 3000, 2)
    needed = _core.pair_rows_bytes(400, 64, 20, 1, 1, 1, False, 1)
    found = native(n_threads=1, max_memory=needed).pair_rows([Channel(X)], [(0, 0)], rows)
    expected = native(n_threads=1).pair_rows([Channel(X)], [(0, 0)], rows)
    assert_array_equal(found.products, expected.products)
    with pytest.raises(MemoryError, match="pair_rows needs"):
        native(max_memory=1000).pair_rows([Channel(X)], [(0, 0)], rows)


def test_memory_does_not_grow_with_the_samples(rng):
    import tracemalloc

    X = np.zeros((60_000, 8), dtype=np.float32)
    X[:] = rng.standard_normal(8)
    X[::3] += rng.standard_normal((20_000, 8)).astype(np.float32)
    tracemalloc.start()
    try:
        native(n_threads=1).pair_rows([Channel(X)], [(0, 0)], np.arange(30))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes  # of NumPy's: the samples' order, seeded


# ---- digits ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_duplicates_ties_and_offsets_of_the_features(ops, rng, dtype):
    X = (rng.integers(0, 3, (90, 4)) + 1e4).astype(dtype)
    X[40:60] = X[0]
    channels, rows = [Channel(X), Channel(X, "rbf", 0.5)], np.arange(30, 70)
    table = ops.pair_rows(channels, [(0, 0), (0, 1)], rows)
    expect(table, channels, [(0, 0), (0, 1)], rows, reference_rows(90), 1e-11)


def test_float32_tiles_repair_near_pairs(rng):
    X = np.repeat(rng.standard_normal((300, 12)), 2, axis=0) * 10
    X[1::2] += 1e-5 * rng.standard_normal((300, 12))
    rows = np.arange(0, 600, 7)
    table = kernel([Channel(X), Channel(X, "rbf", 1e8)], [(0, 0), (1, 1)], rows)
    expected, _ = about(Channel(X, "rbf", 1e8), rows, reference_rows(600))
    assert_allclose(table.products[1], (expected**2).sum(axis=1), rtol=1e-4)


def test_a_wide_kernel_keeps_its_digits(rng):
    # exp(-1e-9 r^2) is 1 but for the ninth digit: all that is left after centring.
    X = rng.standard_normal((200, 5))
    rows = np.arange(0, 200, 3)
    table = native().pair_rows([Channel(X, "rbf", 1e-9)], [(0, 0)], rows)
    squared = Channel(X, "squared")
    A, _ = about(
        squared, rows, reference_rows(200), lambda channel, of: np.expm1(-1e-9 * dense(channel, of))
    )
    assert_allclose(table.products[0], (A * A).sum(axis=1), rtol=1e-5)


def test_rows_far_out_of_any_sample_take_float64_tiles(rng):
    X = rng.standard_normal((2500, 3))
    X[2321] *= 1e25
    rows = np.array([0, 7, 2320])
    with pytest.raises(OverflowError, match="too far apart"):
        kernel([Channel(X)], [(0, 0)], rows)
    table = native().pair_rows([Channel(X)], [(0, 0)], rows)
    A, u = about(Channel(X), rows, reference_rows(2500))
    assert_allclose(table.offsets[0], u[rows], rtol=1e-12)
    # What is left of that sample's distances is rounding, of 1e25.
    assert_allclose(table.rows[0], np.delete(A, 2321, axis=1).sum(axis=1), atol=1e10)
    assert np.isfinite(table.products).all()


@pytest.mark.parametrize("ops", [native(), ArrayBackend()], ids=["native", "array"])
def test_read_only_rows(ops, sets):
    X = sets[0].copy()
    X.flags.writeable = False
    rows = np.arange(9)
    rows.flags.writeable = False
    expected = ops.pair_rows([Channel(sets[0])], [(0, 0)], np.arange(9))
    assert_array_equal(ops.pair_rows([Channel(X)], [(0, 0)], rows).products, expected.products)


# ---- arguments ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": np.array([3, 1])}, "ascending"),
        ({"rows": np.array([4])}, "outside"),
        ({"rows": np.array([], dtype=np.int64)}, "non-empty"),
        ({"references": np.array([4])}, "references"),
        ({"references": np.array([], dtype=np.int64)}, "references"),
        ({"pairs": [(0, 1)]}, "names no channel"),
        ({"functions": ["cubed"]}, "function"),
        ({"gammas": []}, "one function and gamma"),
        ({"n_threads": 0}, "n_threads"),
    ],
)
def test_the_kernel_rejects_a_bad_argument(changed, message):
    native()
    good = {
        "functions": ["distance"],
        "gammas": [0.0],
        "pairs": [(0, 0)],
        "rows": np.arange(2),
        "references": np.arange(2),
        "double_tiles": True,
        "n_threads": 1,
    }
    with pytest.raises(ValueError, match=message):
        _core.pair_rows([np.eye(4)], **(good | changed))
