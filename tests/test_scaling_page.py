"""docs/scaling.md is what the results say, and its model is the arithmetic that it tells."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import consilience as cs
from consilience import store
from consilience.study.score_matrix import ScoreMatrix

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "scaling_model", ROOT / "scripts/scaling_model.py"
    )
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    sys.path[:] = before
    yield module
    del sys.modules[spec.name]


def bench(group, name, seconds, **facts):
    return {
        "group": group,
        "name": name,
        "role": "ours",
        "median_s": seconds,
        "min_s": seconds,
    } | facts


@pytest.fixture
def benches(script):
    found = [
        bench("a stripe of knn_exact n=1000 d=256", "100 rows", 3.0, n=1000, rows=100),
        bench("a stripe of knn_exact n=1000 d=256", "200 rows", 4.0, n=1000, rows=200),
    ]
    for name, seconds in (("here", 1.0), ("1 worker", 2.0), ("2 workers", 3.0)):
        facts = {"n_tasks": 10, "tasks_s": 0.5, "task_s": 0.05, "task_bytes": 100}
        found.append(bench("overhead of tasks, 1 thread", f"tasks, {name}", seconds, **facts))
    for name, seconds in (("after each other", 20.0), ("overlapping", 12.5)):
        facts = {"n_tasks": 9, "tasks_s": 20.0, "workers": 2}
        found.append(bench("a comparison of 4 models", f"steps {name}", seconds, **facts))
    for op in script.OPS:
        group = f"scaling out {op} n=1000 d=256, 1 thread"
        found.append(bench(group, "uncut", 7.0, n=1000))
        for name, seconds in (("here", 14.0), ("1 worker", 16.0), ("2 workers", 8.0)):
            facts = {"n": 1000, "n_tasks": 5, "task_s": 2.4, "tasks_s": 12.0, "task_bytes": 2e6}
            found.append(bench(group, f"tasks, {name}", seconds, **facts))
    return found


def test_costs_are_told_by_the_benches(script, benches):
    costs = script.Costs.of(benches)
    assert (costs.stripe, costs.row) == (pytest.approx(2.0), pytest.approx(0.01))
    assert costs.overhead == pytest.approx((2.0 - 0.5) / 10)
    assert costs.size == pytest.approx(5 * 2e6 / 1000)
    assert costs.joining * costs.size * 1000 == pytest.approx(14.0 - 12.0)


def test_a_search_is_rounds_of_tasks_and_then_the_joining(script, benches):
    costs = script.Costs.of(benches)
    # 4 tasks of 250 rows each on 3 workers: two rounds.
    task = 2.0 + 0.01 * 250 + 0.15
    assert costs.search(1000, 4, 3) == pytest.approx(2 * task + 2.0)
    # Twice the samples: what a stripe pays and what a row costs double, and so do the rows.
    twice = 2 * (2.0 + 0.01 * 500) + 0.15
    assert costs.search(2000, 4, 4, models=3) == pytest.approx(3 * twice + 4.0)
    # Tasks of several models fill rounds together, up to where joining is all there is to do.
    assert costs.search(2000, 4, 6, models=3) == pytest.approx(2 * twice + 4.0)
    assert costs.search(2000, 4, 12, models=6) == pytest.approx(2 * twice + 4.0)
    assert costs.search(2000, 4, 99, models=6) == pytest.approx(6 * 4.0)


def test_the_page_is_made_of_the_results(script, benches, tmp_path, capsys):
    for folder in ("docs", "bench/results"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / script.PAGE, tmp_path / script.PAGE)
    (tmp_path / script.RESULTS).write_text(json.dumps({"benches": benches}))
    assert script.main(["--check"], tmp_path) == 1
    assert "out of date" in capsys.readouterr().err
    assert script.main([], tmp_path) == 0
    assert script.main(["--check"], tmp_path) == 0
    text = (tmp_path / script.PAGE).read_text()
    assert "| knn_exact | 1,000 | 5 | 2.40 | 2.0 | 7.00 | 14.00 | 16.00 | 8.00 | 2.00 |" in text
    assert "| 1 worker | 10 | 150 |" in text
    assert "| after each other | 9 | 20.0 | 1.00 | 50% |" in text
    assert "| overlapping | 9 | 12.5 | 1.60 | 20% |" in text
    assert "| 64 |" in text
    assert script.NOT_YET not in text


def test_the_page_in_the_tree_is_up_to_date(script):
    assert script.main(["--check"]) == 0


# ---- the job for Slurm -------------------------------------------------------------------------

# Slurm's own, as far as a job sees it: as many processes as tasks, each told which one it is.
SRUN = """#!/bin/bash
for ((i = 1; i < SLURM_NTASKS; i++)); do SLURM_PROCID=$i "$@" & done
SLURM_PROCID=0 "$@"
wait
"""


def job_and_script(shared):
    """Return the job and the program of the page, on a folder that all see."""
    text = (ROOT / "docs/scaling.md").read_text(encoding="utf-8").partition("## Slurm")[2]
    job, script = (re.search(rf"```{lang}\n(.*?)```", text, re.S)[1] for lang in ("bash", "python"))
    assert "/shared/" in script
    return job, script.replace("/shared", str(shared))


def test_the_job_for_slurm_asks_for_what_the_text_says():
    job, _ = job_and_script("/shared")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)", job, re.M))
    assert asked["ntasks"] == "66"
    assert {"cpus-per-task", "mem-per-cpu", "time", "requeue"} <= set(asked)
    subprocess.run(["bash", "-n"], input=job, text=True, check=True)


# Not imported here: it would take this process's SIGINT for itself.
@pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed"
)
@pytest.mark.filterwarnings("ignore:.* is left out")
def test_the_job_for_slurm_runs_where_srun_starts_processes(tmp_path):
    job, script = job_and_script(tmp_path)
    rng = np.random.default_rng(0)
    sets = {
        name: rng.standard_normal((231, d)).astype(np.float32) for name, d in (("a", 4), ("b", 7))
    }
    for name, X in sets.items():
        ids = [f"s{i}" for i in range(len(X))]
        store.write(tmp_path / "embeddings" / name, [(ids, X)], model=name, dataset={"name": "d"})
    small = "import consilience.backends.striped as tasks\n\ntasks.TASK_SECONDS = 1e-4\n"
    (tmp_path / "compare.py").write_text(small + script)
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    environment = os.environ | {
        "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SLURM_NTASKS": "4",
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run(
        ["timeout", "-k", "5", "90", "bash", "-c", job],  # which ends all that `srun` started
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found, expected = ScoreMatrix.load(tmp_path / "matrix.json"), cs.compare(sets)
    for label in expected.metrics:
        np.testing.assert_allclose(found[label], expected[label], rtol=1e-12)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("run-1/results/*.json")]
    assert len(records) > 4
    assert {record["worker"].partition(" (")[0] for record in records} <= {"worker 2", "worker 3"}
