"""Write docs/scaling.md's tables from bench/results/dask.json: what was measured, what follows.

`python scripts/scaling_model.py` writes them; with --check it fails if the page is out of date.

The model: a search of M models for all neighbours is M steps that overlap; a step is m equal
tasks. A task takes what every stripe pays (rounding all rows, choosing axes), what its rows cost,
both proportional to n, and the measured overhead of a task. W workers take ceil(M m / W) rounds of
them. The process that asks reads and joins every result by itself: those of a model while workers
are at the next one's, the last model's after the last round.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from metric_tables import filled, table

from consilience.backends.striped._plan import TASK_SECONDS, stripes_of

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = "docs/scaling.md", "bench/results/dask.json"
NOT_YET = "Not measured yet."
OPS = ("knn_exact", "rank_counts", "moments", "pair_terms")
STEPS = ("steps after each other", "steps overlapping")
WORKERS = (1, 2, 4, 8, 16, 32, 64)
MODELS, WIDTH = 4, 256
SAMPLES = (200_000, 1_000_000)
Bench = dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """Seconds, as measured.

    stripe, row : of a stripe for itself, and of each of its rows, at n samples
    overhead : of a task, beyond its own time, where one worker has it done
    joining : of a byte of results, to read and join; size : bytes of a row's result
    """

    n: int
    stripe: float
    row: float
    overhead: float
    joining: float
    size: float

    @classmethod
    def of(cls, benches: list[Bench]) -> Costs:
        """Return the costs that the benches tell."""
        short, long = sorted(
            (one for one in benches if one["group"].startswith("a stripe of")),
            key=lambda one: int(one["rows"]),
        )
        row = (long["min_s"] - short["min_s"]) / (long["rows"] - short["rows"])
        here = entry(benches, "knn_exact", "tasks, here")
        size = here["n_tasks"] * here["task_bytes"] / here["n"]
        return cls(
            n=long["n"],
            stripe=max(0.0, short["min_s"] - row * short["rows"]),
            row=row,
            overhead=overhead(named(benches, "overhead of tasks", "tasks, 1 worker")),
            joining=max(0.0, here["median_s"] - here["tasks_s"]) / (size * here["n"]),
            size=size,
        )

    def search(self, n: int, tasks: int, workers: int, models: int = 1) -> float:
        """Return the seconds that `models` searches take."""
        scale = n / self.n
        task = scale * (self.stripe + self.row * n / tasks) + self.overhead
        joined = self.joining * self.size * n
        worked = math.ceil(models * tasks / workers) * task
        return max(worked, (models - 1) * joined) + joined


def overhead(bench: Bench) -> float:
    """Return the seconds of a task that are not the task's own."""
    return float((bench["median_s"] - bench["tasks_s"]) / bench["n_tasks"])


def named(benches: list[Bench], group: str, name: str) -> Bench:
    """Return one bench."""
    return next(b for b in benches if b["group"].startswith(group) and b["name"] == name)


def entry(benches: list[Bench], op: str, name: str) -> Bench:
    """Return the bench of an op by some workers."""
    return named(benches, f"scaling out {op} ", name)


def measured(benches: list[Bench]) -> str:
    """Return the table of the same plans here and on workers."""
    rows = []
    there = {one["group"].removeprefix("scaling out ").partition(" ")[0] for one in benches}
    for op in (op for op in OPS if op in there):
        uncut, here, one, two = (
            entry(benches, op, name)
            for name in ("uncut", "tasks, here", "tasks, 1 worker", "tasks, 2 workers")
        )
        rows.append(
            (
                op,
                f"{uncut['n']:,}",
                str(here["n_tasks"]),
                f"{here['task_s']:.2f}",
                f"{here['task_bytes'] / 1e6:.1f}",
                *(f"{bench['median_s']:.2f}" for bench in (uncut, here, one, two)),
                f"{one['median_s'] / two['median_s']:.2f}",
            )
        )
    head = ("op", "n", "tasks", "s each", "MB each")
    return table((*head, "uncut, s", "here, s", "1 worker, s", "2 workers, s", "gain of 2"), rows)


def steps(benches: list[Bench]) -> str:
    """Return what two workers do with a comparison whose steps follow each other, or overlap."""
    rows = []
    for name in STEPS:
        one = named(benches, "a comparison of", name)
        at_work = one["tasks_s"] / one["median_s"]
        idle = f"{1.0 - at_work / one['workers']:.0%}"
        took, tasks = f"{one['median_s']:.1f}", str(one["n_tasks"])
        rows.append((name.removeprefix("steps "), tasks, took, f"{at_work:.2f}", idle))
    return table(("steps", "tasks", "s", "workers at work, mean", "time without a task"), rows)


def overheads(benches: list[Bench]) -> str:
    """Return what a task costs beside its own time."""
    rows = [
        (name.removeprefix("tasks, "), str(one["n_tasks"]), f"{1000 * overhead(one):.0f}")
        for name in ("tasks, here", "tasks, 1 worker", "tasks, 2 workers")
        for one in [named(benches, "overhead of tasks", name)]
    ]
    return table(("who", "tasks", "overhead of a task, ms"), rows)


def model(benches: list[Bench]) -> str:
    """Return the modelled times of a search of four models, and the model beside measurements."""
    costs = Costs.of(benches)
    rows = []
    for workers in WORKERS:
        cells = [str(workers)]
        for n in SAMPLES:
            tasks = _tasks(n)
            alone, many = (costs.search(n, tasks, w, MODELS) for w in (1, workers))
            cells += [_time(many), f"{alone / many:.1f}", f"{alone / many / workers:.0%}"]
        rows.append(tuple(cells))
    head = ["workers"]
    for n in SAMPLES:
        head += [f"n = {n:,}", "speed-up", "efficiency"]
    checks = []
    for workers, name in ((1, "tasks, 1 worker"), (2, "tasks, 2 workers")):
        found = entry(benches, "knn_exact", name)
        expected = costs.search(found["n"], found["n_tasks"], workers)
        checks.append(
            f"{name.removeprefix('tasks, ')} {expected:.1f} s for {found['median_s']:.1f} s"
        )
    said = ", ".join(f"{_tasks(n)} tasks a model at n = {n:,}" for n in SAMPLES)
    return (
        f"{table(tuple(head), rows)}\n\n{said}. What the model says of the runs that were "
        f"measured: {'; '.join(checks)}."
    )


def _tasks(n: int) -> int:
    cut = {"seconds": TASK_SECONDS, "rows": None, "symmetric": True}
    return len(stripes_of("knn_exact", n, 2.0 * n * n * WIDTH, **cut))


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


TABLES = {"measured": measured, "steps": steps, "overhead": overheads, "model": model}


def page(root: Path = ROOT) -> str:
    """Return docs/scaling.md as the results have it."""
    text = (root / PAGE).read_text(encoding="utf-8")
    path = root / RESULTS
    benches = json.loads(path.read_text(encoding="utf-8"))["benches"] if path.exists() else None
    for marker, make in TABLES.items():
        text = filled(text, marker, NOT_YET if benches is None else make(benches), where=PAGE)
    return text


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args(arguments).check
    after, path = page(root), root / PAGE
    if path.read_text(encoding="utf-8") == after:
        return 0
    if check:
        sys.stderr.write(f"out of date: {PAGE}; run `python scripts/scaling_model.py`\n")
        return 1
    path.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
