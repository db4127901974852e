"""docs/performance.md is what the results say, and says of a target whether it was met."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def page():
    path = ROOT / "scripts/performance_page.py"
    spec = importlib.util.spec_from_file_location("performance_page", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def bench(name, role, group, **facts):
    timing = {"median_s": 2.0, "min_s": 2.0, "rounds": 3, "n_threads": 2, "commit": "abc"}
    return {"group": group, "name": name, "role": role, **timing, **facts}


@pytest.fixture
def tree(tmp_path):
    """The page beside results that are made up."""
    (tmp_path / "bench/results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/performance.md", tmp_path / "docs")

    def write(suite, benches):
        head = {"created": "2026-01-01", "machine": {"processor": "p", "cores": 2}}
        head["machine"]["load_before"] = 0.1
        path = tmp_path / f"bench/results/{suite}.json"
        path.write_text(json.dumps({**head, "benches": benches}))
        return tmp_path

    return write


def test_the_page_is_what_the_results_make(page):
    assert page.main(["--check"]) == 0


def test_a_change_of_the_results_makes_it_out_of_date(page, tree):
    root = tree("cpu", [])
    assert page.main([], root) == 0
    assert page.main(["--check"], root) == 0
    root = tree("cpu", [bench("f", "ours", "g, 2 threads", target="f", limit=0.5, per_floor=0.4)])
    assert page.main(["--check"], root) == 1


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.4, "met"), (0.5, "met"), (0.6, "missed by 20 %"), (1.5, "by 200 %")]
)
def test_a_target_is_met_or_missed_by_so_much(page, ratio, said):
    ours = bench("f", "ours", "g, 2 threads", target="f", limit=0.5, per_floor=ratio)
    rival = bench("faiss", "rival", "g, 2 threads", per_floor=1.2, recall=0.98)
    text = page.targets({"cpu": {"benches": [ours, rival]}})
    assert said in text
    assert "faiss 1.20 (recall 0.980)" in text


def test_a_limit_may_be_of_a_rival(page):
    ours = bench(
        "a", "ours", "g", target="a", limit=0.5, per_floor=9.0, limit_is_of="slow", median_s=1.0
    )
    rival = bench("slow", "rival", "g", per_floor=18.0, median_s=4.0)
    assert "| ≤ 0.5 × slow | 0.25 | met |" in page.targets({"cpu": {"benches": [ours, rival]}})
    alone = page.targets({"cpu": {"benches": [ours]}})
    assert "did not run" in alone
    assert "met" not in alone.splitlines()[-1]


def test_exponents_are_those_of_a_power_law(page, tree):
    sizes = (5_000, 10_000, 50_000)
    benches = [bench("op", "ours", f"{n}", n=n, expected=2.0, min_s=1e-9 * n**1.5) for n in sizes]
    benches.append(bench("op", "ours", "one", n=5_000, n_threads=1, expected=2.0, min_s=1.0))
    text = page.scaling({"scaling": {"benches": benches}})
    assert "| 2 | 1.50 |" in text
    assert f"{1.0 / benches[0]['min_s']:.2f}" in text


def test_figures_are_well_formed_and_hold_every_point(page):
    benches = [bench("a < b", "ours", f"{n}", n=n, expected=2.0) for n in (10, 100, 1000)]
    root = ET.fromstring(page.scaling_figure({"scaling": {"benches": benches}}))
    circles = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3 + 1  # and one beside the name
    assert ET.fromstring(page.scaling_figure({})) is not None


def test_memory_beyond_the_limit_is_said(page):
    heavy = bench("m", "ours", "g", n=100_000, peak_mib=2048.0, limit_mib=1024)
    assert "missed by 100 %" in page.memory({"memory": {"benches": [heavy]}})
