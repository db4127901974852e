import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference
from consilience import views
from consilience._validate import as_embedding
from consilience.needs import View
from consilience.views import prepare


@pytest.mark.parametrize("normalize", ["none", "l2", "max", "zscore"])
@pytest.mark.parametrize("q", [None, 0.5, 0.95, 1.0])
def test_clips_then_normalizes(rng, normalize, q):
    X = rng.standard_t(3, (61, 5)).astype(np.float32)
    clipped = X if q is None else reference.clipped(X, q)
    found = cs.preprocess(X, normalize=normalize, clip_quantile=q)
    assert_allclose(found, reference.normalized(clipped, normalize), rtol=1e-12, atol=1e-14)


def test_a_constant_column_becomes_zero(rng):
    X = rng.standard_normal((20, 3))
    X[:, 1] = 0.1
    assert_array_equal(cs.preprocess(X, normalize="zscore")[:, 1], np.zeros(20))


@pytest.mark.parametrize("q", [0.0, -0.1, 1.1])
def test_a_quantile_is_a_share(rng, q):
    with pytest.raises(ValueError, match="clip_quantile"):
        cs.preprocess(rng.standard_normal((5, 2)), clip_quantile=q)


def test_rows_that_become_equal_are_refused():
    with pytest.raises(ValueError, match="constant after normalize='l2'"):
        cs.preprocess(np.array([[1.0, 1.0], [2.0, 2.0]]), normalize="l2")


@pytest.mark.parametrize("normalize", ["zscore", "l2", "max"])
@pytest.mark.parametrize("shape", [(700, 1), (900, 31), (411, 65), (333, 130)])
def test_threads_and_parts_change_no_bit(monkeypatch, normalize, shape):
    X = np.random.default_rng(2).standard_normal(shape).astype("f4") * 3.0
    X[:, 0] = np.where(np.arange(shape[0]) % 2 == 0, 5.0, -4.0)
    embedding, view = as_embedding(X, "X"), View(normalize)
    whole = prepare(embedding, view, 4)
    monkeypatch.setattr(views, "LARGE", 0)
    for n_threads in (1, 4):
        assert_array_equal(prepare(embedding, view, n_threads), whole)


@pytest.mark.parametrize("normalize", ["l2", "max"])
def test_the_largest_of_a_row_is_the_same_by_rows_and_by_columns(monkeypatch, normalize, rng):
    X = rng.standard_normal((41, 7)).astype(np.float32)
    embedding, view = as_embedding(X, "X"), View(normalize)
    by_columns = prepare(embedding, view)
    monkeypatch.setattr(views, "NARROW", 0)
    assert_array_equal(by_columns, prepare(embedding, view))
    assert_array_equal(embedding.values, X)


def test_the_first_zero_row_is_told_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(views, "LARGE", 0)
    X = np.ones((40_000, 16))
    X[[9_000, 30_000]] = 0.0
    for n_threads in (1, 4):
        with pytest.raises(ValueError, match=r"zero row \(row 9000\)"):
            prepare(as_embedding(X, "X"), View("l2"), n_threads)
