"""Runs scenes in forks of itself, so that none pays for imports again.

Reads one JSON request a line and answers each with one line: a request to start with the id of a
process that leads a group of its own, one to wait with its exit code (negative: the signal), or
null if it runs on.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback

import scenes


def start(request):
    child = os.fork()
    if child:
        os.setpgid(child, child)  # here as well: the group may be killed at once
        return child
    code = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _redirect(request["output"])
        os.environ.update(request["environment"])
        if request["environment"]:
            ctypes.CDLL(None).faults_arm()
        scenes.SCENES[request["start"]](*request["arguments"])
        code = 0
    except SystemExit as left:
        code = left.code or 0
    except BaseException:
        traceback.print_exc()
        code = 71
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(output):
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, stream in ((nothing, 0), (opened, 1), (opened, 2)):
        os.dup2(source, stream)


def wait(pid, seconds):
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.001)


def _answer(answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    scenes.prepare()
    _answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        answer = start(request) if "start" in request else wait(request["wait"], request["seconds"])
        _answer(answer)


if __name__ == "__main__":
    main()
