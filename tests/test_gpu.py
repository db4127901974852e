"""What needs a GPU to be seen: always collected, so that a run without one says why it skips."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience.backends import GPU_BACKENDS, _placement
from consilience.backends._placement import place
from consilience.doctor import examine

pytestmark = pytest.mark.gpu

METRICS = ["cknna", "mutual_knn", "cka", ("cka", {"kernel": "rbf"}), "distance_correlation",
           "rsa", ("information_imbalance", {"k": 3}), "id_correlation", "twonn"]  # fmt: skip


@pytest.fixture
def X(rng):
    """Rows of which some are equal, far from the origin."""
    rows = rng.standard_normal((211, 17)) + 3.0
    rows[40:60] = rows[100]
    return rows


def _torch(values):
    import torch

    return torch.tensor(values, device="cuda")


def _cupy(values):
    import cupy

    return cupy.asarray(values)


def _jax(values):
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.device_put(values, jax.devices("gpu")[0])


@pytest.fixture(params=["torch", "cupy", "jax"])
def held_by(request):
    """Return a function that puts an array on the GPU, by each library that can."""
    if reason := getattr(_placement, f"{request.param}_missing")():
        pytest.skip(reason)
    return {"torch": _torch, "cupy": _cupy, "jax": _jax}[request.param]


def test_a_comparison_on_the_gpu_agrees_with_the_host(X, rng):
    models = {f"m{d}": np.tanh(X @ rng.standard_normal((17, d)) / 4) for d in (5, 19)}
    models["single"] = models["m5"].astype(np.float32)
    found = cs.compare(models, METRICS, device="cuda")
    expected = cs.compare(models, METRICS, device="cpu")
    assert found.provenance["backend"] in GPU_BACKENDS
    for label in expected.metrics:
        assert_allclose(found[label], expected[label], rtol=1e-6, atol=1e-9, err_msg=label)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distance", ["l2", "cosine", "ip"])
def test_neighbors_on_the_gpu_are_those_of_the_host(X, distance, dtype):
    ours = cs.neighbors(X.astype(dtype), k=7, distance=distance, device="cuda")
    theirs = cs.neighbors(X.astype(dtype), k=7, distance=distance, device="cpu")
    assert_allclose(ours.distances, theirs.distances, rtol=1e-12, atol=1e-14)
    if distance == "l2":  # elsewhere rounding may order what is equal
        assert_array_equal(ours.indices, theirs.indices)


def test_the_same_call_gives_the_same_bits_on_the_gpu(X):
    Y = X[:, ::2] ** 2
    for metric in (cs.cknna, cs.cka, cs.distance_correlation):
        assert len({metric(X, Y, device="cuda") for _ in range(3)}) == 1


def test_arrays_on_the_gpu_are_worked_on_there(X, held_by):
    there = held_by(X.astype(np.float32))
    found = cs.neighbors(there, k=5)
    assert_array_equal(found.indices, cs.neighbors(X.astype(np.float32), k=5).indices)
    with pytest.raises(TypeError, match="in different places"):
        cs.cka(there, X)
    with pytest.raises(TypeError, match="bring them home"):
        cs.cka(there, there, device="cpu")
    expected = cs.cka(X.astype(np.float32), X[:, :4])
    assert cs.cka(there, X[:, :4], device="cuda") == pytest.approx(expected, rel=1e-6)


def test_rows_on_the_gpu_are_judged_there(X, held_by):
    bad = X.astype(np.float32)
    bad[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN at row 7, column 2"):
        cs.twonn(held_by(bad))
    with pytest.raises(ValueError, match="constant"):
        cs.twonn(held_by(np.ones((5, 2), np.float32)))


@pytest.mark.parametrize("normalize", ["l2", "max", "zscore"])
def test_rows_on_the_gpu_are_prepared_there(X, held_by, normalize):
    X = X.astype(np.float32)
    found = cs.preprocess(held_by(X), normalize=normalize, clip_quantile=0.95)
    assert place(found).kind == "gpu"
    alone = cs.twonn(held_by(X), normalize=normalize)
    assert alone == pytest.approx(cs.twonn(X, normalize=normalize), rel=1e-6)


def test_any_memory_order_on_the_gpu_is_the_same(X, held_by):
    X = X.astype(np.float32)
    turned, spaced = held_by(np.ascontiguousarray(X.T)).T, held_by(np.repeat(X, 2, axis=1))[:, ::2]
    expected = cs.mutual_knn(X, X[:, ::-1], k=5)
    assert cs.mutual_knn(turned, held_by(X[:, ::-1].copy()), k=5) == pytest.approx(expected)
    assert cs.mutual_knn(spaced, held_by(X[:, ::-1].copy()), k=5) == pytest.approx(expected)


def test_the_doctor_names_the_gpu():
    found = examine()
    assert found["gpus"], found["no_gpu"]
    assert found["gpus"][0]["memory"] > 1 << 30
    assert any(found["parts"][name]["ready"] for name in GPU_BACKENDS)
