"""DADApy, in the interpreter that CONSILIENCE_DADAPY_PYTHON names: its wheels want NumPy 1.

The process reports its own time, without imports and without reading the data.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from peers import Reported, rival

Array = np.ndarray[Any, Any]
VARIABLE = "CONSILIENCE_DADAPY_PYTHON"
SCRIPT = """
import json, sys, time
import numpy as np
from dadapy import Data, MetricComparisons

work, n_threads, *files = sys.argv[1:]
sets = [np.load(file).astype(np.float64) for file in files]
start = time.perf_counter()
if work == "twonn":
    answer = Data(sets[0], maxk=2, verbose=False, n_jobs=int(n_threads)).compute_id_2NN()[0]
else:
    both = MetricComparisons(np.hstack(sets), maxk=len(sets[0]) - 1, n_jobs=int(n_threads))
    left, all_columns = sets[0].shape[1], sum(X.shape[1] for X in sets)
    columns = list(range(left)), list(range(left, all_columns))
    answer = [float(v) for v in both.return_inf_imb_two_selected_coords(*columns, k=1)]
seconds = time.perf_counter() - start
print("RESULT " + json.dumps({"answer": answer, "seconds": seconds}))
"""


def missing() -> str | None:
    python = os.environ.get(VARIABLE)
    if not python:
        return f"{VARIABLE} names no interpreter with DADApy"
    probe = subprocess.run([python, "-c", "import dadapy"], capture_output=True, check=False)
    return f"{python} cannot import dadapy" if probe.returncode else None


def elsewhere(work: str, n_threads: int, *sets: Array) -> Reported:
    limits = {name: str(n_threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{m}.npy" for m in range(len(sets))]
        for file, X in zip(files, sets, strict=True):
            np.save(file, X)
        done = subprocess.run(
            [os.environ[VARIABLE], "-c", SCRIPT, work, str(n_threads), *map(str, files)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | limits,
        )
    line = next(s for s in done.stdout.splitlines() if s.startswith("RESULT "))
    return Reported(**json.loads(line.removeprefix("RESULT ")))


@rival("TwoNN", "DADApy", needs=missing)
def twonn(X: Array, *, n_threads: int) -> Reported:
    return elsewhere("twonn", n_threads, X)


@rival("information imbalance", "DADApy", needs=missing)
def information_imbalance(X: Array, Y: Array, *, n_threads: int) -> Reported:
    return elsewhere("imbalance", n_threads, X, Y)
