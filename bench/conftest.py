"""What all benches share: data, the matrix-product floor, thread limits, one timing rule."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _name_the_processor_to_blas() -> None:
    """Tell OpenBLAS what this processor is, before any is loaded.

    The copy in faiss-cpu's wheel knows no recent processor and would run SSE3 code on it: two to
    three times slower than what faiss is capable of.
    """
    if "OPENBLAS_CORETYPE" in os.environ:
        return
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text().split() if cpu.exists() else []
    if "avx512vl" in flags:
        os.environ["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    elif "avx2" in flags:
        os.environ["OPENBLAS_CORETYPE"] = "HASWELL"


_name_the_processor_to_blas()

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402
from workloads import cores  # noqa: E402

from consilience.backends.native import NativeBackend  # noqa: E402
from peers import Reported  # noqa: E402

# Numba reads it once; a bench that holds itself to fewer must not hold the others.
os.environ["NUMBA_NUM_THREADS"] = str(cores())

QUICK_SAMPLES = 1000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="small inputs, one round: do the answers hold?"
    )


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))


@pytest.fixture
def sized(quick: bool) -> Callable[[int], int]:
    """Return the function that says how many samples a bench has."""
    return lambda n_samples: min(n_samples, QUICK_SAMPLES) if quick else n_samples


@pytest.fixture
def native() -> Callable[[int], NativeBackend]:
    def make(n_threads: int) -> NativeBackend:
        probe = np.zeros((2, 2))
        return NativeBackend.for_arrays([probe], n_threads=n_threads, max_memory=8 << 30)

    return make


@pytest.fixture
def timed(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return timed(role, group, function, n_threads=1, rounds=5, beside=..., fact=..., ...).

    Roles: "ours", "floor", "rival" or "peak". The function runs once unmeasured, then `rounds`
    times with every library held to n_threads; its last answer is returned. `beside` is a floor
    that is timed right before each round. `later` is a dictionary of facts still to come.
    """

    def run(
        role: str,
        group: str,
        function: Callable[[], Any],
        *,
        n_threads: int = 1,
        rounds: int = 5,
        warmup: bool = True,
        beside: Callable[[], Any] | None = None,
        **facts: Any,
    ) -> Any:
        quick = bool(request.config.getoption("--quick"))
        benchmark.group = f"{group}, {n_threads} thread" + ("s" if n_threads > 1 else "")
        warm = 0 if quick or not warmup else 1
        floors: list[float] = []

        def floor_first() -> None:
            if beside is not None:
                start = time.perf_counter()
                beside()
                floors.append(time.perf_counter() - start)

        benchmark.extra_info.update(role=role, n_threads=n_threads, **facts)
        with all_libraries(n_threads):
            answer = benchmark.pedantic(
                function,
                setup=floor_first,
                rounds=1 if quick else rounds,
                iterations=1,
                warmup_rounds=warm,
            )
        if beside is not None:
            benchmark.extra_info["floors_s"] = floors[warm:]
        if isinstance(answer, Reported):
            benchmark.extra_info["reported_s"] = answer.seconds
            return answer.answer
        return answer

    return run


class all_libraries:  # noqa: N801  (reads as a verb phrase after `with`)
    """Hold BLAS, OpenMP and torch to so many threads."""

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._pools: Any = None
        self._torch: Any = None

    def __enter__(self) -> None:
        import sys

        self._pools = threadpool_limits(self._n_threads)
        self._torch = sys.modules.get("torch")
        if self._torch is not None:
            self._before = self._torch.get_num_threads()
            self._torch.set_num_threads(self._n_threads)
        # faiss asks OpenMP at load time, so it is told directly.
        faiss = sys.modules.get("faiss")
        if faiss is not None:
            faiss.omp_set_num_threads(self._n_threads)

    def __exit__(self, *error: object) -> None:
        self._pools.restore_original_limits()
        if self._torch is not None:
            self._torch.set_num_threads(self._before)
