"""A disk that is full or cannot be read or written: one sentence, and a run that can go on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess

import pytest

from faults.harness import DIE_AFTER, FAIL, READ, RENAME, SYNC, WRITE, Fault

PLACES = 6
MANY = 60
SMALL = 12 * 4096


def told(ended, folder):
    """Return the one line that a command ended with."""
    last = ended.output.strip().splitlines()[-1]
    assert "Traceback" not in ended.output
    assert str(folder) in last, ended.output
    return last


def places(count, every):
    """Return which of so many calls are tried: some from the first to the last."""
    assert count > 2
    most = min(count, MANY if every else PLACES)
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("scene", ["embed", "study by command"])
def test_a_write_that_fails_is_one_sentence_and_nothing_lost(cases, tmp_path, every, scene, error):
    case = cases[scene]
    kinds = ("write", "sync", "rename")
    for at in places(sum(kind in kinds for kind, *_ in case.trace), every):
        folder = case.fresh(tmp_path / "run")
        fault = Fault(WRITE | SYNC | RENAME, FAIL, at, error=error, lasting=True)
        ended = case.run(folder, fault=fault)
        assert ended.code == 1, f"call {at}: {ended.output}"
        assert os.strerror(error) in told(ended, folder)
        case.check_resumes(folder)


@pytest.mark.parametrize("scene", ["embed", "study by command"])
def test_a_read_that_fails_ends_in_a_sentence_or_the_right_digits(cases, tmp_path, every, scene):
    """Half of the work is there: what was written and what was given are read."""
    case = cases[scene]
    half = case.fresh(tmp_path / "half")
    n_syncs = sum(kind == "sync" for kind, *_ in case.trace)
    assert case.run(half, fault=Fault(SYNC, DIE_AFTER, n_syncs // 2)).code < 0
    below = {"embed": tmp_path, "study by command": case.given.parent}[scene]
    for place in (tmp_path, below) if below != tmp_path else (tmp_path,):
        count = case.run(copied(half, tmp_path / "run"), below=place, fault=Fault(READ)).calls
        for at in places(count, every):
            folder = copied(half, tmp_path / "run")
            fault = Fault(READ, FAIL, at, error=errno.EIO)
            ended = case.run(folder, below=place, fault=fault)
            if ended.code == 0:
                assert case.answer(folder) == case.expected
            else:
                assert os.strerror(errno.EIO) in told(ended, place)
                case.check_resumes(folder)


def copied(folder, to):
    shutil.rmtree(to, ignore_errors=True)
    return shutil.copytree(folder, to)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(cases, small_disk):
    case = cases["embed"]
    folder = small_disk / "run"
    folder.mkdir()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(SMALL - 5 * 4096))
    ended = case.run(folder)
    assert ended.code == 1, ended.output
    assert "No space left on device" in told(ended, folder)
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    case.check_resumes(folder)
