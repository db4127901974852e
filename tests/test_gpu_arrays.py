"""What the loaders take of other libraries' arrays, with stand-ins where there is no GPU."""

import sys
import types

import numpy as np
import pytest

from consilience.backends.cuda import _arrays
from consilience.backends.cuda._arrays import Spot, gpu_of, on_host, rows_of, spot_of


class Stream:
    def __init__(self, address):
        self.cuda_stream = address
        self.waited = 0

    def synchronize(self):
        self.waited += 1


class Tensor:
    """What is asked of a torch tensor."""

    def __init__(self, gpu, dtype="float32", shape=(3, 2)):
        self.device = types.SimpleNamespace(type="cuda", index=gpu)
        self.dtype, self.shape = f"torch.{dtype}", shape

    def detach(self):
        return self

    resolve_neg = contiguous = detach

    def data_ptr(self):
        return 4096


Tensor.__module__ = "torch"


@pytest.fixture
def stream(monkeypatch):
    """The stream on which torch works."""
    stream = Stream(77)
    torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(current_stream=lambda gpu: stream)
    monkeypatch.setitem(sys.modules, "torch", torch)
    return stream


def test_host_arrays_are_nowhere_in_particular():
    assert on_host(np.zeros((2, 2)))
    assert spot_of([np.zeros((2, 2))]) is None
    assert spot_of([]) is None


def test_work_is_done_on_the_callers_stream(stream):
    assert spot_of([np.zeros((2, 2)), Tensor(1)]) == Spot(1, 77, stream)


def test_arrays_on_two_gpus_are_refused(stream):
    with pytest.raises(ValueError, match=r"GPUs 0 and 2; bring them to one"):
        spot_of([Tensor(0), Tensor(2)])


def test_rows_are_where_the_library_has_them(stream):
    array = Tensor(0, "float64")
    rows = rows_of(array, 77)
    assert (rows.address, rows.shape, rows.dtype) == (4096, (3, 2), np.dtype(np.float64))
    assert rows.owner is array
    assert stream.waited == 0


def test_another_stream_is_waited_for(stream):
    rows_of(Tensor(0), 5)
    assert stream.waited == 1


def test_other_dtypes_and_libraries_are_refused(stream):
    with pytest.raises(TypeError, match="float32 and float64, got int64"):
        rows_of(Tensor(0, "int64"), 77)
    with pytest.raises(TypeError, match=r"NumPy, torch, CuPy and JAX arrays, got builtins's list"):
        gpu_of([1.0])


def test_every_library_has_a_name():
    assert _arrays.library_of(np.zeros(1)) == "numpy"
    assert _arrays.library_of(Tensor(0)) == "torch"
