"""Write docs/performance.md's tables and figures from bench/results/*.json.

`python scripts/performance_page.py` writes them; with --check it fails if a file is out of date.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from metric_tables import filled, table
from plots import Series, log_log

ROOT = Path(__file__).resolve().parents[1]
PAGE, README, FIGURES = "docs/performance.md", "README.md", "docs/figures"
NOT_YET = "Not measured yet."
AIMS = {"median_s": "{} s", "peak_mib": "{} MiB", "per_floor": "{} floors"}
Bench = dict[str, Any]
Results = dict[str, Any]


def read(root: Path) -> Results:
    """Return what each suite has written, by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((root / "bench/results").glob("*.json"))
        if path.stem != "gpu"  # told in docs/gpu.md
    }


def benches(results: Results, suite: str) -> list[Bench]:
    """Return the entries of a suite; none if it has not run."""
    found: list[Bench] = results.get(suite, {}).get("benches", [])
    return found


def seconds(bench: Bench) -> str:
    """Return the time of a bench, of all the times it stands for."""
    return f"{bench['median_s'] * bench.get('times', 1):.3g}"


def machine(results: Results) -> str:
    """Return where and with what each suite was measured."""
    rows = []
    for suite, result in results.items():
        if "machine" not in result:
            continue
        at = result["machine"]
        commits = sorted({bench.get("commit", "unknown") for bench in result["benches"]})
        rows.append(
            (
                suite,
                result["created"][:10],
                f"{at['processor']}, {at['cores']} cores",
                str(at["load_before"]),
                ", ".join(commits),
            )
        )
    return table(("suite", "day", "machine", "load before", "commit"), rows) if rows else NOT_YET


# ---- targets -------------------------------------------------------------------------------


def verdict(ratio: float, limit: float) -> str:
    """Return whether a ratio keeps a limit, and by how much it misses it."""
    if ratio != ratio:
        return "not compared"
    return "met" if ratio <= limit else f"missed by {100 * (ratio / limit - 1):.0f} %"


def targets(results: Results) -> str:
    """Return one row per target: its limit, what was measured, and the rivals beside it."""
    rows = []
    every = benches(results, "cpu")
    for bench in every:
        if "target" not in bench or bench["role"] != "ours":
            continue
        rivals = [b for b in every if b["group"] == bench["group"] and b["role"] == "rival"]
        limit = bench.get("limit")
        against = limit_of(bench, rivals)
        rows.append(
            (
                bench["group"].removesuffix(", 2 threads"),
                "-" if limit is None else f"≤ {limit:g} {against[0]}",
                f"{against[1]:.2f}{recall_cell(bench)}",
                "-" if limit is None else verdict(against[1], limit),
                ", ".join(rival_cell(r) for r in rivals) or "-",
            )
        )
    head = ("work", "target", "measured", "verdict", "others, in floors")
    return table(head, rows) if rows else NOT_YET


def limit_of(bench: Bench, rivals: list[Bench]) -> tuple[str, float]:
    """Return the unit of a target's limit and what was measured in it: floors, or a rival."""
    if not bench.get("limit_is_of"):
        return "floors", float(bench["per_floor"])
    named = [r for r in rivals if r["name"] == bench["limit_is_of"]]
    if not named:
        return f"× {bench['limit_is_of']}, which did not run", float("nan")
    return f"× {bench['limit_is_of']}", bench["median_s"] / named[0]["median_s"]


def rival_cell(bench: Bench) -> str:
    """Return a rival with its floors, its recall and what it says of itself."""
    note = f" ({bench['note']})" if "note" in bench else ""
    time = f"{bench['per_floor']:.2f}" if "per_floor" in bench else f"{seconds(bench)} s"
    return f"{bench['name']} {time}{recall_cell(bench)}{note}"


def recall_cell(bench: Bench) -> str:
    """Return the recall in brackets, of what has one."""
    return f" (recall {bench['recall']:.3f})" if "recall" in bench else ""


def data(results: Results) -> str:
    """Return the real sets that were measured on, with their checksums."""
    sets = {b["data"]: b for b in benches(results, "cpu") if "data" in b and b["role"] == "ours"}
    rows = [
        (f"`{name}`", " × ".join(map(str, b["shape"])), f"`{b['sha256'][:16]}`")
        for name, b in sets.items()
    ]
    return table(("set", "shape", "sha256 of the rows"), rows) if rows else NOT_YET


def peers(results: Results) -> str:
    """Return all programs at all works, slowest last within a work."""
    rows = []
    every = benches(results, "peers")
    for ours in (b for b in every if b["role"] == "ours"):
        group = [b for b in every if b["group"] == ours["group"]]
        for bench in sorted(group, key=lambda b: b["median_s"]):
            recall = f"{bench['recall']:.3f}" if "recall" in bench else ""
            name = f"**{bench['name']}**" if bench is ours else bench["name"]
            rows.append(
                (
                    ours["group"].removesuffix(", 2 threads"),
                    name,
                    seconds(bench),
                    f"{bench['median_s'] / ours['median_s']:.2f}",
                    f"{bench['per_floor']:.2f}",
                    recall,
                )
            )
    return (
        table(("work", "program", "seconds", "× ours", "floors", "recall"), rows)
        if rows
        else NOT_YET
    )


def memory(results: Results) -> str:
    """Return the peak above the inputs of every metric."""
    rows = [
        (
            f"`{b['name']}`",
            f"{b['n']:,}",
            f"{b['peak_mib']:.0f} MiB",
            verdict(b["peak_mib"], b["limit_mib"]),
            seconds(b),
        )
        for b in benches(results, "memory")
    ]
    head = ("metric", "n", "peak above the inputs", "target 1 GiB", "seconds")
    return table(head, rows) if rows else NOT_YET


def million(results: Results) -> str:
    """Return what a million samples take, and whether that is what was aimed at."""
    rows = []
    for b in benches(results, "million"):
        name = b["group"].rpartition(", ")[0]
        floors = "–" if "per_floor" not in b else f"{b['per_floor']:.2f}"
        peak = f"{b['peak_mib']:,} MiB" if "peak_mib" in b else "–"
        aims = [
            f"{AIMS[key].format(limit)}: {verdict(b[key], limit)}"
            for key, limit in b["aims"].items()
        ]
        label = f"{name}: {b['name']}" if "limit_mib" in b else name
        rows.append((label, seconds(b), floors, peak, "; ".join(aims)))
    head = ("work", "seconds", "floors", "peak memory", "target")
    return table(head, rows) if rows else NOT_YET


def million_in_short(results: Results) -> str:
    """Return what the study of a million samples takes, in a few sentences."""
    entries = {b["group"].partition(" ")[0]: b for b in benches(results, "million")}
    if not {"study", "Dask,", "moments"} <= set(entries):
        return NOT_YET
    study, workers, moments = entries["study"], entries["Dask,"], entries["moments"]
    where = "[docs/performance.md](docs/performance.md#a-million-samples)"
    return (
        f"On two cores: {study['median_s'] / 60:.0f} minutes and "
        f"{study['peak_mib'] / 1024:.1f} GiB at most, page and figures included; by two workers "
        f"{workers['median_s'] / 60:.0f} minutes. The moments of all pairs alone take "
        f"{moments['median_s']:.0f} s, {moments['per_floor']:.2f} of the float64 products that "
        f"they consist of. {where}"
    )


def instructions(results: Results) -> str:
    """Return the instruction counts of the kernels."""
    found = results.get("instructions")
    if not found:
        return NOT_YET
    rows = [(f"`{name}`", f"{count / 1e6:,.1f}") for name, count in found["instructions"].items()]
    return f"{found['what']}:\n\n" + table(("kernel", "million instructions"), rows)


# ---- scaling and roofline --------------------------------------------------------------------


def by_op(results: Results) -> dict[str, list[Bench]]:
    """Return the entries on two threads of every op, by n."""
    found: dict[str, list[Bench]] = {}
    for bench in benches(results, "scaling"):
        if bench["n_threads"] == 2:
            found.setdefault(bench["name"], []).append(bench)
    return {name: sorted(group, key=lambda b: b["n"]) for name, group in found.items()}


def exponent(group: list[Bench]) -> float:
    """Return the slope of log time on log n, by least squares over all sizes."""
    n, s = (np.log([b[key] for b in group]) for key in ("n", "min_s"))
    return float(np.polyfit(n, s, 1)[0])


def speedup(results: Results, name: str) -> str:
    """Return how much faster two threads are than one, where both were measured."""
    timed = {
        (b["n"], b["n_threads"]): b["min_s"]
        for b in benches(results, "scaling")
        if b["name"] == name
    }
    both = [(one / timed[n, 2]) for (n, threads), one in timed.items() if threads == 1]
    return f"{both[0]:.2f}" if both else "-"


def scaling(results: Results) -> str:
    """Return the fitted exponents and the gain of a second thread."""
    rows = [
        (
            name,
            f"{group[0]['n']:,} to {group[-1]['n']:,}",
            f"{group[0]['expected']:g}",
            f"{exponent(group):.2f}",
            seconds(group[-1]),
            speedup(results, name),
        )
        for name, group in by_op(results).items()
        if len(group) > 1
    ]
    head = ("op", "n", "exponent expected", "fitted", "seconds at the largest", "two threads / one")
    return table(head, rows) if rows else NOT_YET


def scaling_figure(results: Results) -> str:
    """Return time against n, a line for every op."""
    return log_log(
        [
            Series(name, [(b["n"], b["min_s"]) for b in group], line=True)
            for name, group in by_op(results).items()
        ],
        x="samples",
        y="seconds, two threads",
        title="Time against the number of samples, d = 256",
    )


def roofs(results: Results) -> dict[str, float]:
    """Return the measured peaks: GFLOP/s of the products, GB/s of a copy."""
    return {
        b["name"]: b.get("flops", b.get("bytes")) / b["min_s"] / 1e9
        for b in benches(results, "cpu")
        if b["role"] == "peak"
    }


def kernels(results: Results) -> list[tuple[str, float, float]]:
    """Return name, flops per byte and GFLOP/s of every kernel of the roofline."""
    return [
        (b["name"], b["flops"] / b["bytes"], b["flops"] / b["min_s"] / 1e9)
        for b in benches(results, "cpu")
        if b["group"].startswith("roofline") and b["role"] == "ours"
    ]


def roofline(results: Results) -> str:
    """Return what each kernel achieves of what this machine can do."""
    found = roofs(results)
    if not {"sgemm", "dgemm", "copy"} <= set(found):
        return NOT_YET
    rows = [
        (
            f"`{name}`",
            f"{intensity:.3g}",
            f"{rate:.3g}",
            f"{100 * rate / min(found['sgemm'], intensity * found['copy']):.0f} %",
        )
        for name, intensity, rate in kernels(results)
    ]
    peaks = (
        f"One thread: sgemm {found['sgemm']:.0f} and dgemm {found['dgemm']:.0f} GFLOP/s, "
        f"copy {found['copy']:.1f} GB/s."
    )
    return f"{peaks}\n\n" + table(("kernel", "flop per byte", "GFLOP/s", "of its roof"), rows)


def roofline_figure(results: Results) -> str:
    """Return the kernels under the roofs of this machine."""
    found = roofs(results)
    series = []
    if {"sgemm", "dgemm", "copy"} <= set(found):
        for product in ("sgemm", "dgemm"):
            knee = found[product] / found["copy"]
            ends = [(0.01, 0.01 * found["copy"]), (knee, found[product]), (1e5, found[product])]
            series.append(Series(f"roof, {product}", ends, line=True, marks=False))
        series += [Series(name, [(x, y)]) for name, x, y in kernels(results)]
    return log_log(
        series,
        x="flop per byte that must move",
        y="GFLOP/s, one thread",
        title="Achieved against sgemm, dgemm and copy of the same run",
    )


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": machine,
    "targets": targets,
    "data": data,
    "peers": peers,
    "scaling": scaling,
    "roofline": roofline,
    "memory": memory,
    "million": million,
    "instructions": instructions,
}
DRAWN: dict[str, Callable[[Results], str]] = {
    "scaling": scaling_figure,
    "roofline": roofline_figure,
}


def made(root: Path) -> dict[str, str]:
    """Return the content of every file that the results determine."""
    results = read(root)
    page = (root / PAGE).read_text(encoding="utf-8")
    for marker, make in TABLES.items():
        page = filled(page, marker, make(results), where=PAGE)
    figures = {f"{FIGURES}/{name}.svg": draw(results) for name, draw in DRAWN.items()}
    readme = root / README
    short = {}
    if readme.exists():
        text = readme.read_text(encoding="utf-8")
        short[README] = filled(text, "million", million_in_short(results), where=README)
    return {PAGE: page, **short, **figures}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check the page and its figures; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args(arguments).check
    stale = []
    for name, content in made(root).items():
        path = root / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    if check and stale:
        sys.stderr.write(
            f"out of date: {', '.join(stale)}; run `python scripts/performance_page.py`\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
