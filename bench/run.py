"""Run the benches and keep what matters: `python bench/run.py [SUITE] [-k PATTERN] [--quick]`.

Writes bench/results/SUITE.json and prints a table; the suites are below, "cpu" by default. With -k,
only the groups that ran are replaced. --quick without a suite runs all of them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
# suite -> its file; "cpu" is all the others
SUITES = {
    "cpu": None,
    "approx": "bench_knn_approx.py",
    "peers": "peers/bench_peers.py",
    "scaling": "bench_scaling.py",
    "memory": "bench_memory.py",
    "million": "bench_million.py",
    "dask": "bench_scaling_out.py",
}
PACKAGES = (
    "consilience",
    "numpy",
    "scipy",
    "torch",
    "faiss-cpu",
    "pynndescent",
    "hnswlib",
    "usearch",
    "scikit-learn",
    "dcor",
    "hyppo",
    "scikit-dimension",
    "distributed",
    "pytest-benchmark",
)
# What a bench says of itself for this file; everything else it says is kept as it is.
CONSUMED = ("role", "n_threads", "times", "program", "floors_s", "reported_s", "later")

Bench = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES)
    parser.add_argument("-k", dest="pattern", default="", help="run matching benches only")
    parser.add_argument("--quick", action="store_true", help="small, once, nothing written")
    parser.add_argument("--output", type=Path, help="by default bench/results/SUITE.json")
    options = parser.parse_args()
    suite = options.suite or ("" if options.quick else "cpu")
    output = options.output or RESULTS / f"{suite}.json"
    load, source = os.getloadavg()[0], commit()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        code = run_pytest(suite, options.pattern, options.quick, raw)
        if code == pytest_found_nothing():
            print(f"no bench matches {options.pattern!r}", file=sys.stderr)
        if code:
            return code
        if options.quick:
            return 0
        benches = reduced(json.loads(raw.read_text())["benchmarks"])
    for bench in benches:
        bench["commit"] = source
    kept = earlier(output) if options.pattern else []
    ran = {bench["group"] for bench in benches}
    benches = [bench for bench in kept if bench["group"] not in ran] + benches
    benches.sort(key=lambda bench: (bench["group"], bench["role"] != "ours", bench["name"]))
    result = {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(load),
        "versions": versions(),
        "benches": benches,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(benches))
    return 0


def run_pytest(suite: str, pattern: str, quick: bool, raw: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini"), "-q", "-rs"]
    command.append(str(HERE / (SUITES.get(suite) or "")))
    if suite == "cpu":
        command += [f"--ignore={HERE / file}" for file in SUITES.values() if file]
    if pattern:
        command += ["-k", pattern]
    if quick:
        command += ["--quick", "--benchmark-disable-gc", "--benchmark-columns=median"]
    else:
        command += [f"--benchmark-json={raw}", "--benchmark-columns=min,median,rounds"]
    return subprocess.run(command, check=False, cwd=HERE.parent).returncode


def pytest_found_nothing() -> int:
    return 5


def reduced(raw: list[Bench]) -> list[Bench]:
    """Return per bench its median, minimum and rounds, its facts, and ratios within its group."""
    benches = []
    for entry in raw:
        extra = entry["extra_info"]
        times = [extra["reported_s"]] if "reported_s" in extra else entry["stats"]["data"]
        bench: Bench = {
            "group": entry["group"],
            "name": extra.get("program") or name_of(entry["name"]),
            "role": extra["role"],
            "n_threads": extra["n_threads"],
            "median_s": statistics.median(times),
            "min_s": min(times),
            "rounds": len(times),
        }
        if extra.get("times", 1) != 1:
            bench["times"] = extra["times"]
        if "floors_s" in extra:
            ratios = [time / floor for time, floor in zip(times, extra["floors_s"], strict=True)]
            bench["floor_s"] = statistics.median(extra["floors_s"])
            bench["per_floor"] = round(statistics.median(ratios), 3)
            bench["per_floor_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
        said = {key: value for key, value in extra.items() if key not in CONSUMED}
        benches.append(bench | said | extra.get("later", {}))
    for group in {bench["group"] for bench in benches}:
        add_ratios([bench for bench in benches if bench["group"] == group])
    return benches


def name_of(test: str) -> str:
    """Return what a bench is called when it does not say."""
    name = test.removeprefix("test_").partition("[")[0]
    if test.endswith("]") and "expert" in test:
        return name + " (expert)"
    return name + (" (product formed)" if "product_formed" in test else "")


def add_ratios(group: list[Bench]) -> None:
    """Say how many floors each bench takes, and how many of ours each rival takes."""
    floors = [bench["median_s"] for bench in group if bench["role"] == "floor"]
    floors = floors or [bench["floor_s"] for bench in group if "floor_s" in bench]
    ours = [bench for bench in group if bench["role"] == "ours"]
    for bench in group:
        total = bench["median_s"] * bench.get("times", 1)
        if floors and bench["role"] != "floor" and "per_floor" not in bench:
            bench["per_floor"] = round(total / min(floors), 3)
        if bench["role"] == "rival":
            bench["per_ours"] = {own["name"]: round(total / own["median_s"], 3) for own in ours}


def earlier(path: Path) -> list[Bench]:
    if not path.exists():
        return []
    benches: list[Bench] = json.loads(path.read_text())["benches"]
    return benches


def commit() -> str:
    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", *arguments], cwd=HERE, check=False, capture_output=True, text=True
        )
        return found.stdout.strip()

    head = git("rev-parse", "--short", "HEAD") or "unknown"
    if git("status", "--porcelain", "--", "../csrc", "../python", "."):
        head += " with changes"
    return head + ("" if installed_is_tree() else "; the installed package differs from it")


def installed_is_tree() -> bool:
    """Return whether the Python files that run are those beside the benches."""
    spec = importlib.util.find_spec("consilience")
    if spec is None or spec.origin is None:
        return False
    tree, installed = HERE.parent / "python" / "consilience", Path(spec.origin).parent
    return all(
        (installed / path.relative_to(tree)).is_file()
        and (installed / path.relative_to(tree)).read_bytes() == path.read_bytes()
        for path in tree.rglob("*.py")
    )


def machine(load: float) -> dict[str, Any]:
    """Return the processor, its cores, the memory, and how busy it was before the run."""
    return {
        "processor": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(load, 2),
    }


def cpu_model() -> str:
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        lines = cpu.read_text().splitlines()
        facts = dict(line.partition(":")[::2] for line in lines if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        family = "family {} model {}".format(facts.get("cpu family"), facts.get("model"))
        return f"{facts.get('model name', platform.machine())} ({family})"
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def table(benches: list[Bench]) -> str:
    lines = []
    previous = None
    for bench in benches:
        if bench["group"] != previous:
            previous = bench["group"]
            lines.append(f"\n{previous}")
        total = bench["median_s"] * bench.get("times", 1)
        seconds = f"{total:10.4f} s" + (f" ({bench['times']} x)" if "times" in bench else "")
        floor = f"{bench['per_floor']:8.2f} floors" if "per_floor" in bench else ""
        ratios = bench.get("per_ours", {})
        ours = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in ratios.items())
        if "recall" in bench:
            ours += f", recall {bench['recall']:.4f}"
        lines.append(f"  {bench['role']:6}{bench['name']:42}{seconds:24}{floor:18}{ours}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
