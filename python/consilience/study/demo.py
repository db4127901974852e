"""The main job: many real models over the same molecules, compared in one report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from consilience import store
from consilience.datasets import find_dataset, missing
from consilience.models import MODELS, Model, available, find_model
from consilience.models import OFFLINE as OFFLINE_VARIABLES
from consilience.store import StoredEmbeddings
from consilience.study.embed import find_cached
from consilience.study.score_matrix import ScoreMatrix

DATASET = "qm9"
PRESET = "matter"
TITLE = "Do models of matter agree about molecules?"
WORKERS = 2
# More threads than cores slow small models down by far more than they help.
ENVIRONMENT = {
    **OFFLINE_VARIABLES,
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What came of one model: a store, or the reason why there is none."""

    model: Model
    stored: StoredEmbeddings | None
    reason: str = ""
    cached: bool = False


def run_demo(
    folder: str | Path = "demo",
    *,
    n: int = 500,
    seed: int = 0,
    models: Iterable[str] | None = None,
    workers: int = WORKERS,
    say: Say = lambda line: None,
) -> ScoreMatrix:
    """Embed a sample of QM9 with every model that can run, compare all, write a report.

    Parameters
    ----------
    folder : path
        Where matrix.json and report.html go, and under embeddings/ what can be reused.
    n, seed : int
        How many molecules, and which.
    models : iterable of str, optional
        Names of models; all by default.
    workers : int
        Models that run at a time, each in a process of its own with one thread.
    say : callable
        Told one line at a time what happens.

    Returns
    -------
    ScoreMatrix

    Raises
    ------
    ValueError
        If the dataset is not installed, a model is unknown, or fewer than two models ran.
    """
    folder = Path(folder)
    if n < 8:
        raise ValueError(f"`n` must be at least 8 molecules, got {n}")
    if sentence := missing(find_dataset(DATASET)):
        raise ValueError(sentence)
    chosen = [find_model(name) for name in (MODELS if models is None else models)]
    say(f"embedding {n} molecules of {DATASET} with {len(chosen)} models")
    outcomes = _embed_all(chosen, folder / "embeddings", n=n, seed=seed, workers=workers, say=say)
    done = [outcome for outcome in outcomes if outcome.stored is not None]
    if len(done) < 2:
        reasons = "; ".join(outcome.reason for outcome in outcomes if outcome.reason)
        raise ValueError(f"a comparison needs two models, {len(done)} ran: {reasons}")
    ids, arrays = store.align([o.stored for o in done if o.stored is not None])
    say(f"comparing {len(arrays)} models over {len(ids)} molecules")
    names = [outcome.model.name for outcome in done]
    matrix, notes = _compare(dict(zip(names, arrays, strict=True)))
    matrix.save(folder / "matrix.json")
    _write_report(matrix, folder / "report.html", outcomes, notes=notes, n=n, seed=seed)
    say(f"wrote {folder / 'matrix.json'} and {folder / 'report.html'}")
    return matrix


@dataclass
class _Job:
    """One model in a process of its own."""

    model: Model
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    log_path: Path


def _embed_all(
    models: Sequence[Model], folder: Path, *, n: int, seed: int, workers: int, say: Say
) -> list[Outcome]:
    """Run every model that is not cached, longest first, so that the last ones are short."""
    outcomes: dict[str, Outcome] = {}
    waiting: list[Model] = []
    for model in models:
        path = folder / model.name
        if cached := find_cached(model.name, DATASET, path, n=n, seed=seed):
            outcomes[model.name] = Outcome(model, cached, cached=True)
            say(f"  {model.name}: reused from {path}")
        elif sentence := available(model):
            outcomes[model.name] = Outcome(model, None, sentence)
            say(f"  {model.name}: skipped, {sentence}")
        else:
            waiting.append(model)
    waiting.sort(key=lambda model: -model.seconds_per_1k)
    for outcome in _run(waiting, folder, n=n, seed=seed, workers=workers):
        outcomes[outcome.model.name] = outcome
        say(f"  {outcome.model.name}: {_status(outcome)}")
    return [outcomes[model.name] for model in models]


def _run(
    waiting: list[Model], folder: Path, *, n: int, seed: int, workers: int
) -> Iterable[Outcome]:
    running: list[_Job] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(0), folder, n, seed))
            ended = [job for job in running if job.process.poll() is not None]
            for job in ended:
                running.remove(job)
                job.log.close()
                yield _outcome(job, folder, n, seed)
            if not ended:
                time.sleep(0.05)
    finally:
        for job in running:
            job.process.terminate()
            job.process.wait()
            job.log.close()


def _start(model: Model, folder: Path, n: int, seed: int) -> _Job:
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / f"{model.name}.log"
    command = [sys.executable, "-m", "consilience", "embed", "--overwrite"]
    command += ["--model", model.name, "--data", DATASET, "--n", str(n), "--seed", str(seed)]
    command += ["-o", str(folder / model.name)]
    log = log_path.open("wb")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **ENVIRONMENT},
    )
    return _Job(model, process, log, log_path)


def _outcome(job: _Job, folder: Path, n: int, seed: int) -> Outcome:
    if job.process.returncode == 0:
        stored = find_cached(job.model.name, DATASET, folder / job.model.name, n=n, seed=seed)
        if stored is not None:
            return Outcome(job.model, stored)
    return Outcome(job.model, None, _reason(job))


def _reason(job: _Job) -> str:
    """Return the last thing the process said; a process that was killed says nothing."""
    lines = job.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    code = job.process.returncode
    if code < 0:
        return f"{job.model.name} was ended by signal {-code}"
    if not lines:
        return f"{job.model.name} ended with code {code} and said nothing"
    return lines[-1].removeprefix("Error: ")


def _compare(embeddings: dict[str, Any]) -> tuple[ScoreMatrix, list[str]]:
    """Compare with the preset; a metric that needs more molecules becomes a note."""
    from consilience import compare

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left out is in the provenance too
        matrix = compare(embeddings, preset=PRESET, progress=True)
    skipped = matrix.provenance["skipped"]
    return matrix, [f"{label} was left out: {reason}." for label, reason in skipped.items()]


def _write_report(
    matrix: ScoreMatrix,
    path: Path,
    outcomes: Sequence[Outcome],
    *,
    notes: list[str],
    n: int,
    seed: int,
) -> None:
    from consilience.report import write_report

    data = find_dataset(DATASET)
    intro = (
        f"{n} molecules drawn from QM9 with seed {seed} ({data.citation}; {data.package}). "
        "Every model saw the same molecules: as canonical SMILES, as graphs made from them, or "
        "as B3LYP geometries. An embedding is the last hidden layer before the readout, "
        "averaged over atoms or tokens."
    )
    skipped = [f"{o.model.name} was skipped: {o.reason}." for o in outcomes if not o.stored]
    write_report(
        matrix,
        path,
        title=TITLE,
        models=[_model_facts(outcome) for outcome in outcomes if outcome.stored],
        runs=[_run_facts(outcome) for outcome in outcomes],
        notes=[intro, *notes, *skipped],
    )


def _model_facts(outcome: Outcome) -> dict[str, Any]:
    model = outcome.model
    return {
        "name": model.name,
        "baseline": model.modality == "baseline",
        "modality": model.modality,
        "family": model.family,
        "what it is": model.summary,
        "width": model.width,
        "package": model.package,
        "licence": model.license,
    }


def _run_facts(outcome: Outcome) -> dict[str, Any]:
    extra = outcome.stored.manifest.extra if outcome.stored else {}
    return {
        "model": outcome.model.name,
        "seconds": extra.get("seconds"),
        "status": _status(outcome),
    }


def _status(outcome: Outcome) -> str:
    if outcome.stored is None:
        return f"skipped: {outcome.reason}"
    if outcome.cached:
        return "reused"
    return f"done in {outcome.stored.manifest.extra['seconds']:.1f} s"
