"""Ctrl-C and the end of a parent: one line, exit code 130, no process left, and a run goes on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from faults.harness import WRITE, Fault


@pytest.mark.parametrize("scene", ["embed", "study by command"])
def test_ctrl_c_is_one_line_and_the_run_goes_on(cases, tmp_path, instants, scene):
    case, folder = cases[scene], tmp_path / "run"
    for ended in case.hit(max(3, instants // 10), signal.SIGINT, scene, folder):
        assert ended.code == 130, ended.output
        said = ended.output.strip().splitlines()[-1]
        assert said.startswith("Interrupted; what is finished is kept"), ended.output
        assert "Traceback" not in ended.output
        case.check_resumes(folder)


@pytest.mark.parametrize("scene", ["embed", "study by command"])
def test_a_polite_end_leaves_what_can_be_gone_on_with(cases, tmp_path, instants, scene):
    case, folder = cases[scene], tmp_path / "run"
    for ended in case.hit(max(3, instants // 10), signal.SIGTERM, scene, folder):
        assert ended.code in (-signal.SIGTERM, 128 + signal.SIGTERM), ended.output
        case.check_resumes(folder)


def test_no_child_outlives_a_killed_parent(cases, tmp_path):
    """Its child would hold the store that the next run wants to write."""
    case = cases["long study"]
    folder = tmp_path / "run"
    folder.mkdir()
    running = case.engine.start(case.scene, case.given, folder, folder=folder, fault=Fault(WRITE))
    lock = folder / "embeddings" / "first" / "random" / ".lock"
    _until(lock.exists)
    os.kill(running.pid, signal.SIGKILL)  # alone, as the system does when memory is short
    assert running.wait().code == -signal.SIGKILL
    case.check_resumes(folder)
    _until(lambda: not _group_lives(running.pid))


def _group_lives(pid):
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(condition, seconds=20.0):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError
