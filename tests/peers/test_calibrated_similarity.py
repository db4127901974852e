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


def as_ours():
    """The peer's hook for permutations, giving ours in their order."""
    from consilience.inference.relabel import permutation

    drawn = iter(range(10_000))
    return lambda n, device: torch.from_numpy(permutation(n, 0, next(drawn)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("mutual_knn", {"k": 5}), ("cknna", {"k": 5}), ("jaccard_knn", {"k": 5}), ("cca", {})],
)
def test_p_value_and_calibrated_score_are_the_peers(name, settings, paired):
    X, Y = paired
    # Half of the rows of Y belong to others, so that the score is within reach of chance.
    Y = np.vstack([Y[:20], np.roll(Y[20:], 7, axis=0)])
    m = cs.compare(
        {"a": X, "b": Y}, [(name, settings)], null="permutation", permutations=99, intervals=None
    )
    metric = getattr(cs, name)
    calibrated, p, _ = peer.calibrate(
        torch.from_numpy(X),
        torch.from_numpy(Y),
        lambda a, b: metric(a.numpy(), b.numpy(), **settings),
        K=99,
        perm_fn=as_ours(),
    )
    assert m.p(name)[0, 1] == pytest.approx(float(p), rel=1e-5)
    assert m.calibrated(name)[0, 1] == pytest.approx(float(calibrated), abs=1e-5)


def test_the_best_layers_are_calibrated_as_by_the_peer(rng):
    from consilience.inference.layer_max import layer_max

    shared = rng.standard_normal((60, 3))
    a = [rng.standard_normal((60, 4)), shared + rng.standard_normal((60, 3))]
    b = [shared + rng.standard_normal((60, 3)), rng.standard_normal((60, 5))]
    found = layer_max(a, b, "mutual_knn", {"k": 5}, draws=99)
    calibrated, p, threshold = peer.calibrate_layers(
        [torch.from_numpy(X) for X in a],
        [torch.from_numpy(Y) for Y in b],
        lambda x, y: cs.mutual_knn(x.numpy(), y.numpy(), k=5),
        K=99,
        perm_fn=as_ours(),
    )
    assert found.best_p == pytest.approx(float(p), rel=1e-5)
    assert found.threshold == pytest.approx(float(threshold), rel=1e-5)
    assert found.best_calibrated == pytest.approx(float(calibrated), abs=1e-5)
