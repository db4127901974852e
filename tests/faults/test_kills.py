"""Killed at any instant, a run goes on where it was and comes to the same digits."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from consilience.study.result import Part
from faults.cases import Case, make_plan, stored, studied
from faults.harness import DIE_AFTER, DIE_BEFORE, RENAME, SYNC, Fault
from faults.scenes import BATCH

# `make faults` asks for more than the suite has time for: random instants, and all places.
ASKED = os.environ.get("CONSILIENCE_FAULTS")
INSTANTS = int(ASKED or 24)
SHARES = {"embed": 0.4, "write": 0.2, "study": 0.4}
PLACES = 6


@pytest.fixture(scope="module")
def cases(engine, sequences, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    old = folder / "old"
    assert engine.run("write", sequences, old).code == 0
    plan = make_plan(folder / "given", sequences)
    made = {
        "embed": Case(engine, "embed", sequences, stored),
        "write": Case(engine, "write", sequences, stored, before=old),
        "study": Case(engine, "study", plan, studied),
    }
    return {name: case.undisturbed(folder / name) for name, case in made.items()}


def asked(ended):
    """Return how many samples the model was asked for."""
    counts = (line.split()[1] for line in ended.output.splitlines() if line.startswith("asked "))
    return sum(map(int, counts))


def check_nothing_twice(case, folder, killed, before, again):
    """At most the batch under way is made again, and no finished part."""
    if case.scene == "embed" and before is None:
        total = len(case.expected[0])
        assert asked(again) <= total - max(0, asked(killed) - BATCH)
    if case.scene == "study":
        for part in before:
            assert f"samples of {part}" not in again.output
        if any(line.startswith('"  embedded/random: ') for line in killed.output.splitlines()):
            assert "embedding:" not in again.output


def finished(case, folder):
    """Return the store that was finished, or the names of the parts that were."""
    if case.scene != "study":
        try:
            return stored(folder)
        except (FileNotFoundError, ValueError):
            return None
    found = []
    for name in ("given", "embedded"):
        try:
            found.append(Part.load(folder, name).name)
        except (FileNotFoundError, ValueError):
            pass
    return found


def resumes_after(case, folder, **fault):
    killed = case.run(case.fresh(folder), **fault)
    before = finished(case, folder)
    if case.before is not None:
        assert before == stored(case.before) or before == case.expected
    again = case.check_resumes(folder)
    check_nothing_twice(case, folder, killed, before, again)
    return killed


@pytest.mark.parametrize("scene", SHARES)
def test_killed_at_random_instants(cases, tmp_path, scene):
    case = cases[scene]
    draw = random.Random(scene)
    count = round(INSTANTS * SHARES[scene])
    codes = Counter(
        resumes_after(case, tmp_path / "run", kill_at=draw.uniform(0, case.seconds)).code
        for _ in range(count)
    )
    assert codes[-signal.SIGKILL] >= count * 0.5, codes


@pytest.mark.parametrize("scene", SHARES)
@pytest.mark.parametrize("action", [DIE_BEFORE, DIE_AFTER], ids=["before", "after"])
def test_killed_at_every_sync_and_rename(cases, tmp_path, scene, action):
    case = cases[scene]
    places = range(sum(kind in ("sync", "rename") for kind, *_ in case.trace))
    assert len(places) > PLACES
    if not ASKED:
        places = sorted(random.Random(f"{scene}{action}").sample(places, PLACES))
    for at in places:
        killed = resumes_after(case, tmp_path / "run", fault=Fault(SYNC | RENAME, action, at))
        assert killed.code == -signal.SIGKILL, f"place {at}: {killed.output}"
