"""Write the tables of metrics and presets into the documentation, from what is registered.

    python scripts/metric_tables.py            write them
    python scripts/metric_tables.py --check    fail if a file is out of date

A table goes between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``; README.md may have none.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from consilience.metrics import METRICS, PRESETS
from consilience.metrics._graph import SearchSettings
from consilience.metrics._kernel_settings import KernelSettings
from consilience.metrics._registry import Registered
from consilience.metrics._rows import RowSettings

ROOT = Path(__file__).resolve().parents[1]
INVARIANCES = {
    "translation": "shift",
    "rotation": "rotation",
    "isotropic_scaling": "scale",
    "feature_scaling": "scale of a feature",
}
BETWEEN = {"pair": "↔", "directed": "→", "single": "one set"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def bounds(metric: Registered) -> str:
    """Return the range of values, with its open ends open."""
    low, high = metric.bounds
    left = "(-∞" if low == -math.inf else f"[{low:g}"
    right = "∞)" if high == math.inf else f"{high:g}]"
    return f"{left}, {right}"


def unchanged_by(metric: Registered) -> str:
    """Return the changes of one set that leave the score as it is."""
    return ", ".join(word for name, word in INVARIANCES.items() if name in metric.invariant_to)


def measures(metric: Registered) -> str:
    """Return the summary without the full stop."""
    return metric.summary.removesuffix(".").replace("|", "\\|")


def searches(metric: Registered) -> str:
    """Return what may be had but exact neighbours and pairs of all rows."""
    settings = metric.settings_type()
    if isinstance(settings, KernelSettings):
        return "rows (RBF)"
    if not isinstance(settings, RowSettings):
        return ""
    words = {"rows": settings.why_all_rows}
    if isinstance(settings, SearchSettings):
        words["approx"] = settings.why_exact
    return ", ".join(word for word, why_not in words.items() if why_not is None)


def full_table() -> str:
    """Return one row per metric, with all its claims."""
    head = ("metric", "what it measures", "between", "range", "unchanged by", "null", "search")
    rows = [
        (
            f"`{name}`",
            measures(metric),
            BETWEEN[metric.kind],
            bounds(metric),
            unchanged_by(metric),
            metric.null,
            searches(metric),
        )
        for name, metric in sorted(METRICS.items())
    ]
    return table(head, rows)


def short_table() -> str:
    """Return one row per metric: its name, what it measures, its range."""
    rows = [(f"`{n}`", measures(m), bounds(m)) for n, m in sorted(METRICS.items())]
    return table(("metric", "what it measures", "range"), rows)


def preset_table() -> str:
    """Return one row per entry of every preset."""
    rows = [
        (f"`{preset}`", f"`{label}`", f"`{name}`", _settings(settings))
        for preset, entries in PRESETS.items()
        for label, name, settings in entries
    ]
    return table(("preset", "label", "metric", "settings"), rows)


def _settings(settings: dict[str, object]) -> str:
    return ", ".join(f"`{key}={value!r}`" for key, value in settings.items())


# file -> the tables it holds
TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "docs/metrics.md": {"metrics": full_table, "presets": preset_table},
    "README.md": {"metrics": short_table},
}
OPTIONAL = {"README.md"}


def filled(text: str, name: str, content: str, *, where: str) -> str:
    """Return `text` with `content` between the markers of `name`."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{where} must hold {begin} and {end} once each")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check all tables; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args(arguments).check
    stale = []
    for name, tables in TABLES.items():
        path = root / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if name in OPTIONAL and not any(f"<!-- {marker}:" in before for marker in tables):
            continue
        after = before
        for marker, make in tables.items():
            after = filled(after, marker, make(), where=name)
        if after == before:
            continue
        stale.append(name)
        if not check:
            path.write_text(after, encoding="utf-8")
    if check and stale:
        sys.stderr.write(
            f"out of date: {', '.join(stale)}; run `python scripts/metric_tables.py`\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
