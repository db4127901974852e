"""Killed at any instant, a run goes on where it was and comes to the same digits."""

from __future__ import annotations

import random
import re
import signal

import pytest

from consilience.study.result import Part
from faults.cases import stored
from faults.harness import DIE_AFTER, DIE_BEFORE, RENAME, SYNC, Fault
from faults.scenes import BATCH

SHARES = {"embed": 0.35, "write": 0.2, "study": 0.3, "study that embeds": 0.15}
PLACES = {"embed": 6, "write": 6, "study": 4, "study that embeds": 2}


def asked(ended):
    """Return how many samples the model was asked for."""
    counts = (line.split()[1] for line in ended.output.splitlines() if line.startswith("asked "))
    return sum(map(int, counts))


def check_nothing_twice(case, killed, before, again):
    """At most the batch under way is made again, no finished part and no finished task."""
    if case.scene == "embed" and before is None:
        total = len(case.expected[0])
        assert asked(again) <= total - max(0, asked(killed) - BATCH)
    if case.scene == "study":
        parts, tasks = before
        for part in parts:
            assert f"samples of {part}" not in again.output
        assert not tasks & {to for what, _, to in again.trace if what == "rename"}
        if re.search(r"  first/random: [\d.]+ s", killed.output):
            assert "embedding:" not in again.output


def finished(case, folder):
    """Return the store that was finished, or the parts and the records of tasks that were."""
    if case.scene != "study":
        return _whole(stored, folder)
    parts = [name for name in ("first", "second") if _whole(Part.load, folder, name)]
    return parts, {str(path) for path in folder.glob("terms/*/results/*.json")}


def _whole(load, *place):
    try:
        return load(*place)
    except (FileNotFoundError, ValueError):
        return None


def check_resumes(case, folder, killed):
    before = finished(case, folder)
    if case.before is not None:
        assert before == stored(case.before) or before == case.expected
    check_nothing_twice(case, killed, before, case.check_resumes(folder))


@pytest.mark.parametrize("scene", SHARES)
def test_killed_at_random_instants(cases, tmp_path, instants, scene):
    case, folder = cases[scene], tmp_path / "run"
    for killed in case.hit(round(instants * SHARES[scene]), signal.SIGKILL, scene, folder):
        assert killed.code == -signal.SIGKILL, killed.output
        check_resumes(case, folder, killed)


@pytest.mark.parametrize("scene", SHARES)
@pytest.mark.parametrize("action", [DIE_BEFORE, DIE_AFTER], ids=["before", "after"])
def test_killed_at_every_sync_and_rename(cases, tmp_path, every, scene, action):
    case = cases[scene]
    places = range(sum(kind in ("sync", "rename") for kind, *_ in case.trace))
    assert len(places) > PLACES[scene]
    if not every:
        places = sorted(random.Random(f"{scene}{action}").sample(places, PLACES[scene]))
    for at in places:
        folder = case.fresh(tmp_path / "run")
        killed = case.run(folder, fault=Fault(SYNC | RENAME, action, at))
        assert killed.code == -signal.SIGKILL, f"place {at}: {killed.output}"
        check_resumes(case, folder, killed)
