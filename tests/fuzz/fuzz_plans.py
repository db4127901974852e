"""Plans of studies, score matrices and finished studies from mutated bytes.

python tests/fuzz/fuzz_plans.py [--seconds 60] [--atheris] [yaml json scores result]
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import consilience as cs
from consilience.study._score_file import digest, dumps
from consilience.study.plan import StudyPlan, read_plan
from consilience.study.result import RESULT, Part, StudyResult
from fuzz.loop import Target, main

BOMB = "a: &a [1, 1]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b]\n"
MERGE = "a: &a {x: 1}\nb: &b {<<: [*a, *a, *a, *a]}\nparts: {<<: [*b, *b, *b, *b]}\n"


def _judged(read: Callable[[Path], object], path: Path) -> None:
    """Raise if reading ends in anything but a value or a sentence that names the file."""
    try:
        read(path)
    except (ValueError, FileNotFoundError) as error:
        if path.parent.name not in str(error):
            raise AssertionError(f"does not name {path}: {error!r}") from error


def _target(read: Callable[[Path], object], name: str, seeds: list[bytes]):
    def made() -> tuple[Target, list[bytes]]:
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)

        def target(content: bytes) -> None:
            (folder / name).write_bytes(content)
            _judged(read, folder / name)

        return target, seeds

    return made


def _demo() -> bytes:
    return (resources.files("consilience.study") / "demo.yaml").read_bytes()


def _plan() -> bytes:
    body = {
        "title": "t",
        "parts": {
            "p": {
                "models": [{"store": "a"}, {"store": "b", "facts": {"family": "x"}}],
                "metrics": ["cka", {"mutual_knn": {"k": 5}}],
                "n": 20,
                "ks": [2, 5],
                "performance": {"label": "e", "values": {"a": 1.5, "b": 2}},
                "layers": [["a", "b"]],
            }
        },
        "regimes": [["p", "p"]],
    }
    StudyPlan.from_mapping(body)
    return json.dumps(body).encode()


def matrix() -> cs.ScoreMatrix:
    rng = np.random.default_rng(0)
    models = {name: rng.standard_normal((20, 3)) for name in "abc"}
    return cs.compare(models, ["cka", "twonn", "information_imbalance"], progress=False)


def _scores() -> tuple[Target, list[bytes]]:
    """Mutate the body of a score matrix under a checksum that is right."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = matrix().save(folder / "m.json")
    whole = json.loads(path.read_text())

    def target(content: bytes) -> None:
        path.write_bytes(content)
        _judged(cs.load, path)
        try:
            body = json.loads(content)["body"]
            signed = whole | {"body": body, "sha256": digest(dumps(body))}
            path.write_text(json.dumps(signed))
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        _judged(cs.load, path)

    return target, [json.dumps(whole).encode()]


def _result() -> tuple[Target, list[bytes]]:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found = matrix()
    part = Part("p", "t", "d", {}, found, tuple({"name": n, "baseline": False} for n in "abc"))
    StudyResult("t", "d", (part,)).save(folder)
    good = [(folder / name).read_bytes() for name in (RESULT, "p.part.json")]

    def target(content: bytes) -> None:
        for name, whole in zip((RESULT, "p.part.json"), good, strict=True):
            (folder / name).write_bytes(content)
            _judged(lambda path: StudyResult.load(path.parent), folder / name)
            (folder / name).write_bytes(whole)

    return target, good


TARGETS = {
    "yaml": _target(read_plan, "plan.yaml", [_demo(), _plan(), BOMB.encode(), MERGE.encode()]),
    "json": _target(read_plan, "plan.json", [_plan()]),
    "scores": _scores,
    "result": _result,
}

if __name__ == "__main__":
    main(TARGETS)
