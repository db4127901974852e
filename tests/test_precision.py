"""Inputs on which the usual formulas lose their digits: offsets, scales, and many rows."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference
from consilience.backends import select

N, D, K = 1200, 32, 10


def grid(name):
    """float32 inputs, as the network that made them would hand them over."""
    rng = np.random.default_rng(20)
    X = rng.standard_normal((N, D))
    if name.startswith("offset"):
        X = X + float(name.split()[1])
    elif name == "both signs of offset":
        X = X + 1e4 * np.where(rng.random(D) < 0.5, -1.0, 1.0)
    elif name == "one huge column":
        X[:, 5] = 1e6 + X[:, 5]
    elif name == "one column of huge spread":
        X[:, 5] *= 1e5
    elif name == "two clusters":
        X[: N // 2] += 1e3
        X[N // 2 :] -= 1e3
    elif name == "one far outlier":
        # A token of massive activation. Unbiased sums lose digits with the square of it.
        X[17] += 1e4
    else:
        raise ValueError(name)
    return X.astype(np.float32)


GRID = [
    "offset 0",
    "offset 1e2",
    "offset 1e3",
    "offset 1e4",
    "both signs of offset",
    "one huge column",
    "one column of huge spread",
    "two clusters",
    "one far outlier",
]


def brute_force(X, k, rows=100):
    """Neighbors by float64 differences, a chunk of rows at a time."""
    X = X.astype(np.float64)
    indices = np.empty((len(X), k), np.int64)
    distances = np.empty((len(X), k))
    for start in range(0, len(X), rows):
        stop = min(start + rows, len(X))
        D = np.sqrt(((X[start:stop, None] - X[None]) ** 2).sum(axis=-1))
        D[np.arange(stop - start), np.arange(start, stop)] = np.inf
        # A stable sort keeps the lower index first among equals.
        indices[start:stop] = np.argsort(D, axis=1, kind="stable")[:, :k]
        distances[start:stop] = np.take_along_axis(D, indices[start:stop], axis=1)
    return indices, distances


def recall(found, expected):
    pairs = zip(found, expected, strict=True)
    return np.mean([len(set(f) & set(e)) / len(e) for f, e in pairs])


@pytest.mark.parametrize("name", GRID)
def test_neighbor_recall_is_one(name, backend):
    X = grid(name)
    indices, distances = cs.neighbors(X, k=K, backend=backend)
    expected, expected_distances = brute_force(X, K)
    assert recall(indices, expected) == 1.0
    assert_array_equal(indices, expected)
    assert_allclose(distances, expected_distances, rtol=1e-13)


@pytest.mark.parametrize("name", ["offset 1e2", "offset 1e3", "offset 1e4", "one huge column"])
def test_neighbor_recall_is_one_for_cosines(name, backend):
    # All cosines are within 1e-8 of 1, so that rows are told apart by differences only.
    X = grid(name)
    indices, distances = cs.neighbors(X, k=K, distance="cosine", backend=backend)
    U = reference.normalized(X, "l2")
    expected, chords = brute_force(U, K)
    assert recall(indices, expected) == 1.0
    # A unit row in float64 carries an error of 1e-16 against gaps of 1e-4 and less.
    assert_allclose(distances, 0.5 * chords**2, rtol=1e-6)


@pytest.mark.parametrize("name", GRID)
def test_mutual_knn_of_the_grid(name, backend):
    X = grid(name)
    Y = grid("offset 0")[:, :7]
    score = cs.mutual_knn(X, Y, k=K, normalize="none", distance="l2", backend=backend)
    pairs = zip(brute_force(X, K)[0], brute_force(Y, K)[0], strict=True)
    expected = np.mean([len(set(a) & set(b)) / K for a, b in pairs])
    assert score == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("debiased", [False, True])
def test_linear_cka_of_the_grid(name, debiased, backend):
    # A float32 Gram matrix reads .1675 for .6609 at offset 1e3.
    X, Y = grid(name)[:300], grid("offset 0")[:300, :7]
    score = cs.cka(X, Y, debiased=debiased, backend=backend)
    assert score == pytest.approx(reference.cka(X, Y, debiased=debiased), rel=1e-7, abs=1e-9)


def test_cka_of_an_embedding_and_its_shifted_self(backend):
    rng = np.random.default_rng(21)
    X = rng.standard_normal((400, 20)).astype(np.float32)
    shifted = X + np.float32(1e4)
    # The shift rounds each entry to 2**-10; the rest must not be lost.
    assert cs.cka(X, shifted, backend=backend) == pytest.approx(1.0, abs=1e-5)
    expected = reference.cka(X, shifted)
    assert cs.cka(X, shifted, backend=backend) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("unbiased", [False, True])
def test_distance_correlation_of_the_grid(name, unbiased, backend):
    X, Y = grid(name)[:200], grid("offset 0")[:200, :7]
    score = cs.distance_correlation(X, Y, unbiased=unbiased, backend=backend)
    expected = reference.distance_correlation(X, Y, unbiased=unbiased)
    assert score == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", GRID)
def test_information_imbalance_of_the_grid(name, backend):
    X, Y = grid(name)[:150], grid("offset 0")[:150, :7]
    scores = cs.information_imbalance(X, Y, k=5, backend=backend)
    expected = reference.information_imbalance(X, Y, k=5)
    assert tuple(scores) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", GRID)
def test_dimensions_of_the_grid(name, backend):
    X = grid(name)[:300]
    assert cs.twonn(X, backend=backend) == pytest.approx(reference.twonn(X), rel=1e-10)
    assert cs.dimension_mle(X, k=10, backend=backend) == pytest.approx(
        reference.dimension_mle(X, k=10), rel=1e-10
    )


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("metric", ["procrustes", "linear_regression_r2"])
def test_linear_metrics_of_the_grid(name, metric, backend):
    X, Y = grid(name)[:300], grid("offset 0")[:300, :7]
    score = getattr(cs, metric)(X, Y, backend=backend)
    assert score == pytest.approx(getattr(reference, metric)(X, Y), rel=1e-6)


SCALES = [
    (np.float32, 1e-30),
    (np.float32, 1e18),
    (np.float64, 1e-30),
    (np.float64, 1e30),
]
SCALE_FREE = [
    ("mutual_knn", {"k": 5}),
    ("mutual_knn", {"k": 5, "normalize": "none", "distance": "l2"}),
    ("cknna", {"k": 5}),
    ("cknna", {"k": 5, "normalize": "none"}),
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("cka", {"kernel": "rbf"}),
    ("cca", {}),
    ("svcca", {}),
    ("pwcca", {}),
    ("procrustes", {}),
    ("linear_regression_r2", {}),
    ("distance_correlation", {}),
    ("distance_correlation", {"unbiased": True}),
    ("rsa", {}),
    ("rsa", {"correlation": "spearman"}),
    ("information_imbalance", {"k": 3}),
]


@pytest.fixture
def views(rng):
    cause = rng.standard_normal((80, 3))
    X = np.hstack([cause, rng.standard_normal((80, 3))])
    Y = cause @ rng.standard_normal((3, 5)) + rng.standard_normal((80, 5))
    # A power of two would change no digit; these rows lose none but the last.
    return X, Y


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@pytest.mark.parametrize(("name", "options"), SCALE_FREE, ids=[f"{n} {o}" for n, o in SCALE_FREE])
def test_tiny_and_large_units(name, options, dtype, scale, views, backend):
    X, Y = views
    scaled = (X * scale).astype(dtype)
    metric = getattr(cs, name)
    expected = metric(scaled.astype(np.float64) / scale, Y, backend=backend, **options)
    score = metric(scaled, Y, backend=backend, **options)
    # rel: CCA and its kin square their singular values.
    assert score == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e-60, 1e60, 1e100, 1e200])
@pytest.mark.parametrize(("name", "options"), SCALE_FREE, ids=[f"{n} {o}" for n, o in SCALE_FREE])
def test_absurd_units_are_right_or_refused(name, options, scale, views):
    # Squares of squares leave float64; NaN, 0 / 0 and infinity must not come home.
    X, Y = views
    metric = getattr(cs, name)
    expected = metric(X, Y, **options)
    try:
        score = metric(X * scale, Y * scale, **options)
    except ValueError as error:
        refused, score = "X" in str(error), None
    else:
        refused = False
    assert refused or score == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@pytest.mark.parametrize("name", ["twonn", "dimension_mle", "gride"])
def test_dimensions_have_no_unit(name, dtype, scale, views, backend):
    X, _ = views
    scaled = (X * scale).astype(dtype)
    estimate = getattr(cs, name)
    assert estimate(scaled, backend=backend) == pytest.approx(
        estimate(scaled.astype(np.float64) / scale, backend=backend), rel=1e-9
    )


@pytest.mark.parametrize("scale", [1e-4, 100.0])
def test_float16_neither_underflows_nor_overflows(scale, views, backend):
    # Squares of float16 values leave float16 on both sides.
    X, Y = views
    X = (X * scale).astype(np.float16)
    assert cs.cka(X, Y, backend=backend) == pytest.approx(reference.cka(X, Y), rel=1e-6)
    indices, _ = cs.neighbors(X, k=5, backend=backend)
    assert_array_equal(indices, reference.neighbors(X, 5)[0])


# --- thousands of samples --------------------------------------------------------------
# Sums over many pairs may come from float32 tiles, as random errors average out. What may
# not happen is that a few near or far pairs lose their digits.

THOUSANDS = 2300
LARGE_GRID = [
    "offset 0",
    "offset 1e4",
    "one column of huge spread",
    "two clusters",
    "one far outlier",
    "near duplicates",
]


@functools.cache
def large(name):
    """X and its dense distances, made once per kind of input."""
    rng = np.random.default_rng(25)
    X = rng.standard_normal((THOUSANDS, 16))
    if name == "offset 1e4":
        X += 1e4
    elif name == "one column of huge spread":
        X[:, 5] *= 1e5
    elif name == "two clusters":
        X[::2] += 1e3
        X[1::2] -= 1e3
    elif name == "one far outlier":
        X[17] += 1e4
    elif name == "near duplicates":
        X[1::2] = X[::2] + 1e-4 * rng.standard_normal((THOUSANDS // 2, 16))
    X = X.astype(np.float32)
    return X, reference.distances(X)


@functools.cache
def related_to_large():
    Y = large("offset 0")[0][:, :5].astype(np.float64)
    Y = Y + 0.5 * np.random.default_rng(26).standard_normal(Y.shape)
    return Y, reference.distances(Y)


def cosine(A, B):
    return float((A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum()))


def double_centered_in_place(A):
    """The same as `reference.double_centered`, without two products of n-by-n matrices."""
    return A - A.mean(axis=0) - A.mean(axis=1, keepdims=True) + A.mean()


@pytest.mark.parametrize("name", LARGE_GRID)
def test_distance_correlation_of_thousands(name):
    (X, D), (Y, E) = large(name), related_to_large()
    expected = cosine(reference.u_centered(D), reference.u_centered(E))
    score = cs.distance_correlation(X, Y, unbiased=True)
    assert score == pytest.approx(expected, rel=1e-6, abs=1e-8)
    expected = np.sqrt(cosine(double_centered_in_place(D), double_centered_in_place(E)))
    assert cs.distance_correlation(X, Y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LARGE_GRID)
def test_rsa_of_thousands(name):
    (X, D), (Y, E) = large(name), related_to_large()
    above = np.triu_indices(THOUSANDS, 1)
    expected = np.corrcoef(D[above], E[above])[0, 1]
    assert cs.rsa(X, Y) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("name", LARGE_GRID)
def test_rbf_cka_of_thousands(name, debiased):
    (X, D), (Y, E) = large(name), related_to_large()
    # One sigma for both: bring Y to the size of X, or its kernel would be all ones.
    sigma = float(np.median(D))
    larger = sigma / float(np.median(E))
    K, L = np.exp(-(D**2) / (2 * sigma**2)), np.exp(-((larger * E) ** 2) / (2 * sigma**2))
    center = reference.u_centered if debiased else double_centered_in_place
    score = cs.cka(X, larger * Y, kernel="rbf", bandwidth=sigma, debiased=debiased)
    assert score == pytest.approx(cosine(center(K), center(L)), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", LARGE_GRID)
def test_joint_neighbors_of_thousands(name):
    X, _ = large(name)
    Y, _ = related_to_large()
    score = cs.id_correlation(X, Y, permutations=0).value
    assert score == pytest.approx(reference.id_correlation(X, Y), rel=1e-7)


@pytest.mark.parametrize("name", LARGE_GRID)
def test_ranks_of_thousands(name):
    (X, D), (Y, E) = large(name), related_to_large()
    k = 3
    scores = cs.information_imbalance(X, Y, k=k)
    expected = [imbalance_by_counting(A, B, k) for A, B in ((D, E), (E, D))]
    assert tuple(scores) == pytest.approx(expected, rel=1e-12)


def imbalance_by_counting(D, E, k):
    D, E = D.copy(), E.copy()
    np.fill_diagonal(D, np.inf)
    np.fill_diagonal(E, np.inf)
    nearest = np.argsort(D, axis=1, kind="stable")[:, :k]
    total = 0.0
    for s in range(k):
        here = np.take_along_axis(E, nearest[:, s : s + 1], axis=1)
        total += (1 + (here > E).sum(axis=1) + 0.5 * ((here == E).sum(axis=1) - 1)).sum()
    return 2.0 / len(D) * total / (k * len(D))


# --- more than 2**31 pairs -------------------------------------------------------------

MANY = [46_341, 65_536]


def neighbors_on_a_line(x, k):
    """Exact neighbors of distinct numbers by (distance, index), from one sort."""
    n = len(x)
    order = np.argsort(x)
    reach = np.concatenate([np.arange(-k, 0), np.arange(1, k + 1)])
    places = np.arange(n)[:, None] + reach
    inside = (places >= 0) & (places < n)
    candidates = order[np.clip(places, 0, n - 1)]
    distances = np.abs(x[candidates] - x[order][:, None])
    distances[~inside] = np.inf
    by_index = np.argsort(candidates, axis=1)
    candidates = np.take_along_axis(candidates, by_index, axis=1)
    distances = np.take_along_axis(distances, by_index, axis=1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    indices = np.empty((n, k), np.int64)
    indices[order] = np.take_along_axis(candidates, nearest, axis=1)
    result = np.empty((n, k))
    result[order] = np.take_along_axis(distances, nearest, axis=1)
    return indices, result


def test_the_oracle_on_a_line_equals_brute_force(rng):
    for x in (rng.permutation(60).astype(float), rng.standard_normal(60)):
        indices, distances = neighbors_on_a_line(x, 5)
        expected, expected_distances = reference.neighbors(x[:, None], 5)
        assert_array_equal(indices, expected)
        assert_allclose(distances, expected_distances)


@pytest.mark.parametrize("n", MANY)
def test_neighbors_of_more_pairs_than_an_int_holds(n):
    # A shuffled grid: every inner row has ties on both sides, and all of it is exact.
    x = np.random.default_rng(n).permutation(n).astype(np.float32)
    indices, distances = cs.neighbors(x[:, None], k=3)
    expected, expected_distances = neighbors_on_a_line(x.astype(np.float64), 3)
    assert_array_equal(indices, expected)
    assert_array_equal(distances, expected_distances)


def test_irregular_numbers_on_a_line():
    x = np.random.default_rng(22).standard_normal(46_341)
    indices, distances = cs.neighbors(x[:, None], k=5)
    expected, expected_distances = neighbors_on_a_line(x, 5)
    assert_array_equal(indices, expected)
    assert_allclose(distances, expected_distances, rtol=1e-14)


def test_distance_correlation_of_more_pairs_than_an_int_holds():
    """A grid against two labels has closed-form distance sums."""
    n = 46_341
    rng = np.random.default_rng(23)
    x = rng.permutation(n).astype(np.float64)
    y = (rng.random(n) < 0.3 + 0.4 * (x > n / 2)).astype(np.float64)
    score = cs.distance_correlation(x[:, None], y[:, None], unbiased=True)
    assert score == pytest.approx(dcor_of_grid_and_labels(x, y), rel=1e-9)


def dcor_of_grid_and_labels(x, y):
    """U-statistic from sums that a sort gives exactly (Szekely and Rizzo 2014, eq. 3.6)."""
    n = len(x)

    def within(v):
        v = np.sort(v)
        m = len(v)
        return 2.0 * ((2.0 * np.arange(m) - m + 1.0) * v).sum()

    row_x = x * (x + 1) / 2 + (n - 1 - x) * (n - x) / 2
    ones = y.sum()
    row_y = np.where(y == 1, n - ones, ones)
    ab = within(x) - within(x[y == 1]) - within(x[y == 0])
    # Sum of (i - j)^2 over all ordered pairs of the grid; a label distance is its own square.
    aa = 2.0 * (n * (x**2).sum() - x.sum() ** 2)
    bb = row_y.sum()

    def covariance(product, r, s):
        value = product - 2.0 * (r @ s) / (n - 2) + r.sum() * s.sum() / ((n - 1) * (n - 2))
        return value / (n * (n - 3))

    xy = covariance(ab, row_x, row_y)
    return xy / np.sqrt(covariance(aa, row_x, row_x) * covariance(bb, row_y, row_y))


def test_the_oracle_of_grid_and_labels_equals_the_dense_definition(rng):
    x = rng.permutation(41).astype(float)
    y = (rng.random(41) < 0.4).astype(float)
    expected = reference.distance_correlation(x[:, None], y[:, None], unbiased=True)
    assert dcor_of_grid_and_labels(x, y) == pytest.approx(expected, rel=1e-12)


def imbalance_on_grids(x, y, k):
    """Exact ranks on a shuffled grid: count the integers closer than the neighbor."""
    n = len(x)
    indices, _ = neighbors_on_a_line(x, k)
    here = y[:, None]
    far = np.abs(y[indices] - here)
    closer = np.minimum(here, far - 1) + np.minimum(n - 1 - here, far - 1)
    ties = (here - far >= 0).astype(float) + (here + far <= n - 1) - 1
    return 2.0 / n * (1.0 + closer + 0.5 * ties).mean()


def test_the_oracle_on_grids_equals_the_dense_definition(rng):
    x, y = (rng.permutation(53).astype(float) for _ in range(2))
    expected = reference.information_imbalance(x[:, None], y[:, None], k=4)
    assert imbalance_on_grids(x, y, 4) == pytest.approx(expected[0], rel=1e-13)
    assert imbalance_on_grids(y, x, 4) == pytest.approx(expected[1], rel=1e-13)


def test_ranks_of_more_pairs_than_an_int_holds():
    n = 46_341
    rng = np.random.default_rng(24)
    x, y = (rng.permutation(n).astype(np.float64) for _ in range(2))
    # One way only: the metric itself would count both.
    ops = select("native", [x, y])
    graph = ops.knn_exact(x[:, None], k=2, distance="l2")
    sums = ops.rank_counts(y[:, None], [graph], [2]).sums
    score = 2.0 / n * sums.sum() / (2 * n)
    assert score == pytest.approx(imbalance_on_grids(x, y, 2), rel=1e-12)
