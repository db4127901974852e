"""docs/scaling.md is what the results say, and its model is the arithmetic that it tells."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

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
def benches():
    found = [
        bench("a stripe of knn_exact n=1000 d=256", "100 rows", 3.0, n=1000, rows=100),
        bench("a stripe of knn_exact n=1000 d=256", "200 rows", 4.0, n=1000, rows=200),
    ]
    for name, seconds in (("here", 1.0), ("1 worker", 2.0), ("2 workers", 3.0)):
        facts = {"n_tasks": 10, "tasks_s": 0.5, "task_s": 0.05, "task_bytes": 100}
        found.append(bench("overhead of tasks, 1 thread", f"tasks, {name}", seconds, **facts))
    for op in ("knn_exact", "rank_counts", "moments"):
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
    assert costs.search(2000, 4, 4, models=3) == pytest.approx(3 * (twice + 4.0))


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
    assert "| 64 |" in text
    assert script.NOT_YET not in text


def test_the_page_in_the_tree_is_up_to_date(script):
    assert script.main(["--check"]) == 0
