"""HSIC from minibatches: unbiased, weighted by rows, with the variance it has."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import consilience as cs
import reference
from consilience.accumulate import Estimate, StreamingHSIC


def laplacian(X):
    X = np.asarray(X, dtype=np.float64)
    return np.exp(-cdist(X, X, "cityblock") / 3.0)


KERNELS = {
    "rbf": ({"kernel": "rbf", "bandwidth": (2.0, 1.5)}, ("rbf", 2.0), ("rbf", 1.5)),
    "linear": ({"kernel": "linear"}, ("linear",), ("linear",)),
    "a function": ({"kernel": laplacian}, (laplacian,), (laplacian,)),
}


def dense(kernel, X):
    X = np.asarray(X, dtype=np.float64)
    if kernel[0] == "rbf":
        return np.exp(-cdist(X, X, "sqeuclidean") / (2 * kernel[1] ** 2))
    return X @ X.T if kernel[0] == "linear" else kernel[0](X)


def related(rng, n, dtype=np.float64):
    X = rng.standard_normal((n, 3))
    return X.astype(dtype), (X[:, :2] + rng.standard_normal((n, 2))).astype(dtype)


def by_definition(batches, x, y):
    """The weighted mean of [HSIC_xy, HSIC_xx, HSIC_yy], and its covariance over batches."""
    h = []
    for X, Y in batches:
        K, L = dense(x, X), dense(y, Y)
        h.append([reference.hsic_unbiased(A, B) for A, B in ((K, L), (K, K), (L, L))])
    h, m = np.array(h), np.array([len(X) for X, _ in batches], dtype=float)
    mean = m @ h / m.sum()
    d = m[:, None] * (h - mean)
    return mean, d.T @ d / (m.sum() ** 2 - (m * m).sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KERNELS)
def test_it_is_the_weighted_mean_of_the_unbiased_estimates(name, dtype, rng):
    options, x, y = KERNELS[name]
    batches = [related(rng, m, dtype) for m in (4, 31, 7, 64, 5)]
    streaming = StreamingHSIC(**options)
    for X, Y in batches:
        assert streaming.update(X, Y) is streaming
    mean, covariance = by_definition(batches, x, y)
    hsic, cka = streaming.compute(), streaming.compute("cka")
    assert hsic == Estimate(hsic.value, hsic.std_error, 111, 5)
    assert hsic.value == pytest.approx(mean[0], rel=1e-9)
    assert hsic.std_error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-7)
    assert cka.value == pytest.approx(mean[0] / np.sqrt(mean[1] * mean[2]), rel=1e-9)
    step = 1e-6 * mean
    ratio = lambda h: h[0] / np.sqrt(h[1] * h[2])  # noqa: E731
    slope = np.array(
        [(ratio(mean + s) - ratio(mean - s)) / (2 * s[i]) for i, s in enumerate(np.diag(step))]
    )
    assert cka.std_error == pytest.approx(np.sqrt(slope @ covariance @ slope), rel=1e-5)


def test_one_batch_is_the_batch_function_and_has_no_error_to_state(rng):
    X, Y = related(rng, 50)
    streaming = StreamingHSIC("rbf", bandwidth=1.7).update(X, Y)
    for name in ("hsic", "cka"):
        found = streaming.compute(name)
        options = {"debiased": True} if name == "cka" else {}
        expected = getattr(cs, name)(X, Y, kernel="rbf", bandwidth=1.7, **options)
        assert float(found) == pytest.approx(expected, rel=1e-12)
        assert found.std_error is None


def test_unequal_batches_do_not_count_alike(rng):
    few, many = related(rng, 5), related(rng, 200)
    streaming = StreamingHSIC("rbf", bandwidth=2.0).update(*few).update(*many)
    parts = [cs.hsic(X, Y, kernel="rbf", bandwidth=2.0) for X, Y in (few, many)]
    value = streaming.compute().value
    assert value == pytest.approx((5 * parts[0] + 200 * parts[1]) / 205, rel=1e-12)
    assert abs(value - np.mean(parts)) > abs(value - parts[1])


def test_the_mean_over_draws_is_the_population_and_the_error_is_its_spread():
    """Of 400 streams of unequal batches; all pairs of a large sample stand for the population."""
    rng = np.random.default_rng(5)
    X, Y = related(rng, 2000)
    population = cs.hsic(X, Y, kernel="rbf", bandwidth=2.0)
    values, errors = [], []
    for _ in range(400):
        streaming = StreamingHSIC("rbf", bandwidth=2.0, n_threads=1)
        for m in (6, 20, 6, 12, 8):
            streaming.update(*related(rng, m))
        found = streaming.compute()
        values.append(found.value)
        errors.append(found.std_error**2)
    spread = np.std(values)
    assert abs(np.mean(values) - population) < 4 * spread / 20
    assert np.mean(errors) == pytest.approx(spread**2, rel=0.25)


@pytest.mark.parametrize("cut", [0, 1, 2, 4])
def test_merging_is_seeing_all_batches(cut, rng):
    batches = [related(rng, m) for m in (9, 30, 5, 17)]
    whole, left, right = (StreamingHSIC("rbf", bandwidth=2.0) for _ in range(3))
    for at, batch in enumerate(batches):
        whole.update(*batch)
        (left if at < cut else right).update(*batch)
    before = right.n_batches
    left.merge(pickle.loads(pickle.dumps(right)))
    assert (right.n_batches, left.n_samples, left.n_batches) == (before, 61, 4)
    for name in ("hsic", "cka"):
        one, other = left.compute(name), whole.compute(name)
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.std_error == pytest.approx(other.std_error, rel=1e-9)


def test_only_the_same_kernels_merge(rng):
    made = [
        StreamingHSIC("rbf", bandwidth=2.0),
        StreamingHSIC("rbf", bandwidth=2.1),
        StreamingHSIC("linear"),
        StreamingHSIC("rbf", bandwidth=2.0, normalize="l2"),
        StreamingHSIC("rbf", bandwidth="first-batch median"),
    ]
    for one in made:
        one.update(*related(rng, 20))
    for one, other in itertools.combinations(made, 2):
        before = one.compute()
        with pytest.raises(ValueError, match="differ"):
            one.merge(other)
        assert one.compute() == before
    with pytest.raises(TypeError, match="must be StreamingHSIC"):
        made[0].merge(cs.Moments())


def test_a_bandwidth_is_a_number_or_taken_once(rng):
    for bandwidth in (None, "median"):
        with pytest.raises(ValueError, match="must be a number"):
            StreamingHSIC("rbf", bandwidth=bandwidth)
    with pytest.raises(ValueError, match="positive"):
        StreamingHSIC("rbf", bandwidth=-1.0)
    with pytest.raises(ValueError, match='belongs to kernel="rbf"'):
        StreamingHSIC("linear", bandwidth=1.0)
    batches = [related(rng, 21) for _ in range(3)]
    streaming = StreamingHSIC("rbf", bandwidth="first-batch median")
    assert streaming.bandwidth is None
    for batch in batches:
        streaming.update(*batch)
    (X, Y), upper = batches[0], np.triu_indices(21, 1)
    sigmas = tuple(float(np.median(cdist(A, A)[upper])) for A in (X, Y))
    assert streaming.bandwidth == pytest.approx(sigmas, rel=1e-12)
    mean, _ = by_definition(batches, *[("rbf", sigma) for sigma in sigmas])
    assert streaming.compute().value == pytest.approx(mean[0], rel=1e-10)
    assert streaming.reset().bandwidth is None
    with pytest.raises(ValueError, match="`Y`: the median distance is 0"):
        streaming.update(X, np.ones((21, 2)))
    assert streaming.n_batches == 0


def test_rows_may_be_normalised_first(rng):
    X, Y = related(rng, 30)
    found = StreamingHSIC("rbf", bandwidth=1.0, normalize="l2").update(X, Y).compute()
    expected = cs.hsic(X, Y, kernel="rbf", bandwidth=1.0, normalize="l2")
    assert found.value == pytest.approx(expected, rel=1e-12)


def test_a_batch_of_equal_rows_says_nothing_and_is_legal(rng):
    X = rng.standard_normal((10, 3))
    flat = np.ones((10, 2))
    streaming = StreamingHSIC("rbf", bandwidth=1.0).update(X, flat)
    assert streaming.compute().value == pytest.approx(0.0, abs=1e-15)
    own = StreamingHSIC("rbf", bandwidth=1.0).update(X, X).compute().value
    assert streaming._batches.mean() == pytest.approx([0.0, own, 0.0], rel=1e-12, abs=1e-15)
    with pytest.raises(ValueError, match="`Y`: the HSIC with itself"):
        streaming.compute("cka")


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (lambda X, Y: (X[:3], Y[:3]), "4 rows"),
        (lambda X, Y: (X, Y[:-1]), "same n_samples"),
        (lambda X, Y: (X, Y[:, :1]), "features"),
        (lambda X, Y: (X * np.nan, Y), "NaN"),
        (lambda X, Y: (X[:, 0], Y), "2-D"),
    ],
)
def test_a_batch_that_is_refused_adds_nothing(batch, words, rng):
    X, Y = related(rng, 12)
    streaming = StreamingHSIC("rbf", bandwidth=1.0).update(X, Y)
    before = streaming.compute()
    with pytest.raises(ValueError, match=words):
        streaming.update(*batch(X, Y))
    assert streaming.compute() == before


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (lambda X: np.ones(3), "must return"),
        (lambda X: np.arange(len(X) ** 2).reshape(len(X), -1), "symmetric"),
        (lambda X: np.full((len(X), len(X)), np.nan), "NaN"),
    ],
)
def test_a_function_that_is_no_kernel_is_told(kernel, words, rng):
    with pytest.raises(ValueError, match=words):
        StreamingHSIC(kernel).update(*related(rng, 8))


def test_nothing_is_computed_of_nothing():
    with pytest.raises(ValueError, match="no batch yet"):
        StreamingHSIC("linear").compute()
    with pytest.raises(ValueError, match="did you mean 'cka'"):
        StreamingHSIC("linear").compute("ckaa")


def test_tensors_are_taken_as_they_are(rng):
    torch = pytest.importorskip("torch")
    X, Y = related(rng, 20, np.float32)
    tensors = torch.tensor(X, requires_grad=True), torch.tensor(Y)
    found = StreamingHSIC("rbf", bandwidth=1.0).update(*tensors).compute()
    assert found == StreamingHSIC("rbf", bandwidth=1.0).update(X, Y).compute()
