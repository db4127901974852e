"""The main job: real models over molecules, materials and proteins, in one report."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from consilience.study.plan import StudyPlan, read_plan
from consilience.study.result import StudyResult
from consilience.study.run import WORKERS, run_study


def demo_plan() -> StudyPlan:
    """Return the plan of the demo, ``demo.yaml`` beside this file."""
    with resources.as_file(resources.files("consilience.study") / "demo.yaml") as path:
        return read_plan(path)


def run_demo(
    folder: str | Path = "demo",
    *,
    n: int | None = None,
    workers: int = WORKERS,
    device: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> StudyResult:
    """Run the demo in a folder, with at most n samples in every part.

    Raises
    ------
    ValueError, TypeError
        As `run_study`.
    """
    plan = demo_plan()
    plan = plan if n is None else plan.with_n(n)
    return run_study(plan, folder, workers=workers, device=device, say=say)
