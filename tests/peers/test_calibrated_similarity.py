"""The peer permutes rows and computes the metric anew; we have its null in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs

torch = pytest.importorskip("torch", reason="the peer suite compares on torch tensors")
peer = pytest.importorskip(
    "calibrated_similarity", reason="the peer suite compares with calibrated-similarity"
)

DRAWS = 300


def drawn_null(X, Y, metric):
    """The peer's own permutations of our metric: (score, p, draws)."""
    seen = []

    def similarity(a, b):
        seen.append(metric(a.numpy(), b.numpy()))
        return seen[-1]

    generator = torch.Generator().manual_seed(0)
    _, p, _ = peer.calibrate(
        torch.from_numpy(X), torch.from_numpy(Y), similarity, K=DRAWS, generator=generator
    )
    return seen[0], float(p), np.array(seen[1:])


CLOSED_FORM = [
    ("mutual_knn", {"k": 5}),
    ("cknna", {"k": 5}),
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("distance_correlation", {"unbiased": True}),
    ("rsa", {}),
]


@pytest.mark.parametrize(("name", "settings"), CLOSED_FORM)
def test_closed_form_null_agrees_with_the_draws(name, settings, paired):
    X, Y = paired
    scores = cs.compare({"a": X, "b": Y}, metrics=[(name, settings)], progress=False).scores
    (score,) = scores.values()
    if score.null_mean is None:
        pytest.skip(f"{name} states no closed-form null")
    observed, p, draws = drawn_null(X, Y, lambda a, b: getattr(cs, name)(a, b, **settings))
    assert len(draws) == DRAWS
    assert observed == pytest.approx(score.values[0, 1], rel=1e-9)
    error = draws.std() / np.sqrt(DRAWS)
    assert abs(draws.mean() - score.null_mean[0, 1]) < 4 * error
    assert draws.std() == pytest.approx(score.null_std[0, 1], rel=0.25)
    assert p == pytest.approx(1 / (DRAWS + 1), rel=1e-5)
