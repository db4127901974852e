"""Running a study: embed, align, compare, analyse, write; nothing is done twice.

A study is a folder. What is in it already, and still answers the plan, is taken as it is:
embeddings of a model, scores of a pair, the analyses of a part.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from consilience import store
from consilience._files import exclusive, remove_temporaries, write_durably
from consilience._memory import as_bytes
from consilience.backends import check_device
from consilience.datasets import Samples, find_dataset, load_samples, missing
from consilience.metrics import PRESETS
from consilience.store import StoredEmbeddings
from consilience.study.analyze import Context, analyze, regimes
from consilience.study.compare import compare
from consilience.study.embeddings import (
    Outcome,
    aligned_layers,
    embed_missing,
    energies_of,
    model_facts,
    outcomes_of,
    run_facts,
)
from consilience.study.plan import PartPlan, StudyPlan
from consilience.study.result import Part, StudyResult
from consilience.study.score_matrix import ScoreMatrix

if TYPE_CHECKING:
    from distributed import Client

PLAN = "plan.json"
TERMS = "terms"
WORKERS = 2
# From here on a comparison may take minutes, which an interruption would cost.
KEPT_SAMPLES = 50_000

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Comparing:
    """Where embeddings are compared: on which device, by whose hands, in how much memory."""

    device: str
    client: Executor | Client | None
    max_memory: int | None

    @property
    def device_here(self) -> str:
        """Return the device of what this process compares itself, beside workers with GPUs."""
        return self.device if self.client is None else "auto"


def run_study(
    plan: StudyPlan,
    folder: str | Path,
    *,
    workers: int = WORKERS,
    device: str = "auto",
    report: bool = True,
    say: Say = lambda line: None,
    client: Executor | Client | None = None,
    max_memory: int | str | None = None,
) -> StudyResult:
    """Do what a plan asks for and is not done yet, and write the report.

    Parameters
    ----------
    plan : StudyPlan
    folder : path
        Of the study: embeddings, scores, results, report.
    workers : int
        Models that run at a time, each in a process of its own with one thread.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu"
        Where embeddings are compared; no part of the plan, as what is done is not done again.
    report : bool
        Write report.html, figures and tables.
    say : callable
        Told one line at a time what happens.
    client : concurrent.futures.Executor or dask.distributed.Client, optional
        Who does the heavy work of comparing, as in `compare`; workers must see `folder` and the
        embeddings under the same paths.
    max_memory : int or str, optional
        For comparing, as in `compare`; with a client, of each task.

    Returns
    -------
    StudyResult

    Raises
    ------
    ValueError
        If a dataset is not installed, or fewer than two models of a part could run.
    TypeError
        If the GPU that was asked for cannot be had.
    FileExistsError
        If another process is working on this study.
    MemoryError
        If what a comparison keeps cannot fit, before it begins; says what would.

    Notes
    -----
    Running a finished study again computes nothing. After an interruption, a run goes on where
    the last one was: embeddings are kept as they are made, scores and analyses part by part.
    What scores of many samples are made of is kept in ``terms/PART`` until the part is finished.
    """
    if client is None:
        check_device(device)
    how = _Comparing(device, client, as_bytes(max_memory))
    folder = Path(folder)
    for part in plan.parts:
        if part.data and (sentence := missing(find_dataset(part.data.partition(":")[0]))):
            raise ValueError(sentence)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        remove_temporaries(folder)
        _write_json(folder / PLAN, plan.to_json())
        return _run(plan, folder, workers, how, report, say)


def _run(
    plan: StudyPlan, folder: Path, workers: int, how: _Comparing, report: bool, say: Say
) -> StudyResult:
    started = time.perf_counter()
    outcomes = {part.name: outcomes_of(part, folder, say) for part in plan.parts}
    embed_missing(plan, folder, outcomes, workers, say)
    parts = [_part(part, folder, outcomes[part.name], how, say) for part in plan.parts]
    with suppress(OSError):  # there is none, or it keeps what belongs to a part of another plan
        (folder / TERMS).rmdir()
    by_name = {part.name: part for part in parts}
    identity = _digest(json.dumps([plan.to_json(), [part.answers for part in parts]]))
    before = _before(folder)
    if before is not None and before.provenance.get("answers") == identity:
        say("nothing to do: the study is finished")
        result = before
    else:
        result = StudyResult(
            plan.title,
            plan.description,
            tuple(parts),
            _across(plan, by_name, say),
            {
                **_provenance(),
                "seconds": round(time.perf_counter() - started, 1),
                "answers": identity,
            },
        )
        result.save(folder)
    if report and (result is not before or not _shows(folder / "report.html", identity)):
        from consilience.report import write_study

        say(f"wrote {write_study(result, folder)}")
    return result


# ---- one part ----------------------------------------------------------------------------


def _part(
    plan: PartPlan, folder: Path, outcomes: Sequence[Outcome], how: _Comparing, say: Say
) -> Part:
    """Return the part as it was written down, if it still answers the plan, else a new one."""
    done = [o for o in outcomes if o.stored is not None]
    stores = [o.stored for o in done if o.stored is not None]
    if len(stores) < 2:
        reasons = "; ".join(o.reason for o in outcomes if o.reason)
        raise ValueError(f"{plan.name} needs two models, {len(stores)} ran: {reasons}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", store.DroppedSamples)  # what is lost is in the notes
        ids, arrays = store.align(stores, how="inner")
    names = [o.plan.name for o in done]
    answers = {
        "samples": _digest("\n".join(ids)),
        "stores": {name: _store_digest(s) for name, s in zip(names, stores, strict=True)},
        "plan": _digest(json.dumps(StudyPlan("", parts=(plan,)).to_json(), sort_keys=True)),
    }
    terms = folder / TERMS / plan.name
    old = _old_part(folder, plan.name)
    if old is not None and old.answers == answers:
        shutil.rmtree(terms, ignore_errors=True)  # the run that saved it may have ended there
        return old
    _check_whole(plan, done)
    samples, notes = _samples(plan, ids)
    notes += _lost(done, stores, len(ids))
    notes += [f"{o.plan.name} is missing: {o.reason}." for o in outcomes if o.stored is None]
    by_name = dict(zip(names, arrays, strict=True))
    say(f"comparing {len(names)} models over {len(ids)} samples of {plan.name}")
    matrix = _compare(plan, by_name, _previous(old, answers), how, terms)
    for label, reason in matrix.provenance.get("skipped", {}).items():
        notes.append(f"{label} was left out: {reason}.")
    for label, searched in matrix.provenance.get("neighbors", {}).items():
        notes.append(f"{label} is {searched}.")
    facts = tuple(model_facts(o) for o in done)
    energies, layers = energies_of(done, ids), aligned_layers(plan, folder, names)
    run = (how.device_here, how.max_memory)
    context = Context(plan, matrix, facts, by_name, samples, energies, layers, *run)
    analyses, left_out = analyze(context, say)
    part = Part(
        name=plan.name,
        title=plan.title or plan.name,
        description=plan.description,
        dataset=_dataset_facts(plan, len(ids)),
        matrix=matrix,
        models=facts,
        runs=tuple(run_facts(o) for o in outcomes),
        analyses=analyses,
        notes=(*notes, *left_out),
        answers=answers,
    )
    part.save(folder)  # at once, so that an interruption does not cost it
    shutil.rmtree(terms, ignore_errors=True)
    return part


def _shows(page: Path, identity: str) -> bool:
    """Return whether a page was drawn of these answers; a run may have ended before its own was."""
    return page.is_file() and identity in page.read_text(encoding="utf-8", errors="replace")


def _before(folder: Path) -> StudyResult | None:
    try:
        return StudyResult.load(folder)
    except (FileNotFoundError, ValueError):
        return None


def _old_part(folder: Path, name: str) -> Part | None:
    try:
        return Part.load(folder, name)
    except (FileNotFoundError, ValueError):
        return None


def _check_whole(plan: PartPlan, outcomes: Sequence[Outcome]) -> None:
    """Read every byte before anything is computed: a flipped bit would end in a score."""
    for outcome in outcomes:
        assert outcome.stored is not None
        try:
            outcome.stored.verify()
        except ValueError as error:
            raise ValueError(
                f"{plan.name}/{outcome.plan.name}: {error}"
                + ("" if outcome.plan.store else f" (remove {outcome.stored.path} to do so)")
            ) from error


def _previous(old: Part | None, answers: Mapping[str, Any]) -> ScoreMatrix | None:
    """Return the scores that still hold: of the same samples and unchanged embeddings."""
    if old is None or old.answers.get("samples") != answers["samples"]:
        return None
    digests = old.answers.get("stores", {})
    same = [n for n in old.matrix.names if digests.get(n) == answers["stores"].get(n, "")]
    return old.matrix.subset(same) if len(same) > 1 else None


def _compare(
    plan: PartPlan,
    arrays: dict[str, NDArray[Any]],
    previous: ScoreMatrix | None,
    how: _Comparing,
    terms: Path,
) -> ScoreMatrix:
    n_samples = len(next(iter(arrays.values())))
    kept = how.client is not None or n_samples >= KEPT_SAMPLES
    if kept:
        terms.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left out is in the provenance too
        preset = None if plan.metrics else plan.preset or next(iter(PRESETS))
        return compare(
            arrays,
            plan.metrics or None,
            preset=preset,
            neighbors=plan.neighbors,
            rows=plan.rows,
            progress=True,
            previous=previous,
            device=how.device,
            client=how.client,
            max_memory=how.max_memory,
            checkpoint=terms if kept else None,
        )


def _samples(plan: PartPlan, ids: Sequence[str]) -> tuple[Samples, list[str]]:
    """Return the samples in row order, and what to tell of those that could not be read."""
    if not plan.data:
        return Samples(ids=tuple(ids), columns={}), []
    samples = load_samples(plan.data, n=plan.n, seed=plan.seed)
    place = {sample: i for i, sample in enumerate(samples.ids)}
    unknown = [sample for sample in ids if sample not in place]
    if unknown:
        raise ValueError(
            f"{plan.name}: sample {unknown[0]!r} is in the embeddings but not in {plan.data}"
        )
    notes = []
    if samples.n_skipped:
        notes.append(f"{samples.n_skipped} samples of {plan.data} could not be read.")
    return samples.subset(np.array([place[sample] for sample in ids], dtype=np.int64)), notes


def _lost(
    outcomes: Sequence[Outcome], stores: Sequence[StoredEmbeddings], n_common: int
) -> list[str]:
    most = max(stored.shape[0] for stored in stores)
    if n_common == most:
        return []
    short = [
        f"{o.plan.name} ({most - s.shape[0]})"
        for o, s in zip(outcomes, stores, strict=True)
        if s.shape[0] < most
    ]
    reason = f"; not embedded: {', '.join(short)}" if short else ""
    return [f"{n_common} of {most} samples are common to all models{reason}."]


# ---- facts -------------------------------------------------------------------------------


def _dataset_facts(plan: PartPlan, n_samples: int) -> dict[str, Any]:
    if not plan.data:
        return {"name": "embeddings made elsewhere", "n_samples": n_samples}
    dataset = find_dataset(plan.data.partition(":")[0])
    return {
        "name": dataset.name,
        "summary": dataset.summary,
        "n_samples": n_samples,
        "n": plan.n,
        "seed": plan.seed,
        "citation": dataset.citation,
        "license": dataset.license,
        "package": dataset.package,
    }


def _across(plan: StudyPlan, parts: Mapping[str, Part], say: Say) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for inside, outside in plan.regimes:
        try:
            found += regimes(parts[inside], parts[outside])
        except ValueError as error:
            say(f"  regimes {inside}, {outside}: not possible, {error}")
    return {"regimes": found} if found else {}


def _provenance() -> dict[str, Any]:
    from consilience import __version__

    return {
        "version": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def _store_digest(stored: StoredEmbeddings) -> str:
    return _digest(" ".join(entry.sha256 for entry in stored.manifest.files))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write_json(path: Path, body: Any) -> None:
    write_durably(path, (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode())
