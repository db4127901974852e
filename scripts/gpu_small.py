"""Every op on a GPU at small, odd sizes, beside the CPU: for a first look and for sanitizers.

    python scripts/gpu_small.py cuda            (or cupy, or emulated: the kernels on a CPU)
    compute-sanitizer --tool memcheck python scripts/gpu_small.py cuda

Says which op differs, or raises, and goes on with the next one.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from loaders import LOADERS, backend_of, host_backend

import consilience as cs

Array = np.ndarray[Any, Any]
FAMILY: tuple[Any, ...] = (
    "cka",
    ("cka", {"debiased": True}),
    ("cka", {"kernel": "rbf"}),
    "procrustes",
    "svcca",
    "rsa",
    "distance_correlation",
    "linear_regression_r2",
)


def rows(n: int, d: int, dtype: Any, seed: int) -> Array:
    """Return rows with a few duplicates, far from the origin."""
    found = np.random.default_rng(seed).standard_normal((n, d)) + 2.0
    found[n // 2 : n // 2 + 3] = found[1]
    return found.astype(dtype)


def searches(gpu: Any, host: Any, n: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield neighbour searches, small ones and ones that tensor cores screen."""
    cases = [
        (n, 17, 5, np.float64),
        (n, 65, 33, np.float32),
        (8 * n + 1, 40, 25, np.float32),
        (8 * n + 1, 129, 200, np.float64),
    ]
    for count, d, k, dtype in cases:
        for distance in ("l2", "ip"):
            X = rows(count, d, dtype, d)

            def search(X: Array = X, k: int = k, distance: str = distance) -> None:
                found = gpu.knn_exact(X, k=k, distance=distance)
                expected = host.knn_exact(X, k=k, distance=distance)
                assert_array_equal(found.indices, expected.indices)
                assert_allclose(found.distances, expected.distances, rtol=1e-12, atol=1e-14)

            yield f"knn_exact n={count} d={d} k={k} {distance} {np.dtype(dtype)}", search


def scores(gpu: Any, host: Any, n: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield comparisons, which between them run every op."""
    latent = np.random.default_rng(1).standard_normal((n, 6))
    models = {}
    for m, d in enumerate((12, 33, 64)):
        mixed = latent @ np.random.default_rng([2, m]).standard_normal((6, d))
        noise = np.random.default_rng([3, m]).standard_normal((n, d))
        models[f"m{m}"] = (mixed + noise).astype([np.float32, np.float64][m % 2])
    wanted: tuple[tuple[str, dict[str, Any]], ...] = (
        ("matter", {"preset": "matter"}),
        ("prh", {"preset": "prh"}),
        ("family", {"metrics": list(FAMILY)}),
    )
    for name, what in wanted:

        def compare(what: dict[str, Any] = what) -> None:
            how = {**what, "permutations": 16}
            found = cs.compare(models, backend=gpu, **how)
            expected = cs.compare(models, backend=host, **how)
            for label, scored in expected.scores.items():
                mine = found.scores[label]
                assert_allclose(mine.values, scored.values, rtol=1e-6, atol=1e-9, err_msg=label)
                if scored.p_value is not None:
                    assert_allclose(mine.p_value, scored.p_value, rtol=1e-5, err_msg=label)

        yield f"compare {name}, n={n}", compare


def main(arguments: list[str] | None = None) -> int:
    """Run all; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loader", choices=LOADERS)
    parser.add_argument("--n", type=int, default=530, help="samples of the comparisons")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args(arguments)
    gpu, host = backend_of(options.loader), host_backend()
    if hasattr(gpu, "screened_from"):  # or small searches would not see the tensor cores
        gpu = dataclasses.replace(gpu, screened_from=options.n + 1)
    failed = []
    cases = [*searches(gpu, host, options.n), *scores(gpu, host, options.n)]
    for name, run in cases:
        if options.only not in name:
            continue
        start = time.perf_counter()
        try:
            run()
        except Exception as error:
            failed.append(name)
            sys.stdout.write(f"FAILED {name}: {type(error).__name__}: {error}\n")
            sys.stdout.write(traceback.format_exc())
        else:
            sys.stdout.write(f"ok     {name} ({time.perf_counter() - start:.2f} s)\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(failed)} failed: {', '.join(failed)}\n" if failed else "all agree\n")
    return min(len(failed), 99)


if __name__ == "__main__":
    sys.exit(main())
