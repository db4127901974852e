"""Two processes that write in one place: the second is told so, or both end right."""

from __future__ import annotations

import errno
import fcntl
import os
import signal

import pytest

from consilience._files import exclusive
from faults.harness import DIE_AFTER, WRITE, Fault


@pytest.mark.parametrize("scene", ["embed", "study by command"])
def test_the_second_process_is_told_or_both_end_right(cases, tmp_path, scene):
    case = cases[scene]
    folder = case.fresh(tmp_path / "run")
    both = [case.engine.start(case.scene, case.given, folder) for _ in range(2)]
    ended = [one.wait() for one in both]
    assert 0 in [one.code for one in ended]
    for one in ended:
        assert one.code in (0, 1), one.output
        if one.code:
            assert f"another process is writing in {folder}; wait until it ends" in one.output
    case.check_resumes(folder)


def test_a_lock_that_is_held_is_one_sentence(cases, tmp_path):
    case = cases["embed"]
    folder = case.fresh(tmp_path / "run")
    with exclusive(folder):
        ended = case.run(folder)
    assert ended.code == 1
    assert "another process is writing in" in ended.output.splitlines()[-1]
    case.check_resumes(folder)


def test_the_lock_of_a_killed_process_is_no_obstacle(cases, tmp_path):
    case = cases["embed"]
    folder = case.fresh(tmp_path / "run")
    ended = case.run(folder, fault=Fault(WRITE, DIE_AFTER, 1))
    assert ended.code == -signal.SIGKILL
    assert (folder / ".lock").exists()
    case.check_resumes(folder)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, code):
    def flock(file, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    sentence = "its file system has no locks; choose a folder"
    with pytest.raises(OSError, match=sentence) as caught, exclusive(tmp_path):
        pass
    assert not isinstance(caught.value, FileExistsError)
    assert str(tmp_path) in str(caught.value)
