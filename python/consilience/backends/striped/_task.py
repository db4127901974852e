"""One task: an op on a stripe of rows, from files to a file. It runs wherever the files are."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from consilience._files import naming, sha256_of, write_durably
from consilience._memory import DEFAULT_MEMORY, bounded, resident_share
from consilience.backends.striped._arrays import opened
from consilience.backends.striped._ops import OPS
from consilience.backends.striped._plan import Stripe
from consilience.terms import Saved

# Of a Dask worker's memory, what its ops may use; the rest is for the embeddings they read.
SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Task:
    """An op on some arrays and a stripe of their rows.

    arrays : by role; "sets" are embeddings
    settings : JSON-able
    """

    op: str
    arrays: Mapping[str, Sequence[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    stripe: Stripe | None = None

    @property
    def label(self) -> str:
        """Return what the task is, in words."""
        if self.stripe is None:
            return self.op
        return f"{self.op} of rows {self.stripe[0]} to {self.stripe[1] - 1}"


@dataclass(frozen=True)
class Run:
    """How tasks are run.

    backend, device : as in `select`, of the worker
    n_threads : of a task; None for a worker's own share
    max_memory : bytes that an op may use beyond its arguments; likewise
    """

    backend: str = "auto"
    device: str = "auto"
    n_threads: int | None = None
    max_memory: int | None = None


def name_of(task: Task, digests: Mapping[str, Sequence[str]], run: Run) -> str:
    """Return the name of a task's result: another for whatever could change a digit of it."""
    from consilience import __version__

    body = {
        "op": task.op,
        "arrays": {role: list(some) for role, some in digests.items()},
        "settings": task.settings,
        "stripe": task.stripe,
        "device": run.device,
        "backend": run.backend,
        "version": __version__,
    }
    text = json.dumps(body, sort_keys=True)
    return f"{task.op}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def perform(task: Task, ops: Any) -> Saved:
    """Return the terms of a task whose arrays are open, made by a backend."""
    return OPS[task.op].perform(ops, task.arrays, task.settings, task.stripe)


def keep(task: Task, terms: Saved, path: Path, seconds: float) -> dict[str, Any]:
    """Write terms to `path`, a record of them beside it, and return the record."""
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")
    try:
        with naming(path):
            terms.save(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            facts = {"sha256": sha256_of(temporary), "bytes": temporary.stat().st_size}
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    record = {"task": task.label, "seconds": round(seconds, 4), "worker": worker_name()} | facts
    # Which makes both names durable; a record without its result counts for nothing.
    write_durably(path.with_suffix(".json"), json.dumps(record).encode())
    return {"path": str(path), **record}


def run_task(body: Mapping[str, Any]) -> dict[str, Any]:
    """Do a task that came from another process, and return where its result is.

    Parameters
    ----------
    body : mapping, JSON-able
        What `Task` holds, with descriptions for arrays; "run"; "result", the path to write to;
        "version" of the package that made the plan.

    Returns
    -------
    dict
        "path", "sha256", "bytes", "seconds", "worker".

    Raises
    ------
    FileNotFoundError, PermissionError
        If this worker cannot open a file; names the worker, the file and the remedy.
    RuntimeError, ValueError, MemoryError, TypeError
        As the op raises them, with the worker's name.
    """
    from consilience import __version__

    if body["version"] != __version__:
        raise RuntimeError(
            f"{worker_name()} has consilience {__version__} and the comparison "
            f"{body['version']}; install the same version on all workers"
        )
    started = time.perf_counter()
    path = Path(body["result"])
    try:
        arrays = {role: [opened(one) for one in some] for role, some in body["arrays"].items()}
        stripe = None if body["stripe"] is None else (body["stripe"][0], body["stripe"][1])
        task = Task(body["op"], arrays, body["settings"], stripe)
        run = with_share(Run(**body["run"]))
        with bounded(arrays["sets"], run.max_memory):
            terms = perform(task, backend_for(run, arrays["sets"]))
        return keep(task, terms, path, time.perf_counter() - started)
    except (FileNotFoundError, PermissionError) as error:
        raise type(error)(
            f"{worker_name()} cannot open {error.filename or path}: {error.strerror or error}; "
            "stores and the checkpoint folder must be on a file system that all workers share, "
            "under the same path (`checkpoint` says where)"
        ) from None
    except (ValueError, MemoryError, TypeError) as error:
        raise type(error)(f"{body['op']} on {worker_name()}: {error}") from error
    except Exception as error:
        raise RuntimeError(
            f"{body['op']} on {worker_name()}: {type(error).__name__}: {error}"
        ) from error


def with_share(run: Run) -> Run:
    """Return the run within a worker's share: it does as many tasks at a time as it has threads."""
    worker, memory = _dask_worker(), run.max_memory
    if memory is None and worker is not None and worker.memory_manager.memory_limit:
        whole = SHARE_OF_MEMORY * worker.memory_manager.memory_limit
        memory = int(whole / worker.state.nthreads)
    return replace(run, n_threads=run.n_threads or 1, max_memory=memory)


def backend_for(run: Run, sets: Sequence[Any]) -> Any:
    """Return the backend for a task; pages of mapped sets have a share of the memory too."""
    from consilience.backends import on_device, select

    memory = (run.max_memory or DEFAULT_MEMORY) - resident_share(run.max_memory)
    there = on_device(list(sets), run.device)
    return select(run.backend, there, device=run.device, n_threads=run.n_threads, max_memory=memory)


def worker_name() -> str:
    """Return who works here, for people."""
    where = f"{socket.gethostname()}, process {os.getpid()}"
    worker = _dask_worker()
    return f"worker {worker.name} ({where})" if worker is not None else f"worker ({where})"


def _dask_worker() -> Any:
    """Return the Dask worker that this runs in, or None."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        return None
