"""Kill a writer again and again, and see what is left each time.

``python crashes.py steps|kills FOLDER BEFORE`` says how often a writer died and how often it left
some of its rows, or fails with what was wrong.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from consilience import store
from consilience.store.files import load_manifest
from consilience.store.folders import LocalFolder
from consilience.store.manifest import UNFINISHED
from consilience.store.opening import open_manifest

N, WIDTH = 3, 700
ROWS = np.random.default_rng(0).standard_normal((N, WIDTH)).astype(np.float32)
ENERGIES = np.arange(N) / 3
IDS = tuple(f"s{i}" for i in range(N))


def write(folder: Path) -> None:
    """Write what is not there yet, one shard a row; rows do not end on a page."""
    about = {"model": "m", "dataset": {"name": "d"}, "planned": N, "overwrite": True}
    with store.Writer(folder, seconds=0.0, **about) as writer:
        for i, sample in enumerate(IDS):
            if sample not in writer.ids:
                row = slice(i, i + 1)
                writer.append(IDS[row], ROWS[row], {"energy_ev": ENERGIES[row]})


def write_old(folder: Path) -> None:
    batch = (["old"], np.ones((1, 3)))
    store.write(folder, [batch], model="m", dataset={"name": "before"})


def in_child(do: Callable[[], None], after: float | None = None) -> bool:
    """Run in a process of its own, killed after so many seconds; return whether it ended well."""
    child = os.fork()
    if not child:
        do()
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return status == 0


def dying(folder: Path, step: int) -> None:
    """Write, and end at the given fsync or rename as when the power goes."""
    left = step

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object, **options: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            real(*arguments, **options)

        return call

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)
    write(folder)


def check_what_is_left(folder: Path, least: int, *, old: bool) -> int:
    """Return how many new rows are there; whatever opens must be whole."""
    try:
        found = store.open(folder)
    except FileNotFoundError:
        assert not old
        assert not list(folder.glob("manifest*"))
        return 0
    found.verify()
    if found.ids == ("old",):
        assert found.complete
        inside = LocalFolder(folder)
        if not inside.has(UNFINISHED):
            return 0
        found = open_manifest(inside, load_manifest(inside, UNFINISHED))
        found.verify()
    n = len(found.ids)
    assert n >= least, f"{n} rows of {least} that were there"
    assert found.ids == IDS[:n]
    assert found.complete or found.unfinished
    assert found.array().tobytes() == ROWS[:n].tobytes()
    if n:
        assert found.output("energy_ev").tobytes() == ENERGIES[:n].tobytes()
    return n


def check_finished(folder: Path) -> None:
    found = store.open(folder)
    assert found.complete
    assert found.ids == IDS
    assert found.array().tobytes() == ROWS.tobytes()
    assert found.output("energy_ev").tobytes() == ENERGIES.tobytes()
    assert store.problems(folder) == []
    assert len(found.manifest.shards) == 1


def steps(folder: Path, old: bool) -> tuple[int, int]:
    """Let a writer die at its first step, another at its second, and so on; each is resumed."""
    step = partial = 0
    while True:
        if old:
            write_old(folder)
        finished = in_child(functools.partial(dying, folder, step))
        n = check_what_is_left(folder, 0, old=old)
        partial += 0 < n < N
        if not finished:
            assert in_child(lambda: write(folder))
        check_finished(folder)
        if finished:
            return step, partial
        shutil.rmtree(folder)
        step += 1


def kills(folder: Path, old: bool) -> tuple[int, int]:
    """Kill writers of a folder at random instants until one gets through; 20 deaths at least."""
    instants = random.Random(0)
    started = time.perf_counter()
    write(folder)
    longest = 1.2 * (time.perf_counter() - started)
    deaths = partial = 0
    while deaths < 20 or partial < 5:
        assert deaths < 1000, f"{partial} of {deaths} deaths left some rows"
        shutil.rmtree(folder)
        if old:
            write_old(folder)
        n = 0
        while not in_child(lambda: write(folder), instants.uniform(0, longest)):
            deaths += 1
            n = check_what_is_left(folder, n, old=old)
            partial += 0 < n < N
            if n == N:
                assert in_child(lambda: write(folder))
                break
        check_finished(folder)
    return deaths, partial


if __name__ == "__main__":
    how, path, before = sys.argv[1:]
    run = {"steps": steps, "kills": kills}[how]
    print(*run(Path(path), before == "a store"))  # noqa: T201
