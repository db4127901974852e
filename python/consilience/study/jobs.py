"""Models in processes of their own, a few at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from consilience.models import OFFLINE

# More threads than cores slow small models down by far more than they help.
ENVIRONMENT = {
    **OFFLINE,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
# Set for a child whose standard input is a pipe that ends with its parent.
WATCHED = "CONSILIENCE_ENDS_WITH_STDIN"
SECONDS = 0.05
GRACE = 10.0  # seconds that a model has to end


@dataclass(frozen=True)
class Job:
    """A command of Consilience, and where its words go."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    cost: float = 0.0
    python: str = ""


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]


def run_jobs(jobs: Sequence[Job], *, workers: int, ended: Callable[[Job, str], None]) -> None:
    """Run every job, the longest first, so that the last ones are short.

    Parameters
    ----------
    jobs : sequence of Job
    workers : int
        Processes at a time, each with one thread.
    ended : callable
        Told of each job as it ends, with the reason if it failed, else "".
    """
    waiting = sorted(jobs, key=lambda job: -job.cost)
    running: list[_Running] = []
    with _terminated_as_exit():
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.append(_start(waiting.pop(0)))
                over = [r for r in running if r.process.poll() is not None]
                for one in over:
                    running.remove(one)
                    _close(one)
                    ended(one.job, _reason(one))
                if not over:
                    time.sleep(SECONDS)
        finally:
            for one in running:
                one.process.terminate()
            for one in running:
                _wait(one.process)
                _close(one)


def end_with_parent() -> None:
    """Let this process end as soon as the one that runs it as a job is gone, however it went."""
    if os.environ.pop(WATCHED, ""):
        threading.Thread(target=_end_after_input, daemon=True).start()


def _end_after_input() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was asked to end, and end it if it does not."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that no child outlives us."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(job: Job) -> _Running:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    log = job.log.open("wb")
    process = subprocess.Popen(
        [job.python or sys.executable, "-m", "consilience", *job.arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT, WATCHED: "1"},
    )
    return _Running(job, process, log)


def _close(one: _Running) -> None:
    one.log.close()
    if one.process.stdin is not None:
        one.process.stdin.close()


def _reason(one: _Running) -> str:
    """Return the last thing the process said; a process that was killed says nothing."""
    code = one.process.returncode
    if code == 0:
        return ""
    if code < 0:
        return f"{one.job.name} was ended by signal {-code}"
    lines = one.job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines:
        return f"{one.job.name} ended with code {code} and said nothing"
    return lines[-1].removeprefix("Error: ")
