"""Running a work: ours beside its floor, and rivals on the same data, answers asserted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import real_data
from works import WORKS, Work

from consilience.backends.native import NativeBackend
from peers import RIVALS, Rival

QUICK_SAMPLES = 1_000
WARM_SAMPLES = 2_000


def entries(*, target: bool) -> list[Any]:
    """Return the pairs of a work and a rival that are raced at that size, as parameters."""
    return [
        pytest.param(work, rival, id=f"{work.name}-{rival.program}")
        for work in WORKS
        for rival in RIVALS
        if work.stem == rival.work and (rival.at_target if target else work.peers_n)
    ]


def group(work: Work, n: int, sets: tuple[Any, ...]) -> str:
    widths = "/".join(dict.fromkeys(str(X.shape[1]) for X in sets))
    settings = "".join(f" {name}={value}" for name, value in work.settings.items())
    return f"{work.name} n={n} d={widths}{settings}"


def prepared(work: Work, n: int, quick: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the sets of a work and what a result must say of them; skip if there are none."""
    if not hasattr(NativeBackend, work.op):
        pytest.skip(f"this build has no {work.op}")
    try:
        sets = work.inputs(min(n, QUICK_SAMPLES) if quick else n)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return sets, real_data.facts(work.data, sets[0]) if work.data else {}


@functools.lru_cache(maxsize=1)
def _answer(work_name: str, n: int, n_threads: int) -> Any:
    work = next(work for work in WORKS if work.name == work_name)
    return work.ours(*work.inputs(n), n_threads=n_threads)


def ours(work: Work, n: int, n_threads: int, timed: Callable[..., Any], quick: bool) -> None:
    sets, data = prepared(work, n, quick)
    facts: dict[str, Any] = {}
    answer = timed(
        "ours",
        group(work, len(sets[0]), sets),
        lambda: work.ours(*sets, n_threads=n_threads),
        n_threads=n_threads,
        rounds=work.rounds,
        warmup=work.rounds > 2,
        beside=work.floor and work.floor(*sets),
        program="consilience",
        target=work.name,
        limit=work.limit,
        limit_is_of=work.limit_is_of,
        n=len(sets[0]),
        later=facts,
        **data,
    )
    facts |= work.check(answer, *sets) or {}


def theirs(
    work: Work, rival: Rival, n: int, n_threads: int, timed: Callable[..., Any], quick: bool
) -> None:
    missing = f"{rival.program} compiles too long" if quick and rival.compiles else rival.missing()
    if missing:
        pytest.skip(missing)
    sets, data = prepared(work, n, quick)
    # Compilers that run at the first call (numba) have had it before the clock starts.
    rival.run(*(X[:WARM_SAMPLES] for X in sets), n_threads=n_threads)
    facts: dict[str, Any] = {}
    found = timed(
        "rival",
        group(work, len(sets[0]), sets),
        lambda: rival.run(*sets, n_threads=n_threads),
        n_threads=n_threads,
        rounds=1,
        warmup=False,
        program=rival.program,
        later=facts,
        **data,
    )
    if rival.expected is not None:
        np.testing.assert_allclose(found, rival.expected(*sets), rtol=1e-3)
        return
    ours = _answer(work.name, len(sets[0]), n_threads) if work.floor else None
    facts |= work.agree(found, ours, *sets)
