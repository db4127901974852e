"""Moments gathered batch by batch: the scores of all rows together."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference
from consilience.accumulate import _sums
from consilience.accumulate.moments import Moments
from consilience.backends import _block_moments

METRICS = [
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("hsic", {}),
    ("hsic", {"unbiased": False}),
    ("cca", {}),
    ("svcca", {"variance": 0.9}),
    ("svcca", {"dims": 2}),
    ("pwcca", {}),
    ("procrustes", {}),
    ("linear_regression_r2", {}),
]
IDS = [f"{name} {settings}" for name, settings in METRICS]


def one_way(name, X, Y, **settings):
    score = getattr(cs, name)(X, Y, **settings)
    return score[0] if isinstance(score, tuple) else score


def three(rng, n=143, dtype=np.float64):
    """Three related sets of odd widths, two of them far from the origin."""
    shared = rng.standard_normal((n, 4))
    sets = [
        shared @ rng.standard_normal((4, 7)) + 0.5 * rng.standard_normal((n, 7)) + 30.0,
        shared @ rng.standard_normal((4, 5)) + rng.standard_normal((n, 5)),
        rng.standard_normal((n, 3)) * [1.0, 100.0, 0.01] - 5.0,
    ]
    return [X.astype(dtype) for X in sets]


def gathered(sets, sizes, **options):
    acc = Moments([X.shape[1] for X in sets], **options)
    start = 0
    for size in itertools.cycle(sizes):
        if start >= len(sets[0]):
            return acc
        acc.update(*(X[start : start + size] for X in sets))
        start += size
    raise AssertionError


@pytest.mark.parametrize(("name", "settings"), METRICS, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_score_of_batches_is_that_of_all_rows(name, settings, dtype, rng):
    sets = three(rng, dtype=dtype)
    acc = gathered(sets, (1, 40, 7, 0 + 64))
    scores = acc.matrix(name, **settings)
    assert scores.shape == (3, 3)
    for a, b in itertools.permutations(range(3), 2):
        expected = one_way(name, sets[a], sets[b], **settings)
        assert scores[a, b] == pytest.approx(expected, rel=1e-12, abs=1e-13)
        assert acc.compute(name, (a, b), **settings) == scores[a, b]
    if name != "hsic":
        assert_allclose(scores.diagonal(), 1.0, rtol=1e-12)


def test_it_agrees_with_dense_definitions(rng):
    X, Y, _ = three(rng)
    acc = gathered([X, Y], (11,))
    K, L = X @ X.T, Y @ Y.T
    A, B = reference.double_centered(K), reference.double_centered(L)
    expected = (A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())
    assert acc.compute("cka") == pytest.approx(expected, rel=1e-11)
    n = len(X)
    U, V = reference.u_centered(K), reference.u_centered(L)
    assert acc.compute("hsic") == pytest.approx((U * V).sum() / (n * (n - 3)), rel=1e-10)


@pytest.mark.parametrize("normalize", ["l2", "max"])
def test_rows_may_be_normalised_first(normalize, rng):
    sets = three(rng, dtype=np.float32)
    acc = gathered(sets, (17,), normalize=normalize)
    expected = cs.cka(sets[0], sets[1], normalize=normalize)
    assert acc.compute("cka", (0, 1)) == pytest.approx(expected, rel=1e-12)
    assert acc.compute("cka", (0, 1), normalize=normalize) == acc.compute("cka", (0, 1))
    with pytest.raises(ValueError, match="accumulated with normalize"):
        acc.compute("cka", (0, 1), normalize="none")


def test_columns_cannot_be_standardised_before_they_are_known():
    with pytest.raises(ValueError, match="mean and deviation of all rows"):
        Moments((3, 3), normalize="zscore")


# ---- digits --------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", [0.0, 1e3, 1e6])
def test_a_first_batch_far_from_the_rest_costs_no_digits(drift, rng):
    X, Y, _ = three(rng, 400)
    X[:20] += drift
    Y[20:] -= drift
    acc = gathered([X, Y], (20,))
    for name, settings in METRICS[:4]:
        expected = one_way(name, X, Y, **settings)
        assert acc.compute(name, **settings) == pytest.approx(expected, rel=1e-11)


def test_a_mean_that_wanders_is_followed(rng):
    n = 2000
    X = rng.standard_normal((n, 4)) + np.linspace(0, 1e5, n)[:, None]
    Y = X @ rng.standard_normal((4, 3)) + rng.standard_normal((n, 3))
    acc = gathered([X, Y], (10,))
    assert acc.compute("cka", debiased=True) == pytest.approx(
        cs.cka(X, Y, debiased=True), rel=1e-12
    )
    (shift,) = acc._home.shifts[:1]
    assert np.abs(shift - X.mean(axis=0)).max() < 2 * X.std(axis=0).min()


def test_an_offset_in_float32_costs_nothing(rng):
    X, Y, _ = three(rng, dtype=np.float32)
    far = X + np.float32(1e4)
    assert gathered([far, Y], (13,)).compute("cka") == pytest.approx(cs.cka(far, Y), rel=1e-12)


def test_moved_moments_are_those_about_the_other_shifts(rng):
    X, Y, _ = three(rng, 30)

    def moments(s, t):
        U, V = X - s, Y - t
        Z, W = (
            np.hstack([A, (A * A).sum(axis=1, keepdims=True), np.ones((30, 1))]) for A in (U, V)
        )
        return Z.T @ W

    s, t = rng.standard_normal(7), rng.standard_normal(5)
    moved = moments(np.zeros(7), np.zeros(5))
    _sums.move_shifts(moved, s, t)
    assert_allclose(moved, moments(s, t), rtol=1e-9, atol=1e-9)


# ---- merging -------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_workers_with_different_shifts_merge_exactly(offset, rng):
    X, Y, Z = three(rng, 301)
    X[100:200] += offset
    parts = [
        gathered([A[start:stop] for A in (X, Y, Z)], (23,))
        for start, stop in ((0, 100), (100, 104), (104, 301))
    ]
    orders = [
        merged(merged(parts[i], parts[j]), parts[k]) for i, j, k in itertools.permutations(range(3))
    ]
    orders.append(merged(parts[0], merged(parts[1], parts[2])))
    for acc in orders:
        assert acc.n_samples == 301
        for name, settings in METRICS:
            expected = one_way(name, X, Y, **settings)
            found = acc.compute(name, (0, 1), **settings)
            # Whitening squares the condition of X, the offset's 1e4, for batches and all at once.
            rel = 1e-6 if offset and name not in ("cka", "hsic", "procrustes") else 1e-11
            assert found == pytest.approx(expected, rel=rel, abs=1e-12)


def merged(a, b):
    return copy.deepcopy(a).merge(b)


def test_two_merge_to_the_same_bits_either_way_round(rng):
    sets = three(rng)
    a, b = (gathered([X[part] for X in sets], (9,)) for part in (slice(40), slice(40, None)))
    ab, ba = merged(a, b), merged(b, a)
    for one, other in zip(ab._home.matrices, ba._home.matrices, strict=True):
        assert_array_equal(one, other)


def test_merging_leaves_the_other_as_it_was(rng):
    sets = three(rng)
    a, b = gathered(sets, (50,)), gathered(sets, (31,))
    before = b.matrix("cka")
    a.merge(b).update(*sets)
    assert_array_equal(b.matrix("cka"), before)
    assert (a.n_samples, b.n_samples) == (3 * 143, 143)


def test_an_empty_one_merges_either_way(rng):
    sets = three(rng)
    full = gathered(sets, (50,))
    expected = full.matrix("cka")
    assert_array_equal(Moments().merge(full).matrix("cka"), expected)
    assert_array_equal(
        Moments([7, 5, 3]).merge(full).update(*sets).merge(full).matrix("cka"),
        full.update(*sets).merge(gathered(sets, (50,))).matrix("cka"),
    )
    assert_array_equal(gathered(sets, (50,)).merge(Moments([7, 5, 3])).matrix("cka"), expected)


def test_only_the_same_models_merge(rng):
    sets = three(rng)
    acc = gathered(sets, (50,))
    with pytest.raises(ValueError, match="same models"):
        acc.merge(gathered(sets[::-1], (50,)))
    with pytest.raises(ValueError, match="normalised differently"):
        acc.merge(Moments(normalize="l2"))
    with pytest.raises(TypeError, match="must be Moments"):
        acc.merge(np.ones((3, 3)))
    assert acc.n_samples == 143


# ---- keeping -------------------------------------------------------------------------------


def test_it_survives_pickling_copying_and_a_file(rng, tmp_path):
    sets = three(rng)
    acc = Moments({"a": 7, "b": 5, "c": 3}).update(*sets)
    acc.save(tmp_path / "moments.npz")
    for other in (
        pickle.loads(pickle.dumps(acc)),
        copy.deepcopy(acc),
        Moments.load(tmp_path / "moments.npz"),
    ):
        assert (other.names, other.dims, other.n_samples) == (("a", "b", "c"), (7, 5, 3), 143)
        assert_array_equal(other.matrix("cka"), acc.matrix("cka"))
        other.update(*sets)
        assert (other.n_samples, acc.n_samples) == (286, 143)


def test_one_without_rows_survives_a_file(tmp_path):
    Moments((4, 2), normalize="l2").save(tmp_path / "m.npz")
    found = Moments.load(tmp_path / "m.npz")
    assert (found.dims, found.n_samples) == ((4, 2), 0)
    Moments().save(tmp_path / "m.npz")
    assert Moments.load(tmp_path / "m.npz").dims == ()


def test_a_file_of_something_else_is_refused(tmp_path, rng):
    path = tmp_path / "m.npz"
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="no moments that can be read"):
        Moments.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no moments that can be read"):
        Moments.load(path)
    with pytest.raises(FileNotFoundError):
        Moments.load(tmp_path / "none.npz")
    gathered(three(rng), (50,)).save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    for name, wrong in (
        ("matrix 0 1", np.ones((2, 2))),
        ("shift 0", np.full(7, np.nan)),
        ("high 2", np.ones(3, np.float32)),
        ("format", np.array("other")),
    ):
        np.savez(path, **(arrays | {name: wrong}))
        with pytest.raises(ValueError, match="no moments that can be read"):
            Moments.load(path)


def test_reset_forgets_rows_and_not_models(rng):
    X, Y, _ = three(rng)
    acc = gathered([X, Y], (50,))
    assert acc.reset().n_samples == 0
    acc.update(1e3 - X, Y)
    assert acc.compute("cka") == pytest.approx(cs.cka(X, Y), rel=1e-12)


# ---- asking --------------------------------------------------------------------------------


def test_names_are_those_of_the_mapping_in_any_order(rng):
    X, Y, _ = three(rng)
    acc = Moments().update({"late": Y, "early": X}).update({"early": X, "late": Y})
    assert acc.names == ("late", "early")
    x, y = np.vstack([X, X]), np.vstack([Y, Y])
    r2 = cs.linear_regression_r2(x, y)
    assert acc.compute("linear_regression_r2", ("early", "late")) == pytest.approx(r2[0], rel=1e-12)
    assert acc.compute("linear_regression_r2", ("late", "early")) == pytest.approx(r2[1], rel=1e-12)
    assert "late: 5, early: 7" in repr(acc)


def test_of_two_the_pair_goes_without_saying_and_of_three_it_does_not(rng):
    sets = three(rng)
    with pytest.raises(ValueError, match="name two of"):
        gathered(sets, (50,)).compute("cka")
    assert gathered(sets[:2], (50,)).names == ("X", "Y")


@pytest.mark.parametrize(
    ("name", "settings"),
    [("cka", {"kernel": "rbf"}), ("mutual_knn", {}), ("distance_correlation", {}), ("twonn", {})],
)
def test_what_compares_samples_is_refused(name, settings, rng):
    acc = gathered(three(rng)[:2], (50,))
    with pytest.raises(ValueError, match="reads more than moments"):
        acc.compute(name, **settings)


def test_unknown_names_are_refused(rng):
    acc = gathered(three(rng)[:2], (50,))
    with pytest.raises(ValueError, match="did you mean 'cka'"):
        acc.compute("ckaa")
    with pytest.raises(ValueError, match="no setting"):
        acc.compute("cka", sigma=1)
    with pytest.raises(ValueError, match="`pair`"):
        acc.compute("cka", ("X", "Z"))
    with pytest.raises(ValueError, match="names model 2 of 2"):
        acc.compute("cka", (0, 2))


# ---- refusing, with nothing added ------------------------------------------------------------


def wrong_batches(rng):
    X, Y = rng.standard_normal((10, 4)), rng.standard_normal((10, 3))
    nan = Y.copy()
    nan[7, 2] = np.nan
    return {
        "NaN at row 7, column 2": (X, nan),
        "an infinite value": (X, np.where(np.isnan(nan), np.inf, nan)),
        "same n_samples": (X, Y[:9]),
        "must have 3 features": (X, X),
        "one batch per model": (X,),
        "2-D": (X, Y[:, 0]),
        "is empty": (X[:0], Y[:0]),
        "too large": (X, 1e40 * Y),
        "is wanted": ({"X": X},),
        "must be float": (X, Y.astype(int)),
    }


@pytest.mark.parametrize("words", list(wrong_batches(np.random.default_rng(0))))
def test_a_batch_that_is_refused_adds_nothing(words, rng):
    acc = Moments((4, 3)).update(rng.standard_normal((8, 4)), rng.standard_normal((8, 3)))
    before = acc.compute("cka")
    with pytest.raises((ValueError, TypeError), match=words):
        acc.update(*wrong_batches(rng)[words])
    assert acc.n_samples == 8
    assert acc.compute("cka") == before


def test_a_first_batch_that_is_refused_leaves_the_models_open(rng):
    acc = Moments()
    with pytest.raises(ValueError, match="NaN"):
        acc.update(np.full((5, 2), np.nan), rng.standard_normal((5, 2)))
    acc.update(rng.standard_normal((5, 9)), rng.standard_normal((5, 1)))
    assert acc.dims == (9, 1)


def test_too_few_rows_or_equal_ones_have_no_score(rng):
    acc = Moments((4, 3))
    with pytest.raises(ValueError, match="no rows yet"):
        acc.compute("cka")
    X, Y = rng.standard_normal((3, 4)), rng.standard_normal((3, 3))
    for row in range(3):
        acc.update(X[row : row + 1], Y[row : row + 1])
    with pytest.raises(ValueError, match="at least 4 samples, got n_samples=3"):
        acc.compute("cka", debiased=True)
    assert acc.compute("cka") == pytest.approx(cs.cka(X, Y), rel=1e-11)
    flat = Moments((4, 3))
    for _ in range(4):
        flat.update(X, np.ones((3, 3)))
    with pytest.raises(ValueError, match="`Y` is constant: all 12 rows"):
        flat.compute("cka")


@pytest.mark.parametrize("dims", [(), (3, 0), (3, -1)])
def test_widths_are_positive(dims):
    with pytest.raises(ValueError):
        Moments(dims)


# ---- libraries -----------------------------------------------------------------------------


def test_tensors_that_need_gradients_are_read_without_them(rng):
    torch = pytest.importorskip("torch")
    X, Y, _ = three(rng, dtype=np.float32)
    x = torch.tensor(X, requires_grad=True)
    acc = Moments((7, 5)).update(x * 1.0, torch.tensor(Y).to(torch.bfloat16))
    expected = cs.cka(X, torch.tensor(Y).to(torch.bfloat16))
    assert acc.compute("cka") == pytest.approx(expected, rel=1e-12)
    assert x.grad is None


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_batches_on_a_device_are_summed_up_there(library, rng, monkeypatch):
    """Arrays of a library stand for those on a GPU, which go the same way."""
    xp = pytest.importorskip(library)
    from consilience.accumulate import moments as module
    from consilience.backends import _placement

    calls = []
    true = _block_moments.products

    def counted(*arguments):
        calls.append(arguments)
        return true(*arguments)

    monkeypatch.setattr(_block_moments, "products", counted)
    kept = library == "torch"
    where = _placement.Place("gpu", 0, "torch" if kept else library)
    monkeypatch.setattr(_placement, "place", lambda array: where)
    monkeypatch.setattr(module, "as_rows", lambda array, name: (array, "float64"))
    X, Y, _ = three(rng)
    acc = Moments((7, 5))
    for start in range(0, 143, 10):
        acc.update(*(xp.asarray(A[start : start + 10] + 50.0) for A in (X, Y)))
    assert bool(acc._away) == kept
    assert len(calls) == 15
    assert acc.compute("cka") == pytest.approx(cs.cka(X, Y), rel=1e-12)
    assert not acc._away


def test_no_result_depends_on_the_threads(rng):
    sets = three(rng, 3000)
    one, two = (gathered(sets, (700,), n_threads=n) for n in (1, 2))
    for a, b in zip(one._home.matrices, two._home.matrices, strict=True):
        assert_array_equal(a, b)
