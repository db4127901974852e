"""The targets on a GPU, each beside the ceiling of the same run: `python bench/bench_gpu.py`.

Every row runs in a process of its own with a limit of its own, so that neither a hang nor an error
of the GPU takes others along. Times are CUDA events about calls whose answers come home; answers
are asserted. What is measured on blocks and multiplied says so (`extrapolated_from`).

    python bench/bench_gpu.py --loader emulated --scale 0.0005    the code, without a GPU
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from loaders import LOADERS, backend_of, host_backend
from numpy.testing import assert_allclose, assert_array_equal

HERE = Path(__file__).resolve().parent
K = 25
GEMM = 8192
LEAST = 150  # samples of any row, however small the scale
PACKAGES = ("torch", "numpy", "scipy", "cupy-cuda13x", "jax", "nvidia-cublas", "consilience")
# 59 models, 64 to 6,144 features wide, 24,448 in all.
WIDTHS = (
    [64] * 10
    + [128] * 14
    + [256] * 13
    + [384] * 4
    + [512] * 9
    + [640] * 2
    + [768] * 4
    + [1024] * 2
    + [6144]
)
SECOND_TURN = 25.0  # seconds of a first turn of preset matter, beyond which there is no second
BLOCK_BYTES = 8 << 30  # of a block of the n x n product

Bench = dict[str, Any]
Rows = Iterator[Bench]


@dataclass
class Lab:
    """Where a row runs: torch's device, our loader, and what earlier rows have measured."""

    loader: str
    scale: float
    ceilings: dict[str, float] = field(default_factory=dict)

    @property
    def torch(self) -> Any:
        import torch

        return torch

    @property
    def on_gpu(self) -> bool:
        return self.loader in ("cuda", "cupy")

    @property
    def device(self) -> str:
        return "cuda" if self.on_gpu else "cpu"

    def n(self, samples: int) -> int:
        return samples if self.scale >= 1 else max(LEAST, int(samples * self.scale))

    def generator(self, seed: int) -> Any:
        return self.torch.Generator(device=self.device).manual_seed(seed)

    def isotropic(self, n: int, d: int, seed: int = 0) -> Any:
        return self.torch.randn(n, d, device=self.device, generator=self.generator(seed))

    def latent(self, n: int, d: int, model: int = 0) -> Any:
        """Return rows of one of several models that share 16 directions, and noise."""
        shared = self.isotropic(n, 16, seed=1)
        mixing = self.isotropic(16, d, seed=1000 + model)
        return shared @ mixing + self.isotropic(n, d, seed=2000 + model)

    def ours(self, *sets: Any) -> list[Any]:
        """Return arrays as our backends take them."""
        return list(sets) if self.on_gpu else [X.numpy() for X in sets]

    def backend(self, sets: Sequence[Any]) -> Any:
        return backend_of(self.loader, self.ours(*sets))

    def moment(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: Any, stop: Any) -> float:
        if not self.on_gpu:
            return float(stop - start)
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1e3

    def clock(
        self, call: Callable[[], Any], *, rounds: int = 5, warm: int = 1, budget: float = 15.0
    ) -> tuple[Bench, Any]:
        """Return the median of some calls after some that are not measured, and the last answer.

        No more rounds begin once the budget of seconds is spent.
        """
        began = time.perf_counter()
        answer = None
        if self.scale < 1:
            rounds, warm = 1, 0
        for _ in range(warm):
            answer = call()
        times: list[float] = []
        while len(times) < rounds and (not times or time.perf_counter() - began < budget):
            answer = None
            start = self.moment()
            answer = call()
            times.append(self.seconds(start, self.moment()))
        found = {"median_s": statistics.median(times), "min_s": min(times), "rounds": len(times)}
        return found, answer

    def precision(self, tf32: bool) -> None:
        self.torch.set_float32_matmul_precision("high" if tf32 else "highest")

    @property
    def intervals(self) -> dict[str, Any]:
        """Return how to keep a tiny comparison from a hundred small searches; else nothing."""
        return {} if self.scale >= 1 else {"intervals": None}

    def forget(self) -> None:
        if self.on_gpu:
            self.torch.cuda.empty_cache()


def entry(group: str, name: str, role: str, timed: Bench, **facts: Any) -> Bench:
    return {"group": group, "name": name, "role": role, **timed, **facts}


# ---- ceilings ------------------------------------------------------------------------------


def ceilings(lab: Lab) -> Rows:
    """Large products by cuBLAS, and a copy on the device."""
    torch = lab.torch
    size = GEMM if lab.scale >= 1 else 256
    kinds = {
        "TF32": (torch.float32, True),
        "float32": (torch.float32, False),
        "float16": (torch.float16, False),
        "bfloat16": (torch.bfloat16, False),
        "float64": (torch.float64, False),
    }
    for name, (dtype, tf32) in kinds.items():
        a, b = (lab.isotropic(size, size, seed).to(dtype) for seed in (0, 1))
        out = torch.empty_like(a)
        lab.precision(tf32)

        def multiply(a: Any = a, b: Any = b, out: Any = out) -> None:
            torch.mm(a, b, out=out)

        timed, _ = lab.clock(multiply, rounds=15, warm=5, budget=4)
        flops = 2 * size**3 / timed["median_s"]
        lab.ceilings[name] = flops
        yield entry(f"GEMM {size}", name, "ceiling", timed, flops_per_s=flops)
    lab.precision(False)
    count = (1 << 30) if lab.scale >= 1 else 1 << 16
    source = torch.zeros(count, dtype=torch.float32, device=lab.device)
    to = torch.empty_like(source)
    timed, _ = lab.clock(lambda: to.copy_(source), rounds=10, warm=3, budget=4)
    rate = 2 * 4 * count / timed["median_s"]
    lab.ceilings["copy"] = rate
    yield entry("copy on the device", "copy", "ceiling", timed, bytes_per_s=rate)


# ---- neighbours ----------------------------------------------------------------------------


def blocks(n: int, rows: int, most: int) -> list[tuple[int, int]]:
    """Return some whole blocks of rows, evenly spread; all of them if there are few."""
    starts = list(range(0, n - rows + 1, rows)) or [0]
    step = max(1, len(starts) // most)
    return [(start, min(n, start + rows)) for start in starts[::step][:most]]


def on_blocks(
    lab: Lab, n: int, rows: int, call: Callable[[int, int], Any], most: int = 6, budget: float = 8
) -> tuple[Bench, Any]:
    """Time a call on some blocks of rows; return what all rows would take, and the first answer."""
    chosen = blocks(n, rows, most)
    first = call(*chosen[0])
    times = []
    began = time.perf_counter()
    for start, stop in chosen:
        if times and time.perf_counter() - began > budget:
            break
        begin = lab.moment()
        call(start, stop)
        times.append(lab.seconds(begin, lab.moment()) * n / (stop - start))
    found = {"median_s": statistics.median(times), "min_s": min(times), "rounds": len(times)}
    if len(times) * rows < n:
        found["extrapolated_from"] = f"{len(times)} blocks of {rows} of {n} rows"
    else:
        found["measured_on"] = (
            f"{len(times)} blocks of {rows} rows, their median times their number"
        )
    return found, first


def product(lab: Lab, X: Any) -> tuple[Bench, Any]:
    """Return the time of the n x n x d product in TF32, a block of rows at a time."""
    n = len(X)
    rows = max(1, min(n, BLOCK_BYTES // (4 * n)))
    out = lab.torch.empty(rows, n, dtype=X.dtype, device=X.device)
    lab.precision(True)
    try:
        return on_blocks(lab, n, rows, lambda i, j: lab.torch.mm(X[i:j], X.T, out=out[: j - i]))
    finally:
        lab.precision(False)


def torch_nearest(lab: Lab, X: Any, k: int) -> tuple[Bench, Any]:
    """Return the time of mm and topk a block of rows at a time, in TF32, and some lists."""
    torch, n = lab.torch, len(X)
    rows = max(1, min(n, BLOCK_BYTES // (4 * n)))
    out = torch.empty(rows, n, dtype=X.dtype, device=X.device)
    squares = (X * X).sum(dim=1)

    def search(i: int, j: int) -> Any:
        block = torch.addmm(squares, X[i:j], X.T, alpha=-2.0, out=out[: j - i])
        own = torch.arange(j - i, device=X.device)
        block[own, own + i] = float("inf")
        return torch.topk(block, k, dim=1, largest=False).indices

    lab.precision(True)
    try:
        return on_blocks(lab, n, rows, search, most=4)
    finally:
        lab.precision(False)


def cupy_nearest(lab: Lab, X: Any, k: int) -> tuple[Bench, Any]:
    """Return the time of CuPy's product and partition of blocks of rows, and some lists."""
    import cupy

    Z = cupy.from_dlpack(X)
    n = len(Z)
    rows = max(1, min(n, (1 << 30) // (4 * n)))
    squares = (Z * Z).sum(axis=1)

    def search(i: int, j: int) -> Any:
        block = Z[i:j] @ Z.T
        block *= -2.0
        block += squares
        own = cupy.arange(j - i)
        block[own, own + i] = cupy.inf
        return cupy.argpartition(block, k, axis=1)[:, :k]

    timed, found = on_blocks(lab, n, rows, search, most=2, budget=6)
    return timed, cupy.asnumpy(found)


def exact_nearest(lab: Lab, X: Any, rows: Any, k: int) -> tuple[Any, Any]:
    """Return the k nearest of some rows by differences in float64, by (distance, index)."""
    torch = lab.torch
    indices, distances = [], []
    step = max(1, (1 << 27) // X.shape[1])
    for i in rows.tolist():
        row = X[i].double()
        parts = [((X[s : s + step].double() - row) ** 2).sum(dim=1) for s in range(0, len(X), step)]
        squares = torch.cat(parts)
        squares[i] = float("inf")
        order = torch.sort(squares, stable=True).indices[:k]
        indices.append(order.cpu().numpy())
        distances.append(squares[order].sqrt().cpu().numpy())
    return np.stack(indices), np.stack(distances)


def check_lists(lab: Lab, graph: Any, X: Any, k: int, count: int = 24) -> None:
    rows = np.sort(np.random.default_rng(7).choice(len(X), min(count, len(X)), replace=False))
    indices, distances = exact_nearest(lab, X, rows, k)
    assert_array_equal(graph.indices[rows], indices)
    assert_allclose(graph.distances[rows], distances, rtol=1e-12)


def recall(found: Any, graph: Any) -> float:
    """Return the share of a rival's lists of the first rows that is in ours."""
    lists = found.cpu().numpy() if hasattr(found, "cpu") else found
    some = range(0, len(lists), max(1, len(lists) // 200))
    shared = [len(np.intersect1d(lists[i], graph.indices[i])) for i in some]
    return round(float(np.mean(shared)) / graph.indices.shape[1], 5)


def neighbors(data: str, samples: int, rivals: bool, rounds: int) -> Callable[[Lab], Rows]:
    """Return the row of exact neighbours, d = 512."""

    def row(lab: Lab) -> Rows:
        n, d = lab.n(samples), 512 if lab.scale >= 1 else 40
        X = getattr(lab, data)(n, d)
        group = f"exact neighbours, {data} n={n} d={d} k={K}"
        floor, _ = product(lab, X)
        yield entry(group, "n x n x d product in TF32, cuBLAS", "floor", floor)
        lab.forget()
        run = lab.backend([X])
        (array,) = lab.ours(X)
        timed, graph = lab.clock(lambda: run.knn_exact(array, k=K, distance="l2"), rounds=rounds)
        check_lists(lab, graph, X, K)
        facts = {
            "per_floor": timed["median_s"] / floor["median_s"],
            "judged_per_row": graph.judged / n,
            "limit": 1.0,
        }
        yield entry(group, f"consilience, {lab.loader}", "ours", timed, **facts)
        searches = {"torch mm and topk, TF32": torch_nearest, "CuPy": cupy_nearest}
        for name, search in searches.items():
            if not rivals or (name == "CuPy" and not lab.on_gpu):
                continue
            try:
                found, lists = search(lab, X, K)
            except Exception as error:
                yield skipped(group, name, error)
                continue
            ratio = found["median_s"] / timed["median_s"]
            extra = {"per_ours": ratio, "recall": recall(lists, graph)}
            yield entry(group, name, "rival", found, **extra)
            lab.forget()

    return row


# ---- scores --------------------------------------------------------------------------------


def dense_cknna(lab: Lab, X: Any, Y: Any, k: int) -> float:
    """Return CKNNA as platonic-rep defines it, with every matrix n x n.

    Unbiased HSIC of the inner products that both graphs share, over the root of those of each
    graph alone; the rows have length 1.
    """
    torch, n = lab.torch, len(X)
    kernels = [Z @ Z.T for Z in (X, Y)]

    def graph(kernel: Any) -> Any:
        others = kernel.clone().fill_diagonal_(float("-inf"))
        nearest = torch.topk(others, k, dim=1).indices
        return torch.zeros_like(kernel).scatter_(1, nearest, 1.0)

    def hsic(A: Any, B: Any) -> Any:
        A, B = (Z.clone().fill_diagonal_(0.0) for Z in (A, B))
        ends = A.sum() * B.sum() / ((n - 1) * (n - 2))
        return ((A * B.T).sum() + ends - 2 * torch.mm(A, B).sum() / (n - 2)) / (n * (n - 3))

    def shared(a: int, b: int) -> Any:
        mask = graph(kernels[a]) * graph(kernels[b])
        return hsic(mask * kernels[a], mask * kernels[b])

    return float(shared(0, 1) / (torch.sqrt(shared(0, 0) * shared(1, 1)) + 1e-6))


def cknna(samples: int, dense: bool) -> Callable[[Lab], Rows]:
    """Return the row of one pair's CKNNA."""

    def row(lab: Lab) -> Rows:
        import consilience as cs

        n = lab.n(samples)
        X, Y = lab.latent(n, 256, 0), lab.latent(n, 512, 1)
        group = f"CKNNA n={n} d=256/512 k={K}"
        run = lab.backend([X, Y])
        arrays = lab.ours(X, Y)
        variants = {"prh-code": {"variant": "prh-code", "eps": 1e-6}, "paper": {}}
        times = {}
        for name, settings in variants.items():
            timed, value = lab.clock(
                lambda settings=settings: cs.cknna(*arrays, k=K, backend=run, **settings)
            )
            times[name] = timed["median_s"]
            yield entry(group, f"consilience, {lab.loader}, {name}", "ours", timed, value=value)
            if name == "prh-code":
                expected = value
        if not dense:
            matrices = 9 * 4 * n * n / 1e9
            reason = f"its matrices would take about {matrices:.0f} GB"
            yield skipped(group, "platonic-rep's formula in torch", reason)
            small = slice(0, min(n, 2000))
            found = cs.cknna(*(Z[small] for Z in arrays), k=K, backend=run)
            some = [np.ascontiguousarray(Z[small].cpu().numpy()) for Z in (X, Y)]
            assert_allclose(found, cs.cknna(*some, k=K, backend=host_backend()), rtol=1e-9)
            return
        unit = [lab.torch.nn.functional.normalize(Z, dim=1) for Z in (X, Y)]
        timed, value = lab.clock(lambda: dense_cknna(lab, *unit, K), rounds=3)
        assert_allclose(value, expected, rtol=2e-3)
        ratio = timed["median_s"] / times["prh-code"]
        facts = {"value": value, "per_ours": ratio, "limit_per_ours": 30}
        yield entry(group, "platonic-rep's formula in torch, float32", "rival", timed, **facts)

    return row


class Stopwatch:
    """A backend that notes how long each op takes, answers being home."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.spent: dict[str, list[float]] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def op(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            answer = found(*arguments, **options)
            if isinstance(answer, Iterator):
                return self._through(name, answer, start)
            self._note(name, start)
            return answer

        return op

    def _note(self, name: str, start: float) -> None:
        self.spent.setdefault(name, []).append(time.perf_counter() - start)

    def _through(self, name: str, answers: Iterator[Any], start: float) -> Iterator[Any]:
        for answer in answers:
            self._note(name, start)
            yield answer
            start = time.perf_counter()

    def table(self) -> dict[str, str]:
        ranked = sorted(self.spent.items(), key=lambda item: -sum(item[1]))
        return {name: f"{sum(times):.3f} s in {len(times)}" for name, times in ranked}


def agrees_with_the_host(lab: Lab, widths: Sequence[int], n: int, run: Any) -> None:
    """Assert every score of a small comparison against the CPU's."""
    import consilience as cs

    models = {f"m{m}": lab.latent(n, d, m) for m, d in enumerate(widths)}
    there = dict(zip(models, lab.ours(*models.values()), strict=True))
    here = {name: X.cpu().numpy() for name, X in models.items()}
    found = cs.compare(there, preset="matter", backend=run, permutations=20, **lab.intervals)
    expected = cs.compare(
        here, preset="matter", backend=host_backend(), permutations=20, **lab.intervals
    )
    for label, scores in expected.scores.items():
        mine = found.scores[label]
        assert_allclose(mine.values, scores.values, rtol=1e-6, atol=1e-9, err_msg=label)
        if scores.p_value is not None:
            assert_allclose(mine.p_value, scores.p_value, rtol=1e-4, err_msg=label)


def matter(lab: Lab) -> Rows:
    """All pairs of 59 models, 50,000 samples, the preset of the paper, with its nulls.

    Intervals are left out here, and in the target.
    """
    import consilience as cs

    whole = lab.scale >= 1
    n, widths = lab.n(50_000), WIDTHS if whole else [5, 12, 30]
    models = {f"m{m}": lab.latent(n, d, m) for m, d in enumerate(widths)}
    there = dict(zip(models, lab.ours(*models.values()), strict=True))
    lab.forget()
    agrees_with_the_host(
        lab, (64, 128, 300), 1500 if whole else LEAST, lab.backend([*models.values()])
    )
    lab.forget()
    group = f"preset matter, M={len(widths)} n={n} widths {min(widths)} to {max(widths)}"
    began = time.perf_counter()
    for turn in ("first", "second"):
        if time.perf_counter() - began > SECOND_TURN:
            break
        run = Stopwatch(lab.backend([*models.values()]))
        forget_peak(lab)
        timed, matrix = lab.clock(
            lambda run=run: cs.compare(there, preset="matter", backend=run, **lab.intervals),
            rounds=1,
            warm=0,
        )
        for label, scores in matrix.scores.items():
            assert np.isfinite(scores.values).all(), label
        facts = {"ops": run.table(), "peak_bytes": peak(lab), "limit_s": 30}
        yield entry(group, f"consilience, {lab.loader}, {turn}", "ours", timed, **facts)


def forget_peak(lab: Lab) -> None:
    if lab.on_gpu:
        lab.torch.cuda.reset_peak_memory_stats()
    if lab.loader == "cuda":
        from consilience import _cuda

        _cuda.peak_bytes(0, True)


def peak(lab: Lab) -> dict[str, int]:
    """Return the most bytes in use at a time: the arrays, which torch holds, and ours."""
    found = {}
    if lab.on_gpu:
        found["arrays"] = int(lab.torch.cuda.max_memory_allocated())
    if lab.loader == "cuda":
        from consilience import _cuda

        found["consilience"] = _cuda.peak_bytes(0, False)
    elif lab.loader == "cupy":
        import cupy

        found["consilience"] = int(cupy.get_default_memory_pool().total_bytes())
    return found


# ---- moments -------------------------------------------------------------------------------


def moment_call(lab: Lab, n: int, n_sets: int, d: int) -> tuple[Callable[[], Any], list[Any], Any]:
    sets = [lab.latent(n, d, m) for m in range(n_sets)]
    pairs = [(a, b) for a in range(n_sets) for b in range(a, n_sets)]
    run = lab.backend(sets)
    arrays = lab.ours(*sets)
    return (lambda: list(run.moments(arrays, pairs))), sets, pairs


def moments(lab: Lab) -> Rows:
    """All pairs of 8 models of 512 features, against what cuBLAS does in float64."""
    n, n_sets, d = lab.n(1_000_000), 8 if lab.scale >= 1 else 3, 512 if lab.scale >= 1 else 24
    while True:
        try:
            call, sets, pairs = moment_call(lab, n, n_sets, d)
            timed, found = lab.clock(call, rounds=3)
            break
        except Exception as error:
            if type(error).__name__ not in ("OutOfMemoryError", "MemoryError") or n < 50_000:
                raise
            n //= 2
            lab.forget()
    check_moments(lab, sets, pairs, found)
    width = n_sets * d
    flops = n * width * (width + 1)  # each product of two features once
    ceiling = flops / lab.ceilings["float64"] if "float64" in lab.ceilings else None
    facts = {
        "flops": flops,
        "ceiling_s": ceiling,
        "of_ceiling": ceiling and ceiling / timed["median_s"],
        "limit_of_ceiling": 0.8,
    }
    yield entry(
        f"moments n={n} D={n_sets} x {d}", f"consilience, {lab.loader}", "ours", timed, **facts
    )


def check_moments(lab: Lab, sets: list[Any], pairs: list[tuple[int, int]], found: Any) -> None:
    """Against centred products in float64 of two of the sets, a block of rows at a time."""
    for at in (0, 1, len(pairs) - 1):
        X, Y = (sets[m] for m in pairs[at])
        means = [Z.mean(dim=0, dtype=lab.torch.float64) for Z in (X, Y)]
        expected = 0.0
        for s in range(0, len(X), 100_000):
            x, y = (Z[s : s + 100_000].double() - m for Z, m in zip((X, Y), means, strict=True))
            expected = expected + x.T @ y
        mine = found[at].centered().xy
        expected = expected.cpu().numpy()
        assert_allclose(mine, expected, rtol=1e-9, atol=1e-11 * abs(expected).max())


# ---- loaders -------------------------------------------------------------------------------


def loaders(lab: Lab) -> Rows:
    """The same works by CuPy's loader and by the extension's, one after the other."""
    import consilience as cs

    works = {
        f"exact neighbours, latent n={lab.n(100_000)}": lambda one: _search(one, lab.n(100_000)),
        f"moments n={lab.n(200_000)} D=8 x 512": lambda one: moment_call(
            one, one.n(200_000), 8 if one.scale >= 1 else 2, 512 if one.scale >= 1 else 16
        )[0],
        f"preset matter, M=4 n={lab.n(20_000)}": lambda one: _compared(one, cs, one.n(20_000)),
    }
    both = ("cuda", "cupy") if lab.on_gpu else (lab.loader, lab.loader)
    for group, make in works.items():
        medians = []
        for loader in both:
            call = make(replace(lab, loader=loader))
            start = time.perf_counter()
            call()
            first = time.perf_counter() - start
            timed, _ = lab.clock(call, rounds=3, budget=6)
            medians.append(timed["median_s"])
            facts = {"first_s": first}
            if len(medians) == 2:
                facts |= {"per_native": medians[1] / medians[0], "limit": 1.3}
            yield entry(f"loaders: {group}", loader, "ours", timed, **facts)
            lab.forget()


def _search(lab: Lab, n: int) -> Callable[[], Any]:
    X = lab.latent(n, 512 if lab.scale >= 1 else 40)
    run = lab.backend([X])
    (array,) = lab.ours(X)
    return lambda: run.knn_exact(array, k=K, distance="l2")


def _compared(lab: Lab, cs: Any, n: int) -> Callable[[], Any]:
    sets = [lab.latent(n, d, m) for m, d in enumerate((64, 128, 256, 512))]
    sets = sets if lab.scale >= 1 else sets[:2]
    run = lab.backend(sets)
    models = {f"m{m}": X for m, X in enumerate(lab.ours(*sets))}
    return lambda: cs.compare(models, preset="matter", backend=run, **lab.intervals)


# ---- running -------------------------------------------------------------------------------

# name -> (row, seconds it may take); in the order of what matters most
ROWS: dict[str, tuple[Callable[[Lab], Rows], float]] = {
    "ceilings": (ceilings, 45),
    "neighbors-100k": (neighbors("latent", 100_000, True, 5), 60),
    "cknna-20k": (cknna(20_000, True), 40),
    "moments": (moments, 50),
    "neighbors-1m": (neighbors("latent", 1_000_000, True, 2), 90),
    "matter": (matter, 150),
    "loaders": (loaders, 80),
    "neighbors-100k-isotropic": (neighbors("isotropic", 100_000, False, 3), 40),
    "cknna-200k": (cknna(200_000, False), 40),
}


def skipped(group: str, name: str, reason: Any) -> Bench:
    said = reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}"
    return {"group": group, "name": name, "role": "skipped", "reason": " ".join(said.split())[:600]}


def run_row(name: str, lab: Lab, output: Path) -> int:
    """Run a row in this process; each of its benches is written as soon as it is there."""
    row, _ = ROWS[name]
    with output.open("a") as lines:
        try:
            for bench in row(lab):
                lines.write(json.dumps(bench) + "\n")
                lines.flush()
        except Exception as error:
            traceback.print_exc()
            lines.write(json.dumps(skipped(name, "", error) | {"role": "failed"}) + "\n")
            return 1
    return 0


def row_apart(name: str, options: argparse.Namespace, found: Sequence[Bench], limit: float) -> Any:
    """Run a row in a process of its own; return its benches, those before an end of it too."""
    rates = {b["name"]: b["flops_per_s"] for b in found if "flops_per_s" in b}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        command = [sys.executable, str(Path(__file__).resolve()), "--row", name]
        command += ["--output", str(lines), "--loader", options.loader]
        command += ["--scale", str(options.scale), "--ceilings", json.dumps(rates)]
        reason = ""
        try:
            done = subprocess.run(command, check=False, timeout=limit)
            if done.returncode not in (0, 1):
                reason = f"ended with code {done.returncode}"
        except subprocess.TimeoutExpired:
            reason = f"not done in {limit:.0f} s"
        text = lines.read_text() if lines.exists() else ""
        benches = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return benches + ([skipped(name, "", reason) | {"role": "failed"}] if reason else [])


def row_here(name: str, options: argparse.Namespace, found: Sequence[Bench]) -> list[Bench]:
    """Run a row in this process: quicker to start, and not safe from another row's end."""
    rates = {b["name"]: b["flops_per_s"] for b in found if "flops_per_s" in b}
    lab = Lab(options.loader, options.scale, rates)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines"
        run_row(name, lab, lines)
        lab.forget()
        return [json.loads(line) for line in lines.read_text().splitlines()]


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def line(bench: Bench) -> str:
    if "reason" in bench:
        return f"  {bench['role']:8}{bench['name']:46}{bench['reason']}"
    rate = bench.get("flops_per_s", 0) / 1e12
    facts = [f"{rate:.0f} TFLOP/s"] if rate else []
    if "bytes_per_s" in bench:
        facts.append(f"{bench['bytes_per_s'] / 1e12:.2f} TB/s")
    for name in ("per_floor", "per_ours", "of_ceiling", "per_native", "recall"):
        if bench.get(name) is not None:
            facts.append(f"{name} {bench[name]:.3f}")
    facts += [str(bench[name]) for name in ("ops", "peak_bytes") if name in bench]
    return f"  {bench['role']:8}{bench['name']:46}{bench['median_s']:11.5f} s  {', '.join(facts)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--loader", choices=LOADERS, default="cuda")
    parser.add_argument("--scale", type=float, default=1.0, help="of the samples, below 1: tiny")
    parser.add_argument("--only", default="", help=f"row,row of {', '.join(ROWS)}")
    parser.add_argument("--time-limit", type=float, default=3600.0, help="seconds for all rows")
    parser.add_argument("--together", action="store_true", help="all rows in one process")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--ceilings", default="{}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        lab = Lab(options.loader, options.scale, json.loads(options.ceilings))
        return run_row(options.row, lab, options.output)
    names = [name for name in options.only.split(",") if name] or list(ROWS)
    if unknown := set(names) - set(ROWS):
        parser.error(f"no row {sorted(unknown)}; there are {', '.join(ROWS)}")
    deadline = time.monotonic() + options.time_limit
    benches: list[Bench] = []
    for name in names:
        left = deadline - time.monotonic()
        print(f"{name}", flush=True)
        if left < 8:
            found = [skipped(name, "", "no time is left")]
        else:
            limit = ROWS[name][1] if options.scale >= 1 else 600
            found = (
                row_here(name, options, benches)
                if options.together
                else row_apart(name, options, benches, min(limit, left))
            )
        benches += found
        print("\n".join(map(line, found)), flush=True)
        if options.output:
            options.output.write_text(
                json.dumps({"versions": versions(), "benches": benches}, indent=1) + "\n"
            )
    failed = [bench["group"] for bench in benches if bench["role"] == "failed"]
    print(f"{len(failed)} failed: {', '.join(failed)}" if failed else "all rows ran", flush=True)
    return min(len(failed), 99)


if __name__ == "__main__":
    sys.exit(main())
