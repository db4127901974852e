"""The heavy work before scores: ops in order, and what the host makes of their terms in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from consilience._evaluate import Step, Terms
from consilience.backends._blas import one_blas_thread
from consilience.backends.striped import StripedBackend

# Samples from which a term takes longer than handing it to a thread.
THREADS_FROM = 512

Run = Callable[[], object]
# A metric with its settings, the cells to score, and whether their nulls are laws.
Asked = tuple[Any, Sequence[tuple[int, ...]], bool]


def do_work(terms: Terms, asked: Sequence[Asked], *, progress: bool) -> None:
    """Make what scores ask for.

    Ops are entered by one thread, or by a few where workers elsewhere do them. The others meanwhile
    work on terms of graphs, as the ops that follow may run on a GPU; what they make is the same
    whoever makes it, and when.
    """
    early: list[Run] = []
    late: list[Run] = []
    n_threads = getattr(terms.ops, "n_threads", 1)
    if terms.n_samples >= THREADS_FROM:
        beside = terms.with_threads(max(1, n_threads // len(terms.sets)))
        for metric, cells, law in asked:
            for part in metric.ahead(beside, cells, law=law):
                (early if part.of_graphs else late).append(part.run)
    alone = one_blas_thread if early or late else nullcontext()
    with (
        alone,
        _Threads(n_threads if early or late else 1) as threads,
        _begun(list(terms.steps()), terms.ops) as steps,
    ):
        for step in _watched(steps, progress):
            if not step.of_graphs:
                threads.start(early)
            step.run()
        threads.start(early)
        threads.start(late)
        threads.wait()


@contextmanager
def _begun(steps: list[Step], ops: Any) -> Iterator[list[Step]]:
    """Give the steps; where workers do the ops, a few are begun ahead, and a run waits for its end.

    A step waits for those before it alone, so that all that are begun come to their ends.
    """
    if not isinstance(ops, StripedBackend) or ops.abreast == 1:
        yield steps
        return
    pool = ThreadPoolExecutor(ops.abreast)
    begun = [pool.submit(step.run) for step in steps]
    try:
        yield [
            replace(step, run=partial(_outcome, own, begun))
            for step, own in zip(steps, begun, strict=True)
        ]
    except BaseException:
        for one in begun:
            one.cancel()
        ops.stop()
        raise
    finally:
        pool.shutdown()


def _outcome(own: Future[object], begun: Sequence[Future[object]]) -> object:
    """Return what a step did; what fails first, here or in another, is told at once."""
    remaining = {one for one in begun if not one.done()}
    while not own.done():
        finished, remaining = wait(remaining, return_when=FIRST_COMPLETED)
        for one in finished:
            one.result()
    return own.result()


class _Threads:
    """Runs work beside the caller; with one thread, in its place."""

    def __init__(self, n_threads: int) -> None:
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
        self._started: list[Future[None]] = []

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def start(self, work: list[Run]) -> None:
        """Start the work in order and empty the list."""
        for run in work:
            if self._pool is None:
                _try(run)
            else:
                self._started.append(self._pool.submit(_try, run))
        work.clear()

    def wait(self) -> None:
        """Return when all is done."""
        wait(self._started)


def _try(run: Run) -> None:
    """Run; what fails fails again where it is scored, and is told there, in order."""
    with suppress(Exception):
        run()


def _watched(steps: Iterable[Step], progress: bool) -> Iterator[Step]:
    """Yield the steps and show how far they are."""
    steps = list(steps)
    if not progress:
        yield from steps
        return
    from tqdm import tqdm

    layout = "{l_bar}{bar}| {elapsed} < {remaining}"
    with tqdm(total=sum(step.cost for step in steps), bar_format=layout, disable=None) as bar:
        for step in steps:
            bar.set_description(step.label)
            yield step
            bar.update(step.cost)
        bar.set_description("scores")
