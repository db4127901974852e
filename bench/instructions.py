"""Instructions of the main kernels, the same on a busy machine: `python bench/instructions.py`.

Compares with bench/results/instructions.json and fails where a kernel takes more than TOLERANCE
beyond what is written there; --write writes it. One thread under callgrind (Debian: valgrind),
whose processor has AVX2 and no AVX-512: these are the AVX2 versions of the kernels.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "instructions.json"
TOLERANCE = 0.02
# A marker is a call of os.getloadavg, before which callgrind dumps what it has counted since.
DRIVER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from workloads import embedding, neighbor_lists
import consilience as cs
from consilience import _core
from consilience.backends import Channel
from consilience.backends.native import NativeBackend
from consilience.terms import Graph

n, d, k = 1500, 64, 10
X, Y = embedding(n, d, 0), embedding(n, d, 1)
big, other = embedding(8 * n, d, 0), embedding(8 * n, d, 1)
x, y = (Graph(lists, np.zeros(lists.shape)) for lists in (neighbor_lists(n, k, s) for s in (0, 1)))
values = np.random.default_rng(0).standard_normal((n, k))
run = NativeBackend.for_arrays([X], n_threads=1, max_memory=None)
kernels = {
    "knn_exact": lambda: run.knn_exact(X, k=k, distance="l2"),
    "pair_terms": lambda: run.pair_terms([Channel(X), Channel(Y)]),
    "pair_terms rbf": lambda: run.pair_terms([Channel(X, "rbf", 0.01), Channel(Y, "rbf", 0.01)]),
    "rank_counts": lambda: run.rank_counts(X, [x], [k]),
    "moments": lambda: cs.cka(big, other, backend="native", n_threads=1),
    "joint_nearest": lambda: run.joint_nearest([X, Y], [(0, 1)]),
    "graph_terms": lambda: run.graph_terms(x, y, values, values),
}
# So few rows would be searched exactly: the kernel is called with what the backend passes it.
kernels["knn_approx"] = lambda: _core.knn_approx(
    X, k=k, distance="l2", seed=0, cell=128, fanout=6, step=0.0, n_threads=1
)
for name, kernel in kernels.items():
    kernel()
    os.getloadavg()
    kernel()
    os.getloadavg()
print("KERNELS " + ",".join(kernels))
"""


def counted() -> dict[str, int]:
    """Return the instructions of one warm call of each kernel."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        command += ["--dump-before=getloadavg", sys.executable, "-c", DRIVER, str(HERE)]
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | single
        )
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        names = re.findall(r"^KERNELS (.*)$", done.stdout, re.M)[0].split(",")
        # Dumps 1, 3, 5 ... end before a measured call, 2, 4, 6 ... after it.
        return {name: total(Path(f"{out}.{2 * i + 2}")) for i, name in enumerate(names)}


def total(dump: Path) -> int:
    return int(re.findall(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: no valgrind here (Debian: apt install valgrind)")
        return 0
    counts = counted()
    before = json.loads(RESULTS.read_text())["instructions"] if RESULTS.exists() else {}
    worse = []
    for name, count in counts.items():
        change = count / before[name] - 1.0 if name in before else None
        print(f"{name:20}{count:16,}  {'new' if change is None else f'{change:+.2%}'}")
        if change is not None and change > TOLERANCE:
            worse.append(name)
    if options.write:
        content = {
            "what": "Instructions of one warm call, one thread, AVX2, n = 1,500 (moments 12,000), "
            "d = 64, k = 10",
            "instructions": counts,
        }
        RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    elif worse:
        print(f"more than {TOLERANCE:.0%} beyond what was written: {', '.join(worse)}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
