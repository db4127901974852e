"""Embedding for a study: what is there already, what must be made, and what came of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience import store
from consilience.models import available, find_model
from consilience.store import StoredEmbeddings
from consilience.study.embed import find_cached, open_layers
from consilience.study.jobs import Job, run_jobs
from consilience.study.plan import ModelPlan, PartPlan, StudyPlan

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What came of one model of a part: a store, or the reason why there is none."""

    plan: ModelPlan
    stored: StoredEmbeddings | None = None
    reason: str = ""
    reused: bool = False
    layers: dict[str, StoredEmbeddings] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """What to tell a reader."""
        if self.stored is None:
            return f"skipped: {self.reason}"
        if self.plan.store:
            return "given"
        return "reused" if self.reused else f"{self.stored.manifest.extra['seconds']:.1f} s"


def _folder_of(part: PartPlan, model: ModelPlan, folder: Path) -> Path:
    return folder / "embeddings" / part.name / model.name


def _layers_folder(part: PartPlan, name: str, folder: Path) -> Path:
    return folder / "layers" / part.name / name


def outcomes_of(part: PartPlan, folder: Path, say: Say) -> list[Outcome]:
    """Return what is there already, and what can be known not to run."""
    outcomes = []
    for model in part.models:
        outcome = Outcome(model)
        if model.store:
            given = store.open(model.store)
            if given.complete:
                outcome.stored = given
            else:
                outcome.reason = f"{given.path} is unfinished: {given.unfinished}"
                say(f"  {part.name}/{model.name}: skipped, {outcome.reason}")
        elif found := _cached(part, model, folder):
            outcome.stored, outcome.reused = found, True
        elif not model.python and (sentence := available(find_model(model.model))):
            outcome.reason = sentence
            say(f"  {part.name}/{model.name}: skipped, {sentence}")
        outcomes.append(outcome)
    return outcomes


def _cached(part: PartPlan, model: ModelPlan, folder: Path) -> StoredEmbeddings | None:
    path = _folder_of(part, model, folder)
    how = {"layer": model.layer, "pooling": model.pooling}
    return find_cached(model.model, part.data, path, n=part.n, seed=part.seed, **how)


def embed_missing(
    plan: StudyPlan, folder: Path, outcomes: Mapping[str, list[Outcome]], workers: int, say: Say
) -> None:
    """Embed what is not there, every model in a process of its own."""
    jobs: dict[str, tuple[PartPlan, Outcome]] = {}
    queue = []
    for part in plan.parts:
        for outcome in outcomes[part.name]:
            if outcome.stored is None and not outcome.reason:
                job = _job(part, outcome.plan, folder)
                jobs[job.name] = (part, outcome)
                queue.append(job)
    layer_jobs = _layer_jobs(plan, folder, outcomes)
    if queue:
        say(f"embedding: {len(queue)} models, {workers} at a time")

    def ended(job: Job, reason: str) -> None:
        if job.name not in jobs:
            say(f"  {job.name}: {reason or 'done'}")
            return
        part, outcome = jobs[job.name]
        if not reason:
            outcome.stored = _cached(part, outcome.plan, folder)
            reason = "" if outcome.stored else f"{job.name} wrote no store"
        outcome.reason = reason
        say(f"  {job.name}: {outcome.status}")

    run_jobs([*queue, *layer_jobs], workers=workers, ended=ended)


def _job(part: PartPlan, model: ModelPlan, folder: Path) -> Job:
    path = _folder_of(part, model, folder)
    arguments = [*_embed_arguments(part, model), "-o", str(path)]
    if model.layer:
        arguments += ["--layer", model.layer]
    cost = (find_model(model.model).seconds_per_1k or 0.0) * (part.n or 1000)
    log = path.with_suffix(path.suffix + ".log")
    return Job(f"{part.name}/{model.name}", tuple(arguments), log, cost, model.python)


def _embed_arguments(part: PartPlan, model: ModelPlan) -> list[str]:
    arguments = ["embed", "--overwrite", "--model", model.model, "--data", part.data]
    arguments += ["--seed", str(part.seed)]
    if part.n is not None:
        arguments += ["--n", str(part.n)]
    if model.pooling:
        arguments += ["--pooling", model.pooling]
    if model.batch_size is not None:
        arguments += ["--batch-size", str(model.batch_size)]
    return arguments


def _layer_jobs(plan: StudyPlan, folder: Path, outcomes: Mapping[str, list[Outcome]]) -> list[Job]:
    jobs = []
    for part in plan.parts:
        ready = {o.plan.name: o.plan for o in outcomes[part.name] if not o.reason and o.plan.model}
        for name in dict.fromkeys(name for pair in part.layers for name in pair):
            path = _layers_folder(part, name, folder)
            few = _few(part)
            if name not in ready or _layers_there(few, ready[name], path):
                continue
            arguments = [*_embed_arguments(few, ready[name]), "--layer", "all", "-o", str(path)]
            log = path.with_suffix(path.suffix + ".log")
            cost = (find_model(ready[name].model).seconds_per_1k or 0.0) * (few.n or 1000)
            job_name = f"{part.name}/{name}, all layers"
            jobs.append(Job(job_name, tuple(arguments), log, cost, ready[name].python))
    return jobs


def _few(part: PartPlan) -> PartPlan:
    return replace(part, n=min(part.layer_samples, part.n or part.layer_samples))


def _layers_there(part: PartPlan, model: ModelPlan, path: Path) -> bool:
    try:
        found = open_layers(path)
    except (OSError, ValueError, KeyError):
        return False
    if not found:
        return False
    asked = {"n": part.n, "seed": part.seed, "name": part.data}
    made = next(iter(found.values())).manifest
    return made.model == find_model(model.model).name and asked.items() <= made.dataset.items()


def energies_of(outcomes: Sequence[Outcome], ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the total energies in eV that models predict, in the order of `ids`."""
    found = {}
    for outcome in outcomes:
        stored = outcome.stored
        if stored is None or "energy_ev" not in stored.manifest.outputs:
            continue
        place = {sample: i for i, sample in enumerate(stored.ids)}
        found[outcome.plan.name] = stored.output("energy_ev")[[place[s] for s in ids]]
    return found


def aligned_layers(
    plan: PartPlan, folder: Path, names: Sequence[str]
) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]]:
    """Return all layers of the pairs of models that the plan names, rows aligned."""
    found = {}
    for a, b in plan.layers:
        if a not in names or b not in names:
            continue
        both = [open_layers(_layers_folder(plan, name, folder)) for name in (a, b)]
        if not all(both):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", store.DroppedSamples)  # layers are of a few samples
            _, rows = store.align([*both[0].values(), *both[1].values()], how="inner")
        first = dict(zip(both[0], rows, strict=False))
        second = dict(zip(both[1], rows[len(both[0]) :], strict=True))
        found[a, b] = (first, second)
    return found


def model_facts(outcome: Outcome) -> dict[str, Any]:
    """Return what is known of a model that ran: registered facts, then those of the plan."""
    plan, stored = outcome.plan, outcome.stored
    assert stored is not None
    found = find_model(plan.model).facts() if plan.model else {}
    extra = stored.manifest.extra
    return {
        **found,
        **plan.facts,
        "name": plan.name,
        "baseline": (plan.facts or found).get("modality", found.get("modality")) == "baseline",
        "width": stored.shape[1],
        "n_samples": stored.shape[0],
        "seconds": extra.get("seconds"),
        "pooling": plan.pooling or found.get("pooling"),
        "layer": plan.layer,
    }


def run_facts(outcome: Outcome) -> dict[str, Any]:
    """Return how a model's run went."""
    extra = outcome.stored.manifest.extra if outcome.stored else {}
    return {
        "model": outcome.plan.name,
        "seconds": extra.get("seconds"),
        "status": "done" if outcome.stored else outcome.status,
    }
