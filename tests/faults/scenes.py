"""What is killed: an embedding, a store being written, a study. Small, slow enough to be hit."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

import numpy as np

import consilience
from consilience import cli, models, store
from consilience.backends import striped
from consilience.models import from_function
from consilience.study import embed as embed_module
from consilience.study import run as run_module
from consilience.study.plan import read_plan
from consilience.study.run import run_study

BATCH = 6
WIDTH = 6


def prepare():
    """Import what commands import when they run, and know a model that takes its time."""
    rows = np.random.default_rng(0).standard_normal((40, 3))
    consilience.compare({"a": rows, "b": rows}, ["cka", "cknna"], n_threads=1)
    models.MODELS["slow"] = from_function(_slow, name="slow", width=WIDTH, column="sequence")
    run_module.KEPT_SAMPLES, striped.TASK_SECONDS = 0, 1e-6  # what is compared is kept, in stripes
    embed_module.Writer = functools.partial(store.Writer, seconds=0.0)  # a shard a batch


def _slow(sequences):
    """Count letters, and say that it was asked."""
    time.sleep(0.003)
    os.write(1, f"asked {len(sequences)}\n".encode())
    return np.array([[s.count(c) / 7 for c in "ACDEFG"] for s in sequences], np.float32)


def embed(data, folder):
    arguments = ["--model", "slow", "--data", f"fasta:{data}", "--batch-size", str(BATCH)]
    cli.main(["embed", *arguments, "-o", folder, "--overwrite"])


def write(data, folder):
    """Replace a store by one with outputs, of several shards."""

    def batches():
        for i in range(12):
            rows = np.random.default_rng(i).standard_normal((40, 8))
            time.sleep(0.002)
            yield [f"s{i}-{j}" for j in range(40)], rows, {"energy_ev": rows[:, 0]}

    store.write(folder, batches(), model="m", dataset={}, shard_bytes=4096, overwrite=True)


def study(plan, folder):
    run_study(read_plan(Path(plan)), folder, workers=1, report=False, say=_say)


def study_report(plan, folder):
    run_study(read_plan(Path(plan)), folder, workers=1, say=_say)


def study_by_command(plan, folder):
    run_module.run_study = functools.partial(run_study, report=False)
    cli.main(["study", "run", plan, "-o", folder, "--workers", "1"])


def _say(line):
    os.write(1, f"{line}\n".encode())


SCENES = {f.__name__: f for f in (embed, write, study, study_report, study_by_command)}
