"""Calls every op over and over, rightly and wrongly, and tells what memory does not come back.

    python scripts/leaks.py [calls]

An op leaks if the second half of its calls makes the process grow by more than NOISE.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np

from consilience import _core
from engine import native
from every_op import ops_on, two_sets

CALLS = 10_000
NOISE = 1 << 20


def resident() -> int:
    """Return the bytes that this process has in memory, free blocks given back."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def refused(call) -> None:
    """Call what must raise."""
    try:
        call()
    except (ValueError, TypeError):
        return
    raise AssertionError("was not refused")


def calls() -> dict:
    """Return every op by name, and those that bindings refuse."""
    X, Y = two_sets(0, 41)
    lists = np.full((41, 3), 99)
    options = {"k": 5, "distance": "l2", "rows": None, "tile": 16, "n_threads": 1}
    wrong = {
        "k of all": lambda: _core.knn_exact(X, **{**options, "k": 41}),
        "no floats": lambda: _core.knn_exact(X.astype(np.int64), **options),
        "lists that point outside": lambda: _core.mantel_terms(lists, lists * 1.0, n_threads=1),
        "a set of another length": lambda: _core.joint_nearest(
            [X, Y[1:]], pairs=[(0, 1)], tile=16, n_threads=1
        ),
    }
    wrong = {f"refused: {name}": lambda call=call: refused(call) for name, call in wrong.items()}
    return ops_on(X, Y, native(n_threads=1)) | wrong


def main() -> None:
    """Print what each op keeps, and exit with 1 if any leaks."""
    n_calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    leaks = 0
    for name, call in calls().items():
        sizes = []
        for _ in range(2):
            for _ in range(n_calls // 2):
                call()
            sizes.append(resident())
        grown = sizes[1] - sizes[0]
        leaks += grown > NOISE
        sys.stdout.write(f"{name:34} {grown / 1024:8.0f} KiB in {n_calls // 2} calls\n")
    raise SystemExit(bool(leaks))


if __name__ == "__main__":
    main()
