import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
import reference


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
