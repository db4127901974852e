"""Tensors of torch are taken as they are: every precision, no copy asked of the user."""

from __future__ import annotations

import numpy as np
import pytest

import consilience as cs
import reference

torch = pytest.importorskip("torch", reason="the peer suite hands torch tensors over")


@pytest.fixture
def tensors(rng):
    X = torch.from_numpy(rng.standard_normal((61, 7)))
    return X, X[:, :3] + 0.5 * torch.from_numpy(rng.standard_normal((61, 3)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_every_precision_equals_the_dense_definition(dtype, tensors, backend):
    X, Y = (t.to(dtype) for t in tensors)
    values = [t.double().numpy() for t in (X, Y)]
    assert cs.cka(X, Y, backend=backend) == pytest.approx(reference.cka(*values), rel=1e-6)
    score = cs.mutual_knn(X, Y, k=5, backend=backend)
    assert score == pytest.approx(reference.mutual_knn(*values, 5), rel=1e-12)


def test_a_tensor_that_needs_a_gradient(tensors):
    X, Y = tensors
    X = X.clone().requires_grad_()
    expected = reference.cka(X.detach().numpy(), Y.numpy())
    assert cs.cka(X, Y) == pytest.approx(expected, rel=1e-9)
    assert X.grad is None


def test_a_transposed_tensor(tensors):
    X, Y = tensors
    T = X.T.contiguous().T
    assert not T.is_contiguous()
    assert cs.cka(T, Y) == cs.cka(X, Y)


def test_a_tensor_and_an_array(tensors):
    X, Y = tensors
    assert cs.cka(X, Y.numpy()) == cs.cka(X, Y)


def test_integer_tensors_are_refused(tensors):
    X, Y = tensors
    with pytest.raises(TypeError, match=r"\bX\b.*int64"):
        cs.cka((10 * X).long(), Y)


def test_neighbors_come_home_as_numpy(tensors):
    indices, distances = cs.neighbors(tensors[0], k=4)
    assert isinstance(indices, np.ndarray)
    assert isinstance(distances, np.ndarray)
