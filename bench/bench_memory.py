"""Peak memory above the inputs, each metric in a process of its own: n = 100,000, d = 256.

Metrics that would take minutes run at 50,000. Two threads, the default budget. Linux alone: its
high-water mark is reset before the call.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_MIB = 1024
PROBE = r"""
import json, pathlib, sys
import numpy as np
import consilience as cs

call, n, n_sets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
sets = [rng.standard_normal((n, 256), dtype=np.float32) for _ in range(n_sets)]
small = [X[:300] for X in sets]
how = {"backend": "native", "n_threads": 2}
function = eval("lambda sets: " + call)
function(small)  # imports and libraries are not the metric's

def status(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key + ":"))) / 1024

pathlib.Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
function(sets)
print("RESULT " + json.dumps({"peak_mib": round(status("VmHWM") - before, 1)}))
"""
FAMILY = '["cka", ("cka", {"debiased": True}), "cca", "svcca", "pwcca", "procrustes"]'
PAIR = '{"a": sets[0], "b": sets[1]}'
# metric -> (call, samples, sets); those of 50,000 take minutes at 100,000
CALLS = {
    "neighbors k=25": ("cs.neighbors(*sets, k=25, **how)", 100_000, 1),
    "mutual_knn": ("cs.mutual_knn(*sets, k=10, **how)", 50_000, 2),
    "cknna": ("cs.cknna(*sets, k=25, **how)", 50_000, 2),
    "distance_correlation": ("cs.distance_correlation(*sets, **how)", 100_000, 2),
    "cka rbf": ("cs.cka(*sets, kernel='rbf', debiased=True, **how)", 50_000, 2),
    "information_imbalance": ("cs.information_imbalance(*sets, k=1, **how)", 50_000, 2),
    "linear family": (
        f"cs.compare({PAIR}, {FAMILY}, null=None, intervals=None, **how)",
        100_000,
        2,
    ),
    "twonn": ("cs.twonn(*sets, **how)", 100_000, 1),
    "matter, two models": (f"cs.compare({PAIR}, preset='matter', **how)", 20_000, 2),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux has the mark")
@pytest.mark.parametrize("metric", CALLS)
def test_ours(metric, timed, sized, quick):
    call, n, n_sets = CALLS[metric]
    n = sized(n)
    facts: dict[str, float] = {}

    def probe():
        command = [sys.executable, "-c", PROBE, call, str(n), str(n_sets)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.partition("RESULT ")[2])

    facts |= timed(
        "ours",
        f"memory {metric} n={n} d=256",
        probe,
        n_threads=2,
        rounds=1,
        warmup=False,
        program=metric,
        n=n,
        limit_mib=LIMIT_MIB,
        later=facts,
    )
    assert 0 <= facts["peak_mib"] < 16 * LIMIT_MIB
