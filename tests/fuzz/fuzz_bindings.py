"""The compiled core with arguments of odd shapes, strides, dtypes and numbers.

Every function of `_core.pyi` is called with what its signature names, mostly fitting together and
now and then not. It must return or raise; a crash ends the process, and FOUND names the call.

python tests/fuzz/fuzz_bindings.py [--seconds 60] [--seed 0] [knn_exact …]
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import consilience
from consilience import _core
from consilience.backends.native import NativeBackend

RAISES = (ValueError, TypeError, MemoryError, OverflowError, IndexError, RuntimeError)
FOUND = Path(__file__).resolve().parent / "found"
NUMBERS = (-(2**63), -1, 0, 1, 2, 3, 7, 40, 2**31 - 1, 2**31, 2**62, 2**63 - 1, 2**64, 1.5, None)
WORDS = {
    "distance": ("l2", "l2", "ip", "l1"),
    "functions": (["rbf"], ["distance", "rbf"], ["rbf", "rbf"], ["distance", "rbf"], ["x"], []),
}
SKIPPED = {"install_blas"}  # takes the addresses of functions

Call = dict[str, Any]


def signatures() -> dict[str, dict[str, str]]:
    """Return the parameters of every function, with their annotations as text."""
    text = (Path(consilience.__file__).parent / "_core.pyi").read_text(encoding="utf-8")
    return {
        node.name: {
            arg.arg: ast.unparse(arg.annotation)
            for arg in (*node.args.args, *node.args.kwonlyargs)
            if arg.annotation is not None
        }
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name not in SKIPPED
    }


def arguments(parameters: dict[str, str], rng: np.random.Generator) -> Call:
    """Return arguments that mostly belong together."""
    size = {
        "n": int(rng.choice((1, 2, 3, 5, 9, 33, 97))),
        "d": int(rng.choice((1, 2, 3, 8, 17))),
        "k": int(rng.choice((1, 2, 3))),
    }
    odd = rng.random() < 0.5
    given = {
        name: _spoiled(_fitting(name, kind, size, rng), rng if odd else None)
        for name, kind in parameters.items()
    }
    if given and rng.random() < 0.25:
        given[str(rng.choice(list(given)))] = _wild(rng)
    return given


def _fitting(name: str, kind: str, size: dict[str, int], rng: np.random.Generator) -> Any:
    n, d, k = size["n"], size["d"], size["k"]
    dtype = np.float32 if n % 2 else np.float64
    if name in WORDS:
        choice = WORDS[name]
        return choice[int(rng.integers(len(choice)))]
    if "None" in kind and rng.random() < 0.3:
        return None
    many: dict[str, Callable[[], Any]] = {
        "sets": lambda: [rng.standard_normal((n, d)).astype(dtype) for _ in range(2)],
        "shifts": lambda: [rng.standard_normal(d) for _ in range(2)],
        "pairs": lambda: [(0, 0), (0, 1)][: int(rng.integers(3))],
        "gammas": lambda: [0.5] * int(rng.choice((0, 1, 2, 2, 2))),
        "sources": lambda: [rng.integers(0, n, (n, k)) for _ in range(2)],
        "ks": lambda: list(range(1, k + 1)),
        "rows": lambda: np.unique(rng.integers(0, n, n)),
        "selves": lambda: rng.integers(0, n, n),
        "squares": lambda: np.sort(rng.random((n, k)), axis=1),
        "references": lambda: np.unique(rng.integers(0, n, n)),
        "sample": lambda: np.unique(rng.integers(0, n, n)),
        "group": lambda: rng.integers(0, 2, n),
        "i": lambda: rng.integers(0, n, n),
        "j": lambda: rng.integers(0, n, n),
        "halves": lambda: rng.integers(0, 2**32, n, np.uint32),
        "members": lambda: rng.integers(0, 2**32, (n, k), np.uint32),
        "members_x": lambda: rng.integers(0, 2**32, (n, k), np.uint32),
        "members_y": lambda: rng.integers(0, 2**32, (n, k), np.uint32),
        "values": lambda: rng.standard_normal((n, k)),
        "n_splits": lambda: int(rng.integers(1, 33)),
        "order": lambda: 1,
        "permutations": lambda: np.stack([rng.permutation(n) for _ in range(2)]),
        "axes": lambda: None,
        "rest_axes": lambda: None,
        "cell": lambda: 64,
        "fanout": lambda: 1,
        "step": lambda: 0.0,
        "origin": lambda: rng.standard_normal(d),
        "n_threads": lambda: int(rng.choice((1, 2, 3))),
        "n_samples": lambda: n,
        "n_features": lambda: d,
        "tile": lambda: int(rng.choice((1, 8, 64, 256))),
        "k": lambda: min(k, max(1, n - 1)),
    }
    if kind.startswith("Sequence[_Indices"):
        return [rng.integers(0, n, (n, k)) for _ in range(2)]
    if name == "values" and kind.startswith("Sequence"):
        return [rng.standard_normal((n, k)), None]
    if name == "rows" and kind.startswith("tuple"):
        return [(0, n), (0, 48), (48, n)][int(rng.integers(3))]
    if name in many and not kind.startswith("_Set"):
        return many[name]()
    if kind.startswith("_Set"):
        return rng.standard_normal((n, d)).astype(dtype)
    if kind.startswith("_Indices"):
        return rng.integers(0, n, (n, k))
    if kind.startswith("_Splits"):
        return rng.integers(0, 2**32, (n, 1 + d % 3), np.uint32)
    if kind.startswith("_Floats"):
        return rng.standard_normal((n, k))
    return {"bool": lambda: bool(rng.integers(2)), "float": lambda: float(rng.random())}.get(
        kind, lambda: int(rng.integers(0, 5))
    )()


def _spoiled(value: Any, rng: np.random.Generator | None) -> Any:
    """Return an array in another layout, dtype or shape, or with other numbers."""
    if rng is None or not isinstance(value, np.ndarray) or rng.random() < 0.6:
        return value
    ways: tuple[Callable[[np.ndarray], Any], ...] = (
        np.asfortranarray,
        lambda a: a[::-1],
        lambda a: a[..., ::-1],
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[:0],
        lambda a: a[..., :0],
        lambda a: a[None],
        lambda a: a.ravel(),
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int32),
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: a.astype(object),
        lambda a: np.broadcast_to(a[:1], a.shape),
        lambda a: np.full_like(a, -1 if a.dtype.kind in "if" else 0),
        lambda a: np.full_like(a, 2**31 if a.dtype.kind in "if" else 0),
        lambda a: a * np.nan if a.dtype.kind == "f" else a + a.shape[0],
        lambda a: np.concatenate([a, a]),
        lambda a: np.ndarray(a.shape, a.dtype, b"\1" * (a.nbytes + 1), 1),
        lambda a: a.tolist(),
    )
    return ways[int(rng.integers(len(ways)))](value)


def _wild(rng: np.random.Generator) -> Any:
    pool = (*NUMBERS, "l2", [], [[]], (), {}, np.empty((0, 0)), np.ones((3, 2)), np.int64(5), True)
    return pool[int(rng.integers(len(pool)))]


def call(name: str, parameters: dict[str, str], seed: int, *, countable: bool = False) -> bool:
    """Call a function once; return whether it returned.

    countable : whether bytes are counted of what memory can hold: other counts pass 64 bits
    """
    given = arguments(parameters, np.random.default_rng(seed))
    if name.endswith("_bytes"):
        limits = dict.fromkeys(given, 2**16) if countable else {}
    else:  # what is honest and only large: so many threads, or room for so many samples
        limits = {"n_threads": 64, "n_samples": 2**20}
    for what, most in limits.items():
        if isinstance(given.get(what), int):
            given[what] = max(min(given[what], most), -most)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(_core, name)(**given)
    except RAISES:
        return False
    return True


def main() -> None:
    known = signatures()
    words = argparse.ArgumentParser()
    words.add_argument("names", nargs="*", help="functions of the core; all by default")
    words.add_argument("--seconds", type=float, default=60.0, help="for all together")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--countable", action="store_true", help="no sizes beyond all memory")
    asked = words.parse_args()
    names = asked.names or list(known)
    FOUND.mkdir(exist_ok=True)
    faulthandler.enable()
    NativeBackend.for_arrays([], n_threads=1, max_memory=None)  # brings BLAS to the core
    for name in names:
        faulthandler.dump_traceback_later(asked.seconds + 120, exit=True)
        start, seed, returned = time.monotonic(), asked.seed * 10**6, 0
        while time.monotonic() - start < asked.seconds / len(names):
            (FOUND / f"{name}.last").write_text(f"{seed}\n")
            returned += call(name, known[name], seed, countable=asked.countable)
            seed += 1
        sys.stdout.write(f"{name}: {seed - asked.seed * 10**6} calls, {returned} returned\n")
        (FOUND / f"{name}.last").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
