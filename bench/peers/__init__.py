"""Other programs' way to do the works of `works.py`; a program is one file here.

`@rival(work, program)` registers a function of (*sets, n_threads) that returns the answer of that
work. Every file of this folder whose name has no underscore in front, bar the bench, is found.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RIVALS: list[Rival] = []


@dataclass(frozen=True)
class Reported:
    """An answer with the seconds that another process measured itself."""

    answer: Any
    seconds: float


@dataclass(frozen=True)
class Rival:
    """One program at one work.

    needs : module without which it is skipped, or a function that returns why it cannot run.
    at_target : also raced at the size of the target, not only at that of the peers.
    compiles : takes a minute to compile itself at the first call: left out of quick runs.
    expected : (*sets) -> its answer, where its definition is another one than ours.
    """

    work: str
    program: str
    run: Callable[..., Any]
    needs: str | Callable[[], str | None]
    at_target: bool = False
    compiles: bool = False
    expected: Callable[..., Any] | None = None

    def missing(self) -> str | None:
        """Return why it cannot run here, or None."""
        if callable(self.needs):
            return self.needs()
        try:
            importlib.import_module(self.needs)
        except ImportError as error:
            return f"{self.program}: {error}"
        return None


def rival(work: str, program: str, **facts: Any) -> Callable[[Any], Any]:
    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        RIVALS.append(Rival(work, program, run, **facts))
        return run

    return register


for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    if not _file.startswith(("_", "bench_")):
        importlib.import_module(f"{__name__}.{_file}")
