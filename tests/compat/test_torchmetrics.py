"""Alignment as a torchmetrics Metric: in one process, in several, saved and grouped."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

import consilience as cs

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torchmetrics = pytest.importorskip("torchmetrics")

import gloo_worker  # noqa: E402
from consilience.compat.torchmetrics import Alignment  # noqa: E402


@pytest.fixture
def sets():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(161, 7, generator=generator) + 100.0
    Y = X[:, :4].tanh() + X[:, 1:5] + torch.randn(161, 4, generator=generator)
    Y[150:] += 1e3  # one process sees another world
    return X, Y


def in_batches(alignment, sets, size=23):
    for start in range(0, len(sets[0]), size):
        alignment.update(*(A[start : start + size] for A in sets))
    return alignment


@pytest.mark.parametrize(
    ("metric", "settings"),
    [
        ("cka", {}),
        ("cka", {"debiased": True}),
        ("hsic", {"normalize": "l2"}),
        ("cca", {}),
        ("svcca", {"variance": 0.9}),
        ("procrustes", {}),
        ("linear_regression_r2", {}),
    ],
)
def test_compute_is_the_batch_function(metric, settings, sets):
    value = in_batches(Alignment(metric, (7, 4), **settings), sets).compute()
    expected = getattr(cs, metric)(*sets, **settings)
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert value.dtype == torch.float64
    assert value.shape == ()
    assert float(value) == pytest.approx(expected, rel=1e-10)


def test_more_models_give_a_matrix(sets):
    X, Y = sets
    found = Alignment("cka", (7, 4, 3))
    found.update(X, Y, X[:, :3])
    expected = [[cs.cka(A, B) for B in (X, Y, X[:, :3])] for A in (X, Y, X[:, :3])]
    assert found.compute().numpy() == pytest.approx(np.array(expected), rel=1e-10)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(161, 7, generator=generator) + 100.0
    Y = X[:, :4] + torch.randn(161, 4, generator=generator)
    Y[150:] += 50.0
    torch.save((X, Y), folder / "sets.pt")
    torch.multiprocessing.spawn(gloo_worker.run, (str(folder),), nprocs=2)
    found = [torch.load(folder / f"found{rank}.pt", weights_only=True) for rank in range(2)]
    return (X, Y), found


def test_processes_join_their_sums(two_processes):
    (X, Y), found = two_processes
    for one in found:
        assert one["cka"] == pytest.approx(cs.cka(X, Y, debiased=True), rel=1e-12)
        assert one["cca"] == pytest.approx(cs.cca(X, Y), rel=1e-10)
        assert one["step"] == pytest.approx(cs.cka(X[:50], Y[:50]), rel=1e-12)
    mean = (150 * cs.cka(X[:150], Y[:150]) + 11 * cs.cka(X[150:], Y[150:])) / 161
    assert abs(found[0]["cka"] - mean) > 0.01  # which a mean of scores would have been


def test_a_process_without_a_batch_changes_nothing(two_processes):
    (X, Y), found = two_processes
    for one in found:
        assert one["idle"] == pytest.approx(cs.cka(X[:150], Y[:150]), rel=1e-12)


def test_after_compute_each_has_its_own_share_again(two_processes):
    assert [one["n_samples"] for one in two_processes[1]] == [150, 11]


def test_forward_returns_the_score_of_the_batch(sets):
    alignment = Alignment("cka", (7, 4))
    for start in range(0, 161, 40):
        batch = [A[start : start + 40] for A in sets]
        if len(batch[0]) > 2:
            assert float(alignment(*batch)) == pytest.approx(cs.cka(*batch), rel=1e-12)
        else:
            alignment.update(*batch)
    assert float(alignment.compute()) == pytest.approx(cs.cka(*sets), rel=1e-10)


def test_a_batch_too_small_for_a_score_of_its_own_adds_nothing_to_forward(sets):
    alignment = Alignment("cka", (7, 4))
    alignment.update(*(A[:50] for A in sets))
    before = alignment.compute()
    with pytest.raises(ValueError, match="at least 3 samples"):
        alignment(*(A[:2] for A in sets))
    assert alignment.compute() == before
    alignment.update(*(A[50:52] for A in sets))
    assert float(alignment.compute()) == pytest.approx(cs.cka(*(A[:52] for A in sets)), rel=1e-12)


def test_reset_state_dict_and_pickling(sets):
    alignment = in_batches(Alignment("cka", (7, 4)), sets)
    expected = alignment.compute()
    alignment.persistent(True)
    other = Alignment("cka", (7, 4))
    other.persistent(True)
    other.load_state_dict(alignment.state_dict())
    other._update_count = 1  # which torchmetrics does not save
    assert other.compute() == expected
    assert pickle.loads(pickle.dumps(alignment)).compute() == expected
    assert alignment.clone().compute() == expected
    alignment.reset()
    assert alignment.moments().n_samples == 0
    alignment.update(*(A[:20] for A in sets))
    assert float(alignment.compute()) == pytest.approx(cs.cka(*(A[:20] for A in sets)), rel=1e-12)


def test_metrics_of_a_collection_share_their_sums(sets):
    names = ("cka", "cca", "procrustes")
    collection = torchmetrics.MetricCollection({name: Alignment(name, (7, 4)) for name in names})
    in_batches(collection, sets)
    found = collection.compute()
    for name in names:
        assert float(found[name]) == pytest.approx(getattr(cs, name)(*sets), rel=1e-9)
    assert len(collection.compute_groups) == 1


def test_states_merge(sets):
    left, right = Alignment("cka", (7, 4)), Alignment("cka", (7, 4))
    left.update(*(A[:30] for A in sets))
    right.update(*(A[30:] for A in sets))
    left.merge_state(right)
    assert float(left.compute()) == pytest.approx(cs.cka(*sets), rel=1e-10)


def test_its_sums_serve_other_metrics(sets):
    moments = in_batches(Alignment("cka", (7, 4)), sets).moments()
    assert moments.n_samples == 161
    assert moments.compute("procrustes") == pytest.approx(cs.procrustes(*sets), rel=1e-10)


def test_gradients_and_half_precision_are_taken_as_they_are(sets):
    X = sets[0].clone().requires_grad_()
    alignment = Alignment("cka", (7, 4))
    alignment.update(X * 1.0, sets[1].to(torch.bfloat16))
    assert not alignment.terms.requires_grad
    expected = cs.cka(sets[0], sets[1].to(torch.bfloat16))
    assert float(alignment.compute()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda X, Y: (X, Y[:, :3]), ValueError, r"batch 1 must be \(n_samples, 4\)"),
        (lambda X, Y: (X, Y[:5]), ValueError, "same n_samples"),
        (lambda X, Y: (X,), ValueError, "one batch per model"),
        (lambda X, Y: (X, Y / 0.0), ValueError, "batch 1 holds NaN"),
        (lambda X, Y: (X, torch.where(Y > 0, torch.nan, Y)), ValueError, "batch 1 holds NaN"),
        (lambda X, Y: (X, Y.long()), TypeError, "tensor of floats"),
        (lambda X, Y: (X, Y.to("meta")), ValueError, "move the metric"),
    ],
)
def test_what_is_refused_adds_nothing(wrong, error, words, sets):
    alignment = in_batches(Alignment("cka", (7, 4)), sets)
    before = alignment.compute()
    with pytest.raises(error, match=words):
        alignment.update(*wrong(*sets))
    assert alignment.moments().n_samples == 161
    alignment._computed = None
    assert alignment.compute() == before


def test_what_moments_cannot_say_is_told_at_once():
    with pytest.raises(ValueError, match="reads more than moments"):
        Alignment("mutual_knn", (7, 4))
    with pytest.raises(ValueError, match="reads more than moments"):
        Alignment("cka", (7, 4), kernel="rbf")
    with pytest.raises(ValueError, match="float64"):
        Alignment("cka", (7, 4)).set_dtype(torch.float16)
    with pytest.raises(ValueError, match="two models"):
        Alignment("cka", (7,))
    with pytest.raises(ValueError, match="sigma"):
        Alignment("cka", (7, 4), sigma=3)


def test_without_rows_there_is_no_score():
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(ValueError, match="no rows yet"),
    ):
        Alignment("cka", (7, 4)).compute()
