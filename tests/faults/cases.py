"""Scenes with what they leave when nothing disturbs them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from consilience import store
from consilience.study._score_file import encode_scores
from consilience.study.result import StudyResult
from faults.harness import Engine, listing


@dataclass
class Case:
    """A scene, its input, and the state before and after an undisturbed run."""

    engine: Engine
    scene: str
    given: Path
    answer: Callable[[Path], Any]
    before: Path | None = None  # a folder that the scene finds there
    files: set[str] = field(default_factory=set)
    expected: Any = None
    seconds: float = 0.0
    trace: list[list[str]] = field(default_factory=list)

    def undisturbed(self, folder):
        """Run once, and keep what came of it."""
        ended = self.run(self.fresh(folder))
        assert ended.code == 0, ended.output
        self.files, self.expected = listing(folder), self.answer(folder)
        self.seconds, self.trace = ended.seconds, ended.trace
        return self

    def fresh(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        if self.before is None:
            folder.mkdir()
        else:
            shutil.copytree(self.before, folder)
        return folder

    def run(self, folder, *, below=None, **how):
        """Run the scene; calls are counted in its folder, or below another."""
        return self.engine.run(self.scene, self.given, folder, folder=below or folder, **how)

    def hit(self, count, number, seed, folder):
        """Yield runs that were hit by a signal, each at a random instant, until there are so many.

        The folder is fresh before each; a run that was faster than its instant is not yielded.
        """
        draw = random.Random(f"{self.scene} {number} {seed}")
        hits = 0
        for _ in range(20 * count):
            instant = draw.uniform(0, self.seconds)
            ended = self.run(self.fresh(folder), kill_at=instant, number=number)
            if ended.code == 0:
                self.seconds = min(self.seconds, ended.seconds)
                continue
            yield ended
            hits += 1
            if hits == count:
                return
        raise AssertionError(f"{hits} of {count} signals hit {self.scene}")

    def check_resumes(self, folder):
        """Run again without faults: the same digits, the same files, and nothing beside them."""
        ended = self.run(folder)
        assert ended.code == 0, ended.output
        assert self.answer(folder) == self.expected
        assert listing(folder) == self.files
        for manifest in folder.rglob("manifest.json"):
            assert store.problems(manifest.parent) == []  # files that no manifest names, too
        return ended


def stored(folder):
    """Return ids and bytes of a finished store, checksums compared."""
    found = store.open(folder)
    if not found.complete:
        raise ValueError(found.unfinished)
    found.verify()
    outputs = {name: found.output(name).tobytes() for name in found.manifest.outputs}
    return found.ids, found.array().tobytes(), outputs


def studied(folder):
    """Return all that a study found, without times."""
    result = StudyResult.load(folder)
    return [
        {
            "scores": [encode_scores(scores) for scores in part.matrix.scores.values()],
            "names": part.matrix.names,
            "analyses": part.analyses,
            "answers": part.answers,
            "notes": part.notes,
        }
        for part in result.parts
    ]


def make_plans(folder, data, embedded=None):
    """Write stores of one data set, and plans with and without a model that is to be run."""
    folder.mkdir()
    ids = [line[1:] for line in data.read_text().splitlines() if line.startswith(">")]
    shared = np.random.default_rng(99).standard_normal((len(ids), 4))
    given = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rows = np.hstack([shared, rng.standard_normal((len(ids), 3))]).astype(np.float32)
        order = rng.permutation(len(ids))
        batches = [([ids[i] for i in order], rows[order])]
        store.write(folder / f"m{seed}", batches, model=f"m{seed}", dataset={})
        facts = {"modality": "string" if seed % 2 else "graph", "architecture": f"net {seed // 2}"}
        given.append({"name": f"m{seed}", "store": str(folder / f"m{seed}"), "facts": facts})
    how = {
        "metrics": ["cknna", "distance_correlation"],
        "analyses": ["partition", "tree"],
    }
    embeds = {"data": f"fasta:{embedded or data}", "models": ["random", *given[:2]]}
    return (
        _plan(
            folder / "study.json",
            first={"models": given, **how},
            second={**how, "models": given[1:]},
        ),
        _plan(folder / "embedded.json", first={**embeds, **how}),
    )


def _plan(path, **parts):
    path.write_text(json.dumps({"title": "A study", "parts": parts}))
    return path
