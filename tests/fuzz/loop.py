"""Fuzzing without a library: seeded mutations of good inputs, in a process that may die of one.

A target takes bytes and returns quietly, or raises what it must not. What ends a process or
raises is written to `tests/fuzz/found`, to become a regression input once it is mended.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType

from malformed.mutations import mutations

HERE = Path(__file__).resolve().parent
FOUND, REGRESSIONS = HERE / "found", HERE / "regressions"
SECONDS_FOR_ONE = 20

Target = Callable[[bytes], None]


def run_loop(name: str, target: Target, seeds: list[bytes], seconds: float, seed: int) -> int:
    """Mutate inputs until the time is over; return how many were tried."""
    rng, start, tried = random.Random(seed), time.monotonic(), 0
    FOUND.mkdir(exist_ok=True)
    last = FOUND / f"{name}.last"
    while time.monotonic() - start < seconds:
        content = rng.choice(seeds)
        for _ in range(rng.choice((1, 1, 2, 4))):
            content = [c for _, c in mutations(content or b"\0", rng.getrandbits(32), 11)][-1]
        last.write_bytes(content)
        faulthandler.dump_traceback_later(SECONDS_FOR_ONE, exit=True)
        try:
            target(content)
        except Exception:
            kept = FOUND / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
            kept.write_bytes(content)
            sys.stderr.write(f"{name}: {kept}\n")
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        tried += 1
    last.unlink(missing_ok=True)
    return tried


def run_atheris(name: str, target: Target, seeds: list[bytes], seconds: float) -> None:
    """Let atheris find inputs by coverage; does not return."""
    import atheris

    corpus = FOUND / f"corpus-{name}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = (f"-max_total_time={int(seconds)}", "-max_len=65536", f"-timeout={SECONDS_FOR_ONE}")
    options += ("-rss_limit_mb=2048", f"-artifact_prefix={FOUND}/{name}-", "-verbosity=0")
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    ours = ("consilience.store", "consilience.study", "consilience._files", "zipfile")
    for called, module in list(sys.modules.items()):
        if called.startswith(ours):
            for thing in vars(module).values():
                if isinstance(thing, FunctionType) and thing.__module__ == called:
                    atheris.instrument_func(thing)
    atheris.Fuzz()


def main(targets: Mapping[str, Callable[[], tuple[Target, list[bytes]]]]) -> None:
    """Fuzz the targets named on the command line (all by default), one after the other."""
    words = argparse.ArgumentParser()
    words.add_argument("names", nargs="*", help=f"of {', '.join(targets)}; all by default")
    words.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--atheris", action="store_true", help="one target, led by coverage")
    asked = words.parse_args()
    names = asked.names or list(targets)
    for name in names:
        target, seeds = targets[name]()
        seeds = seeds + [path.read_bytes() for path in sorted(REGRESSIONS.glob(f"{name}-*"))]
        if asked.atheris:
            run_atheris(name, target, seeds, asked.seconds)
        try:
            tried = run_loop(name, target, seeds, asked.seconds / len(names), asked.seed)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        sys.stdout.write(f"{name}: {tried} inputs\n")
