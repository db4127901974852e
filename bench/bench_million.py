"""A study of four models of a million samples, d = 256, from files: time and peak memory.

Two threads. `test_study` is the commands that the README names, each in a process of its own, of
which the peak is; the floor of `test_moments` are the float64 products that the moments of all
pairs take, rows being in memory already. Stores are made once, under bench/data (4 GB).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from real_data import FOLDER
from workloads import cores

import consilience as cs
from consilience import store

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MODELS = ("near", "middle", "far", "alone")
N, WIDTH = 1_000_000, 256
MEMORY = "5GiB"
LINEAR = [
    "cka",
    ("cka", {"debiased": True}),
    "hsic",
    "cca",
    ("svcca", {"dims": 32}),
    "procrustes",
    "linear_regression_r2",
]
N_THREADS = min(2, cores())
LIMIT, SLACK_MIB = "1GiB", 300
# Each in a process of its own, on files of a gigabyte each that may take a gigabyte of memory.
PROBE = r"""
import json, pathlib, sys
import consilience as cs
from consilience import store

sets = {name: store.open(f"{sys.argv[2]}/{name}").array() for name in ("near", "middle")}
found = cs.compare(sets, eval(sys.argv[1]), rows=1024, null=None, intervals=None,
                   max_memory="1GiB", n_threads=int(sys.argv[3]))
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
peak = int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) // 1024
print("RESULT " + json.dumps([peak, float(found[found.metrics[0]][0, 1])]))
"""
CALLS = {
    "moments": '["cka", "cca", "procrustes"]',
    "neighbours of 1,024 rows": '[("mutual_knn", {"k": 10})]',
    "ranks of 1,024 rows": '[("information_imbalance", {"k": 10})]',
    "pair sums of 1,024 rows": '[("distance_correlation", {"unbiased": True})]',
    "joint neighbours of 1,024 rows": '[("id_correlation", {"permutations": 0})]',
}
# Ops on all rows of the first samples, in memory, in about half of what they take in one piece.
ALL_ROWS, LITTLE = 30_000, 48
PROBE_ALL = r"""
import json, pathlib, sys
from consilience import store
from consilience.backends import select

def size(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) // 1024

n, limit, n_threads = map(int, sys.argv[3:])
sets = [store.open(f"{sys.argv[2]}/{name}").array()[:n].copy() for name in ("near", "middle")]
how = {"n_threads": n_threads, "max_memory": limit << 20}
graph = select("native", sets).knn_exact(sets[0], k=10, distance="l2", rows=None)
ops = select("native", sets, **how)
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is that of what follows
held = size("VmRSS:")
if sys.argv[1] == "ranks":
    found = ops.rank_counts(sets[1], [graph], [10]).sums.mean() / (10 * n)
else:
    found = ops.joint_nearest(sets, [(0, 1), (0, 0), (1, 1)])[0, :, 0].mean()
print("RESULT " + json.dumps([size("VmHWM:") - held, float(found)]))
"""


@pytest.fixture
def folder(sized, quick, tmp_path):
    """Return the folder of the four stores."""
    where = tmp_path / "stores" if quick else FOLDER / "million"
    make = [sys.executable, str(EXAMPLES / "million.py"), str(where), "--n", str(sized(N))]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    return where


@pytest.fixture
def arrays(folder):
    return {name: store.open(folder / name).array() for name in MODELS}


def centred_product(X, Y):
    """Return XᵀY about the means, float64, by blocks of rows."""
    mean_x, mean_y = (Z.mean(axis=0, dtype=np.float64) for Z in (X, Y))
    blocks = range(0, len(X), 50_000)
    return sum((X[s : s + 50_000] - mean_x).T @ (Y[s : s + 50_000] - mean_y) for s in blocks)


def expected_cka(X, Y):
    """Return linear CKA from features."""
    own = [np.linalg.norm(centred_product(Z, Z)) for Z in (X, Y)]
    return np.linalg.norm(centred_product(X, Y)) ** 2 / (own[0] * own[1])


@pytest.mark.parametrize(
    ("who", "how"),
    [
        pytest.param("", ["--max-memory", MEMORY], id="study"),
        pytest.param("Dask, 2 workers: ", ["--local-cluster", "2"], id="workers"),
    ],
)
def test_study(who, how, folder, arrays, timed, sized, quick, tmp_path):
    plan = (EXAMPLES / "million.yaml").read_text().replace("stores/million", str(folder))
    if quick:  # the scores alone
        plan = plan.replace("    rows:", "    analyses: [tree]\n    rows:")
    (tmp_path / "plan.yaml").write_text(plan)
    command = [sys.executable, "-m", "consilience", "study", "run", str(tmp_path / "plan.yaml")]
    facts: dict[str, float] = {}

    def run():
        out = tmp_path / "out"
        process = subprocess.Popen([*command, "-o", str(out), *how])
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        facts["peak_mib"] = usage.ru_maxrss >> 10
        facts["cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
        return cs.Study(out)

    group = f"{who}study of 4 models n={sized(N)} d={WIDTH}, from files"
    study = timed(
        "ours",
        group,
        run,
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        n=sized(N),
        how=" ".join(how),
        aims={"median_s": 1800, "peak_mib": 6144},
        later=facts,
    )
    assert (Path(study.folder) / "report.html").stat().st_size > 100_000
    scores = study.matrix("cka")
    assert scores[0, 1] > scores[0, 2] > scores[0, 3] > 0.0
    if quick:
        return
    for label in ("cknna", "mutual_knn", "distance_correlation"):
        found = study.scores("million").scores[label]
        assert found.values[0, 1] > found.values[0, 2] > found.values[0, 3]
        facts[f"{label}, near to middle"] = float(found.values[0, 1])
        facts[f"{label}, error of sampled rows"] = float(found.details["rows_std_error"][0, 1])


def test_moments(arrays, timed, sized):
    sets = list(arrays.values())
    n = sized(N)
    rows = min(n, 16_384)
    x, y = (np.asfortranarray(X[:rows], dtype=np.float64) for X in sets[:2])
    # Six products of two sets, and half of four of a set with itself.
    products = 8 * n / rows

    def floor():
        for _ in range(round(products)):
            last = x.T @ y
        return last

    matrix = timed(
        "ours",
        f"moments of all pairs of 4 sets n={n} d={WIDTH}, from files",
        lambda: cs.compare(arrays, LINEAR, null=None, intervals=None, n_threads=N_THREADS),
        n_threads=N_THREADS,
        rounds=2,
        beside=floor,
        n=n,
        aims={"per_floor": round(1 / 0.7, 2)},
    )
    expected = expected_cka(sets[0], sets[1])
    assert matrix["cka"][0, 1] == pytest.approx(expected, rel=1e-9)


def told_by(probe, *arguments):
    """Return what a process of its own tells."""
    command = [sys.executable, "-c", probe, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("RESULT ")[2])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak")
@pytest.mark.parametrize("work", CALLS)
def test_memory(work, folder, timed, sized):
    facts: dict[str, float] = {}
    peak, score = timed(
        "ours",
        f"peak memory n={sized(N)} d={WIDTH}, max_memory={LIMIT}",
        lambda: told_by(PROBE, CALLS[work], folder, N_THREADS),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        program=work,
        limit_mib=1024 + SLACK_MIB,
        aims={"peak_mib": 1024 + SLACK_MIB},
        later=facts,
    )
    facts["peak_mib"] = peak
    assert 0.0 < score < 1.0
    assert peak < 1024 + SLACK_MIB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak")
@pytest.mark.parametrize("work", ["ranks", "joint neighbours"])
def test_all_rows(work, folder, timed, sized):
    facts: dict[str, float] = {}
    n = min(sized(N), ALL_ROWS)
    peak, score = timed(
        "ours",
        f"memory beyond the arguments, all rows n={n} d={WIDTH}, max_memory={LITTLE}MiB",
        lambda: told_by(PROBE_ALL, work, folder, n, LITTLE, N_THREADS),
        n_threads=N_THREADS,
        rounds=1,
        warmup=False,
        program=work,
        limit_mib=LITTLE + SLACK_MIB,
        aims={"peak_mib": LITTLE + SLACK_MIB},
        later=facts,
    )
    facts["peak_mib"] = peak
    assert 0.0 < score < (0.5 if work == "ranks" else math.inf)
    assert peak < LITTLE + SLACK_MIB
