"""Tasks in their order, here or through an executor, each at most once."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from consilience.backends.striped._journal import Journal
from consilience.backends.striped._task import (
    Run,
    Task,
    backend_for,
    keep,
    name_of,
    perform,
    run_task,
)
from consilience.terms import Saved

# Tasks handed over at a time; they are a few kilobytes each. Dask binds a task to a worker when it
# gets it: no more than this many a thread, or some are done while others have a queue.
IN_FLIGHT = 1024
OF_A_THREAD = 2
# How often Dask runs a task anew that failed; it may be better off on another worker.
RETRIES = 3
# Seconds between looks at whether a scheduler is still there.
LOOK = 2.0


class LostWorkersError(ConnectionError):
    """Workers, or the scheduler that they answer to, are gone."""


class Runner:
    """Does tasks that are not in the journal yet.

    executor : None for this process
    client : the Dask client behind the executor, if it is one
    """

    def __init__(self, journal: Journal, run: Run, executor: Any = None) -> None:
        self.journal = journal
        self.run = run
        if executor is not None and not hasattr(executor, "submit"):
            raise TypeError(
                "`client` must be a Dask Client or a concurrent.futures.Executor, got "
                f"{type(executor).__name__}"
            )
        self.client = executor if hasattr(executor, "get_executor") else None
        self.executor: Executor | None = (
            executor
            if self.client is None
            else self.client.get_executor(pure=False, retries=RETRIES)
        )
        self._guard = threading.Lock()
        # What follows is shared by all who wait for tasks, and told to them when it changes.
        self._turn = threading.Condition()
        self._handed, self._room, self._asked_at = 0, IN_FLIGHT, -math.inf
        self._stopped = False

    def stop(self) -> None:
        """Have all who wait for tasks elsewhere end."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def results(self, tasks: Sequence[Task], ops: Any) -> Iterator[Saved]:
        """Yield the terms of the tasks in their order; `ops` do those of this process."""
        n_threads = getattr(ops, "n_threads", 1)
        names = [name_of(task, self._digests(task, n_threads), self.run) for task in tasks]
        records = {
            i: record
            for i, record in enumerate(map(self.journal.found, names))
            if record is not None
        }
        with self._guard:
            self.journal.reused += len(records)
            self.journal.computed += len(tasks) - len(records)
        missing = deque(i for i in range(len(tasks)) if i not in records)
        if self.executor is None:
            yield from self._here(tasks, names, records, ops)
        else:
            yield from self._elsewhere(self.executor, tasks, names, records, missing)

    def _digests(self, task: Task, n_threads: int) -> dict[str, list[str]]:
        arrays = self.journal.arrays
        return {
            role: [arrays.digest(one, n_threads) for one in some]
            for role, some in task.arrays.items()
        }

    def _here(
        self,
        tasks: Sequence[Task],
        names: Sequence[str],
        records: dict[int, dict[str, Any]],
        ops: Any,
    ) -> Iterator[Saved]:
        for i, (task, name) in enumerate(zip(tasks, names, strict=True)):
            record = records.get(i)
            if record is None:
                started = time.perf_counter()
                moved = self.run.device == "cuda"
                terms = perform(task, backend_for(self.run, task.arrays["sets"]) if moved else ops)
                seconds = time.perf_counter() - started
                record = keep(task, terms, self.journal.path(name), seconds)
            yield self.journal.load(task.op, record)

    def _elsewhere(
        self,
        executor: Executor,
        tasks: Sequence[Task],
        names: Sequence[str],
        records: dict[int, dict[str, Any]],
        missing: deque[int],
    ) -> Iterator[Saved]:
        running: dict[Future[dict[str, Any]], int] = {}
        given = 0
        try:
            while given < len(tasks):
                while missing and self._may_hand_over():
                    i = missing.popleft()
                    future = self._hand_over(executor, tasks[i], names[i])
                    running[future] = i
                if given in records:
                    yield self.journal.load(tasks[given].op, records.pop(given))
                    given += 1
                    continue
                self._wait(running, more=bool(missing))
                for future in [one for one in running if one.done()]:
                    i = running.pop(future)
                    records[i] = self._outcome(future, tasks[i])
                self._check_scheduler()
        except BrokenExecutor as error:  # of `submit`
            raise self._lost(tasks[given], error) from error
        finally:
            for future in running:
                future.cancel()

    def _may_hand_over(self) -> bool:
        """Take a place among the tasks that are handed over, if there is one."""
        if self.client is not None and time.monotonic() > self._asked_at + LOOK:
            self._asked_at = time.monotonic()
            self._check_scheduler()
            with suppress(OSError):  # the scheduler is about to be missed
                threads = sum(self.client.nthreads().values())
                self._room = min(IN_FLIGHT, OF_A_THREAD * max(1, threads))
        with self._turn:
            if self._handed >= self._room or self._stopped:
                return False
            self._handed += 1
            return True

    def _hand_over(self, executor: Executor, task: Task, name: str) -> Future[dict[str, Any]]:
        try:
            future = executor.submit(run_task, self._body(task, name))
        except BaseException:
            self._give_back()
            raise
        future.add_done_callback(lambda _: self._give_back())
        return future

    def _give_back(self) -> None:
        """Leave the place of a task."""
        with self._turn:
            self._handed -= 1
            self._turn.notify_all()

    def _wait(self, running: Mapping[Future[Any], int], *, more: bool) -> None:
        """Return when a task is done, when one of `more` may be handed over, or to look around."""

        def ready() -> bool:
            place = more and self._handed < self._room
            return self._stopped or place or any(map(Future.done, running))

        with self._turn:
            self._turn.wait_for(ready, timeout=LOOK)
            if self._stopped:
                raise CancelledError

    def _body(self, task: Task, name: str) -> dict[str, Any]:
        from consilience import __version__

        arrays = self.journal.arrays
        return {
            "op": task.op,
            "arrays": {
                role: [arrays.description(one) for one in some]
                for role, some in task.arrays.items()
            },
            "settings": dict(task.settings),
            "stripe": task.stripe,
            "run": asdict(self.run),
            "result": str(self.journal.path(name)),
            "version": __version__,
        }

    def _outcome(self, future: Future[dict[str, Any]], task: Task) -> dict[str, Any]:
        try:
            record: Mapping[str, Any] = future.result()
        except (CancelledError, BrokenExecutor) as error:
            raise self._lost(task, error) from error
        except Exception as error:
            if type(error).__module__.startswith("distributed"):
                raise self._lost(task, error) from error
            raise
        return dict(record)

    def _check_scheduler(self) -> None:
        """Raise if the scheduler is gone; some futures would then never be done."""
        if self.client is not None and self.client.status not in ("running", "newly-created"):
            raise LostWorkersError(f"the Dask scheduler is gone; {self._remedy()}")

    def _lost(self, task: Task, error: BaseException) -> LostWorkersError:
        if isinstance(error, CancelledError):  # by Dask, when it loses its scheduler
            return LostWorkersError(f"the scheduler or its workers are gone; {self._remedy()}")
        said = f"{type(error).__name__} {error}".strip().rstrip(".")
        return LostWorkersError(
            f"workers were lost while {task.label} ran ({said}); if they were ended for their "
            f"memory, give them more of it; {self._remedy()}"
        )

    def _remedy(self) -> str:
        if self.journal.kept:
            return f"what is finished is in {self.journal.folder}: run the same again to go on"
        return "give `checkpoint`, a folder, and a later run goes on where this one was"
