"""Where arrays are worked on: the rules of `device`, and that rows stay where they are."""

import importlib
import inspect
import pkgutil
import sys
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import consilience as cs
from consilience._validate import Embedding, as_embedding, as_embeddings
from consilience.backends import (
    BACKENDS,
    UnsupportedArraysError,
    _placement,
    select,
)
from consilience.backends._placement import on_device, place
from consilience.backends.array import ArrayBackend
from consilience.metrics import METRICS
from consilience.needs import View
from consilience.views import prepare

X = np.random.default_rng(0).standard_normal((31, 4))
MISSING = {"cuda": "no nvcc was there", "cupy": "CuPy is not installed"}


class Device(NamedTuple):
    """What torch, CuPy and JAX say of a device."""

    type: str
    index: int = 0

    @property
    def id(self):
        return self.index

    @property
    def platform(self):
        return self.type


def on(library, index=0, *, kind=None):
    """Stand for an array of a library on a GPU, or on another `kind` of device."""
    name = (
        {"torch": "cuda", "jax": "gpu", "jaxlib": "gpu"}.get(library.partition(".")[0])
        if kind is None
        else kind
    )
    one = Device(name, index)
    members = {"__module__": library, "device": one, "devices": lambda self: {one}, "shape": (5, 2)}
    return type("Array", (), members)()


@pytest.fixture
def machine(monkeypatch):
    """Return a function that says which of cuda, cupy, torch can use a GPU here."""

    class Kernels(ArrayBackend):
        @classmethod
        def for_arrays(cls, arrays, *, loader, n_threads=None, max_memory=None):
            return cls(name=loader)

    def has(*able, free=1 << 30):
        monkeypatch.setattr("consilience.backends.cuda.CudaBackend", Kernels)
        for name, module in (("cuda", "_native"), ("cupy", "_cupy")):
            reason = None if name in able else MISSING[name]
            monkeypatch.setattr(
                f"consilience.backends.cuda.{module}.missing", lambda reason=reason: reason
            )
        reason = None if "torch" in able else "torch finds no GPU"
        monkeypatch.setattr(_placement, "torch_missing", lambda: reason)
        monkeypatch.setattr("consilience.backends.torch_missing", lambda: reason)
        monkeypatch.setattr(_placement, "_to_cupy", lambda array, index: on("cupy", index))
        monkeypatch.setattr(_placement, "_free_bytes", lambda library, index: free)
        monkeypatch.setattr(_placement, "_to_torch", lambda array, index: on("torch", index))

    return has


def chosen(arrays, backend="auto", device="auto"):
    return select(backend, on_device(arrays, device), device=device).name


# ---- where arrays are --------------------------------------------------------------------


def test_arrays_are_found_where_they_are():
    assert place(X) == ("host", 0, "numpy")
    assert place(on("torch", 2)) == ("gpu", 2, "torch")
    assert place(on("cupy", 1)) == ("gpu", 1, "cupy")
    assert place(on("jax", 3)) == ("gpu", 3, "jax")
    assert place(on("jaxlib.xla_extension", 3)) == ("gpu", 3, "jax")
    assert place(on("torch", kind="mps")).kind == "other"
    assert place(on("jax", kind="tpu")).kind == "other"


def test_a_jax_array_on_several_devices_is_refused():
    array = on("jax")
    type(array).devices = lambda self: {Device("gpu", 0), Device("gpu", 1)}
    with pytest.raises(UnsupportedArraysError, match=r"2 devices.*device_put"):
        place(array)


# ---- the choice --------------------------------------------------------------------------

GPU_ARRAYS = [on("torch"), on("cupy"), on("jax")]


@pytest.mark.parametrize(
    ("able", "name"),
    [(("cuda", "cupy"), "cuda"), (("cuda",), "cuda"), (("cupy",), "cupy"), ((), "array")],
)
@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("there", GPU_ARRAYS, ids=lambda a: type(a).__module__)
def test_arrays_on_a_gpu_are_worked_on_there(there, device, able, name, machine, monkeypatch):
    machine(*able)
    monkeypatch.setattr(_placement, "_jax_has_float64", lambda: True)
    assert chosen([there, there], device=device) == name


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("able", [(), ("cuda", "cupy", "torch")])
def test_host_arrays_stay_on_the_host_unless_asked(able, device, machine):
    machine(*able)
    assert chosen([X, X], device=device) == "native"
    assert on_device([X], device)[0] is X


@pytest.mark.parametrize(
    ("able", "name", "library"),
    [
        (("cuda", "cupy", "torch"), "cuda", "cupy"),
        (("cuda", "torch"), "cuda", "torch"),
        (("cuda",), "cuda", "numpy"),
        (("cupy",), "cupy", "cupy"),
        (("torch",), "array", "torch"),
    ],
)
def test_host_arrays_are_brought_to_the_gpu_when_asked(able, name, library, machine):
    machine(*able)
    moved = on_device([X, X], "cuda")
    assert {place(one).library for one in moved} == {library}
    assert select("auto", moved, device="cuda").name == name


def test_a_gpu_asked_for_where_none_is_names_every_reason_and_the_remedy(machine):
    machine()
    for backend in ("auto", "array"):
        with pytest.raises(UnsupportedArraysError) as caught:
            chosen([X], backend, "cuda")
        said = str(caught.value)
        for part in (*MISSING.values(), "torch finds no GPU", "consilience doctor"):
            assert part in said
        assert "\n" not in said


@pytest.mark.parametrize("there", GPU_ARRAYS, ids=lambda a: type(a).__module__)
def test_the_host_asked_for_names_how_to_come_home(there, machine):
    machine("cuda")
    home = {"torch": "cpu()", "cupy": "asnumpy", "jax": "device_get"}[type(there).__module__]
    with pytest.raises(UnsupportedArraysError, match=rf"GPU 0.*{home}"):
        chosen([there], device="cpu")


@pytest.mark.parametrize("name", ["cuda", "cupy"])
def test_a_gpu_backend_by_name_runs_or_raises(name, machine):
    machine()
    for arrays, device in (([on("torch")], "auto"), ([X], "cuda")):
        with pytest.raises(UnsupportedArraysError, match=rf"'{name}' cannot run: {MISSING[name]}"):
            chosen(arrays, name, device)
    machine("cuda", "cupy")
    assert chosen([on("torch")], name) == name
    assert chosen([X], name, "cuda") == name
    with pytest.raises(UnsupportedArraysError, match=r"host memory.*device=\"cuda\""):
        chosen([X], name)


@pytest.mark.parametrize(
    ("backend", "device"), [("native", "cuda"), ("cuda", "cpu"), ("cupy", "cpu")]
)
def test_contradictions_are_named(backend, device, machine):
    machine("cuda", "cupy")
    with pytest.raises(ValueError, match=rf"{backend}.*{device}"):
        select(backend, [X], device=device)


def test_arrays_in_different_places_are_one_clear_error(machine):
    machine("cuda", "cupy")
    with pytest.raises(UnsupportedArraysError, match=r"host memory.*GPU 0.*device=\"cuda\".*cpu"):
        chosen([X, on("torch")])
    for device in ("auto", "cuda"):
        with pytest.raises(UnsupportedArraysError, match=r"GPU 0.*GPU 1.*one device"):
            chosen([on("torch"), on("torch", 1)], device=device)
    for arrays in ([on("torch", kind="mps"), X], [on("torch", kind="mps")]):
        with pytest.raises(UnsupportedArraysError, match=r"another device"):
            chosen(arrays, device="cuda")


@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_host_arrays_join_the_others_on_their_gpu(library, machine):
    machine("cuda", "cupy", "torch")
    other = on(library, 3)
    moved = on_device([X, other, X], "cuda")
    assert [place(one) for one in moved] == [("gpu", 3, library)] * 3
    assert moved[1] is other


def test_host_arrays_that_cannot_join_the_others_are_told_why(machine):
    machine("cuda")
    with pytest.raises(UnsupportedArraysError, match=r"CuPy is not.*torch finds.*device_get"):
        chosen([X, on("jax")], device="cuda")


def test_the_array_backend_wants_one_library_and_float64(machine, monkeypatch):
    machine()
    with pytest.raises(UnsupportedArraysError, match=r"one library.*cupy and torch"):
        chosen([on("torch"), on("cupy")])
    monkeypatch.setattr(_placement, "_jax_has_float64", lambda: False)
    with pytest.raises(UnsupportedArraysError, match="jax_enable_x64"):
        chosen([on("jax")])
    with pytest.raises(UnsupportedArraysError, match="jax_enable_x64"):
        prepare(Embedding("X", on("jax"), "float32"), View("l2"))


def test_sets_that_would_fill_the_gpu_are_brought_over_by_the_op(machine):
    machine("cuda", "cupy", free=4 * X.nbytes)
    assert {place(array).library for array in on_device([X, X], "cuda")} == {"cupy"}
    sets = [X, X, X]
    assert all(a is b for a, b in zip(on_device(sets, "cuda"), sets, strict=True))
    assert select("auto", sets, device="cuda").name == "cuda"


def test_a_gpu_that_is_full_is_a_memory_error(machine, monkeypatch):
    machine("cupy")

    class OutOfMemoryError(Exception):
        pass

    def full(array, index):
        raise OutOfMemoryError

    monkeypatch.setattr(_placement, "_to_cupy", full)
    with pytest.raises(MemoryError, match=r"no room on GPU 0.*fewer models"):
        on_device([X], "cuda")


def test_a_library_that_cannot_be_loaded_is_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "jax", None)
    assert _placement.torch_missing() == "torch is not installed"
    assert _placement.jax_missing() == "JAX is not installed"


# ---- public functions --------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_takes_a_device(name, machine):
    machine("cuda")
    metric = METRICS[name]
    arrays = [X] if metric.kind == "single" else [X, X[:, ::-1]]
    expected = metric.function(*arrays, backend="array")
    assert_allclose(metric.function(*arrays, device="cuda"), expected)
    with pytest.raises(ValueError, match=r"device.*cuda.*got 'gpu'"):
        metric.function(*arrays, device="gpu")
    with pytest.raises(ValueError, match="excludes"):
        metric.function(*arrays, backend="native", device="cuda")


def test_neighbors_compare_and_layers_take_a_device(machine):
    from consilience.inference.layer_max import layer_max
    from consilience.study.analyses.layers import layers

    machine("cuda")
    assert_array_equal(cs.neighbors(X, k=3, device="cuda").indices, cs.neighbors(X, k=3).indices)
    found = cs.compare({"a": X, "b": X[:, :2]}, ["cka"], null=None, device="cuda")
    assert found.provenance["backend"] == "cuda"
    layers({"1": X}, {"1": X}, "cka", n_permutations=0, device="cuda")
    layer_max([X], [X], "mutual_knn", {"k": 3}, draws=2, device="cuda")
    machine()
    for call in (
        lambda: cs.neighbors(X, k=3, device="cuda"),
        lambda: cs.compare({"a": X, "b": X}, ["cka"], device="cuda"),
        lambda: layers({"1": X}, {"1": X}, "cka", device="cuda"),
        lambda: layer_max([X], [X], "mutual_knn", {"k": 3}, device="cuda"),
    ):
        with pytest.raises(UnsupportedArraysError, match="cannot be had"):
            call()


def test_whatever_takes_a_backend_takes_a_device_beside_it():
    taken = []
    for found in pkgutil.walk_packages(cs.__path__, "consilience."):
        if found.name.endswith(("__main__", "._core")) or ".backends" in found.name:
            continue
        module = importlib.import_module(found.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != found.name:
                continue
            parameters = inspect.signature(function).parameters
            if "backend" not in parameters:
                continue
            taken.append(name)
            place_of = list(parameters).index
            assert place_of("device") == place_of("backend") + 1, name
            device = parameters["device"]
            assert (device.default, device.kind) == ("auto", device.KEYWORD_ONLY), name
    assert {*METRICS, "neighbors", "compare", "layers", "layer_max"} <= set(taken)


def test_an_unknown_device_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'cuda'"):
        cs.cka(X, X, device="cude")


def test_the_table_of_backends_is_in_order_of_preference():
    assert list(BACKENDS) == ["native", "cuda", "cupy", "array"]


# ---- rows stay where they are ------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch):
    """Return a function that makes an array which refuses to become NumPy, and what came home."""
    strict = pytest.importorskip("array_api_strict", reason="array_api_strict is not installed")
    home = []

    def bring(values):
        if not isinstance(values, np.ndarray):
            home.append(values.size)
            values = values.to_device(strict.Device("CPU_DEVICE"))
        return np.asarray(values)

    for module in ("consilience.backends._offsets", "consilience.backends.array"):
        monkeypatch.setattr(f"{module}.to_host", bring)

    def make(values):
        return strict.asarray(values, device=strict.Device("device1"))

    make.home = home
    return make


VIEWS = [View("l2"), View("max"), View("zscore"), View("none", 0.9), View("l2", 0.9, True)]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_views_are_made_where_the_rows_are(view, elsewhere):
    there = prepare(Embedding("X", elsewhere(X), "float64"), view)
    assert str(there.device) == str(elsewhere(X).device)
    assert elsewhere.home == []
    expected = prepare(as_embedding(X, "X"), view)
    home = there.to_device(type(there.device)("CPU_DEVICE"))
    assert_allclose(np.asarray(home), expected, rtol=1e-14)


def test_ops_bring_home_results_and_not_rows(elsewhere):
    from consilience.backends import Channel

    rows = np.random.default_rng(1).standard_normal((31, 400))
    ours, there = ArrayBackend(), elsewhere(rows)
    graph = ours.knn_exact(there, k=3, distance="l2")
    assert_array_equal(graph.indices, ours.knn_exact(rows, k=3, distance="l2").indices)
    assert_allclose(
        ours.edge_values(there, graph, centered=True), ours.edge_values(rows, graph, centered=True)
    )
    ours.joint_nearest([there, there], [(0, 1)])
    ours.pair_terms([Channel(there)])
    ours.pair_distances(there, np.array([0, 1]), np.array([2, 3]))
    ours.rank_counts(there, [graph], [1, 3])
    assert max(elsewhere.home) < rows.size


class Disguised:
    """Make torch tensors that pass for tensors on a GPU, and whose rows cannot be read here."""

    @staticmethod
    def of(values):
        torch = pytest.importorskip("torch", reason="torch is not installed")

        def refuse(self, *_, **__):
            if self.numel() > 1:
                raise AssertionError("rows were brought home")
            return torch.Tensor.__array__(self.as_subclass(torch.Tensor))

        members = {
            "__module__": "torch",
            "device": property(lambda self: Device("cuda")),
            **dict.fromkeys(("__array__", "numpy", "cpu", "tolist"), refuse),
        }
        return torch.tensor(values).as_subclass(type("Tensor", (torch.Tensor,), members))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tensors_are_judged_where_they_are(dtype):
    passed = as_embedding(Disguised.of(X.astype(dtype)), "X")
    assert place(passed.values) == ("gpu", 0, "torch")
    assert passed.dtype == np.dtype(dtype).name
    assert as_embedding(Disguised.of(X.astype(dtype)).T, "X").values.is_contiguous()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (np.nan, r"NaN at row 7, column 2"),
        (-np.inf, r"infinite value at row 7, column 2"),
        (1e36, "too large"),
    ],
)
def test_bad_tensors_are_refused_where_they_are(entry, message):
    bad = X.copy()
    bad[7, 2] = entry
    with pytest.raises(ValueError, match=message):
        as_embeddings([("X", Disguised.of(bad))])


def test_a_constant_tensor_is_refused_where_it_is():
    with pytest.raises(ValueError, match="constant"):
        as_embedding(Disguised.of(np.ones((5, 2))), "X")


@pytest.mark.parametrize("normalize", ["l2", "max", "zscore"])
def test_tensors_are_prepared_where_they_are(normalize):
    found = prepare(as_embedding(Disguised.of(X), "X"), View(normalize))
    assert place(found).kind == "gpu"
    zero = X.copy()
    zero[5] = 0.0
    if normalize != "zscore":
        with pytest.raises(ValueError, match="row 5"):
            prepare(as_embedding(Disguised.of(zero), "X"), View(normalize))


def test_the_number_of_waits_does_not_grow_with_the_rows(monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    waits = []
    true = torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: waits.append(1) or true(self))
    counts = []
    for n, d in ((50, 4), (40_000, 40)):
        waits.clear()
        rows = np.random.default_rng(0).standard_normal((n, d))
        prepare(as_embedding(Disguised.of(rows), "X"), View("l2"))
        counts.append(len(waits))
    assert counts[0] == counts[1] <= 8
