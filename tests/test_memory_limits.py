"""Ops short of memory: refused with a remedy that works, or a MemoryError, and no crash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import native
from every_op import bits, ops_on

# Ops that take memory by the size of their arguments, and judge it before they begin.
JUDGED = ["knn_exact", "moments", "pair_terms", "joint_nearest", "rank_counts",
          "mantel_draws"]  # fmt: skip


class Limited:
    """The backend for what an op is prepared with, and a poorer one for the op itself."""

    def __init__(self, backend, op, max_memory):
        self._backend, self._op = backend, op
        self._poor = replace(backend, max_memory=max_memory)

    def __getattr__(self, name):
        return getattr(self._poor if name == self._op and self.ready else self._backend, name)

    ready = False


@pytest.mark.parametrize("op", JUDGED)
def test_a_refused_op_says_how_much_would_do(op):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3000, 30)), rng.standard_normal((3000, 8)).astype(np.float32)

    def run(max_memory):
        backend = Limited(native(n_threads=2), op, max_memory)
        calls = ops_on(X, Y, backend)
        backend.ready = True
        return bits(calls[op]())

    expected = run(1 << 40)
    with pytest.raises(MemoryError, match=rf"{op} needs \d+ MiB") as refused:
        run(1000)
    enough = int(re.search(r"`max_memory` to (\d+)", str(refused.value))[1])
    assert enough < 1 << 30
    assert run(enough) == expected


# Large blocks come from the system and go back to it, so that a limit is met and not old blocks;
# small ones are kept, as glibc itself gives up where it finds none for a thread's own.
FRESH = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TOP_PAD_": "4194304"}

CODE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from engine import native
from every_op import bits, ops_on

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((3000, 40)), rng.standard_normal((3000, 60)).astype(np.float32)
calls = ops_on(X, Y, native(n_threads=2))
expected = {name: bits(call()) for name, call in calls.items()}  # and all libraries are loaded
refused = set()
for name, call in calls.items():
    for spare in (1 << 17, 1 << 19, 1 << 21, 3 << 22, 1 << 25):
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + spare, resource.RLIM_INFINITY))
        try:
            found = bits(call())
        except MemoryError:
            refused.add(name)
            found = None
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        assert found in (None, expected[name]), name
    assert bits(call()) == expected[name], name  # nothing was left broken
print(*sorted(refused))
"""


def test_memory_that_cannot_be_had_is_an_exception_in_every_op():
    pytest.importorskip("resource", reason="needs POSIX limits")
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **FRESH},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Others may find enough in blocks that were freed before.
    assert len(done.stdout.split()) >= 2, done.stdout
