from __future__ import annotations

import warnings

import numpy as np
import pytest

import consilience as cs

skdim = pytest.importorskip("skdim", reason="the peer suite compares with scikit-dimension")


@pytest.fixture(params=[(150, 5), (120, 30)])
def X(request, rng):
    return rng.standard_normal(request.param)


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize(("theirs", "ours"), [("mle", "harmonic"), ("mean", "mean")])
def test_maximum_likelihood(k, theirs, ours, X):
    # Its K is not used where neighborhoods are; `n_neighbors` is.
    expected = skdim.id.MLE().fit(X, n_neighbors=k, comb=theirs).dimension_
    assert cs.dimension_mle(X, k=k, combine=ours) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("discard", [0.1, 0.3])
def test_twonn_by_a_line(discard, X):
    expected = skdim.id.TwoNN(discard_fraction=discard).fit(X).dimension_
    assert cs.twonn(X, discard=discard) == pytest.approx(float(expected), rel=1e-8)


def test_twonn_by_maximum_likelihood(X):
    # Theirs is censored at the discarded share; with nothing discarded it is ours.
    whole = skdim.id.TwoNN(discard_fraction=0.0, method="mle")
    with warnings.catch_warnings():
        # The last point of its plot is -log(0); the estimate does not use it.
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = whole.fit(X).dimension_
    assert cs.twonn(X, method="mle") == pytest.approx(float(expected), rel=1e-8)


def test_ratios_of_one_are_kept_by_the_peer_only(X):
    """A row whose two nearest neighbors are copies of each other has r1 = r2."""
    X = X.copy()
    X[:10] = X[10:20]
    r = np.sort(np.linalg.norm(X[:, None] - X, axis=2), axis=1)[:, 1:3]
    kept = r[(r[:, 0] > 0) & (r[:, 0] < r[:, 1])]
    positive = r[r[:, 0] > 0]
    assert len(kept) < len(positive) < len(X)
    estimator = skdim.id.TwoNN(dist=True)
    ours = cs.twonn(X)
    assert ours == pytest.approx(float(estimator.fit(kept).dimension_), rel=1e-8)
    assert abs(ours / float(estimator.fit(positive).dimension_) - 1.0) > 0.01
