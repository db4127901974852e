"""Runs a scene, disturbs it at a place or an instant, and says what it left.

A scene writes below one folder. `shim.c` stands before the file calls of the C library there, in
the process and in its children, so every write, sync, rename, removal and read has a number.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
WRITE, SYNC, RENAME, READ, REMOVE = 1, 2, 4, 8, 16
DIE_BEFORE, DIE_AFTER, FAIL = 1, 2, 3
SECONDS = 60.0


@dataclass(frozen=True)
class Fault:
    """The `at`-th call of some kinds dies or fails; with `lasting`, all that follow fail too."""

    kinds: int
    action: int = 0
    at: int = -1
    error: int = errno.ENOSPC
    lasting: bool = False


COUNTED = Fault(WRITE | SYNC | RENAME | REMOVE)


@dataclass
class Ended:
    """How a scene ended: exit code (negative: the signal), its words, its counted calls."""

    code: int
    output: str
    calls: int = 0
    seconds: float = 0.0
    trace: list[list[str]] = field(default_factory=list)


def build_shim(folder):
    """Compile the shim and return its path, or None without a compiler for Linux."""
    target = Path(folder) / "shim.so"
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", target, HERE / "shim.c", "-ldl"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return target


class Engine:
    """A server of scenes in one scratch folder."""

    def __init__(self, scratch, shim):
        self.scratch = Path(scratch)
        self.number = 0
        self.server = subprocess.Popen(
            [sys.executable, HERE / "server.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_PRELOAD": str(shim), "OPENBLAS_NUM_THREADS": "1"},
        )
        assert json.loads(self.server.stdout.readline()) == "ready"

    def close(self):
        self.server.stdin.close()
        self.server.wait(SECONDS)
        self.server.stdout.close()

    def ask(self, **request):
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(self, scene, *arguments, folder=None, fault=None):
        """Start a scene and return it; `folder` is where its calls are counted."""
        self.number += 1
        place = self.scratch / f"run-{self.number}"
        environment = {}
        if folder is not None:
            fault = fault or COUNTED
            environment = {
                "FAULTS_FOLDER": str(folder),
                "FAULTS_COUNTER": f"{place}.counter",
                "FAULTS_TRACE": f"{place}.trace",
                "FAULTS_KINDS": str(fault.kinds),
                "FAULTS_ACTION": str(fault.action),
                "FAULTS_AT": str(fault.at),
                "FAULTS_ERROR": str(fault.error),
                "FAULTS_LASTING": str(int(fault.lasting)),
            }
        output = f"{place}.output"
        Path(output).touch()  # it may be killed before it says anything
        words = [str(argument) for argument in arguments]
        pid = self.ask(start=scene, arguments=words, environment=environment, output=output)
        return Running(self, pid, place)

    def run(self, scene, *arguments, folder=None, fault=None, kill_at=None, number=signal.SIGKILL):
        """Run a scene to its end, or signal its group after `kill_at` seconds."""
        running = self.start(scene, *arguments, folder=folder, fault=fault)
        if kill_at is not None:
            time.sleep(kill_at)
            running.signal(number)
        return running.wait()


@dataclass
class Running:
    """A scene under way."""

    engine: Engine
    pid: int
    place: Path
    started: float = field(default_factory=time.perf_counter)

    def signal(self, number):
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(self.pid, number)

    def wait(self):
        code = self.engine.ask(wait=self.pid, seconds=SECONDS)
        seconds = time.perf_counter() - self.started
        if code is None:
            self.signal(signal.SIGKILL)
            raise TimeoutError(f"a scene ran for {SECONDS} s:\n{self.output()}")
        counter, trace = self.place.with_suffix(".counter"), self.place.with_suffix(".trace")
        calls = int.from_bytes(counter.read_bytes(), sys.byteorder) if counter.exists() else 0
        lines = trace.read_text().splitlines() if trace.exists() else []
        return Ended(code, self.output(), calls, seconds, [line.split("\t") for line in lines])

    def output(self):
        return self.place.with_suffix(".output").read_text()


def listing(folder):
    """Return the names of all files below a folder; what is random in them is made equal."""
    return {
        re.sub(r"-[0-9a-f]{8}-\d{5}\b", "-TOKEN", str(path.relative_to(folder)))
        for path in Path(folder).rglob("*")
        if path.is_file()
    }
