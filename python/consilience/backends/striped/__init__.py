"""A backend whose heavy ops are cut into tasks that are kept, resumed and shared among workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import reduce
from math import prod
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from consilience.backends._placement import UnsupportedArraysError, homeward, place
from consilience.backends.base import Backend, Channel, PairTable, RowTable, shift_rows
from consilience.backends.striped._journal import Journal
from consilience.backends.striped._ops import joined_graphs, joined_ranks, split_moments
from consilience.backends.striped._plan import (
    LEAST_SHARE,
    TASK_SECONDS,
    batches_of_pairs,
    seconds_of,
    stripes_of,
    triangle_stripes,
)
from consilience.backends.striped._runner import LostWorkersError, Runner
from consilience.backends.striped._task import Run, Task
from consilience.terms import Floats, Graph, Indices, Moments, RankTerms, Saved

if TYPE_CHECKING:
    from distributed import Client


# Ops that are asked for at once where others do their tasks: workers find those of the next one
# when those of one run out. Each holds its prepared embeddings meanwhile.
ABREAST = 4


class StripedBackend:
    """A backend around another: heavy ops are cut by rows into tasks, the others are the inner's.

    The tasks of an op depend on its arguments and on `task_seconds` alone, and their results are
    put together in one order: all executors, and none, give the same bits on one kind of device.

    Parameters
    ----------
    inner : Backend
        On host memory; does what is light, and the tasks themselves without an executor.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who does the tasks. Its workers open arrays and write results by path.
    folder : path, optional
        Of results; one that finds the results of an interrupted run goes on from there. On a file
        system that all workers share, under the same path. A temporary folder by default.
    task_seconds : float
        Of one core, that a task is to take, about, by the rates of `_plan`.
    stripe_rows : int, optional
        Rows of a task instead.
    backend, device : str
        Of the workers, as in `select`.
    n_threads : int, optional
        Of a task. By default the inner's in this process and 1 for an executor, whose workers run
        as many tasks at a time as they have threads.
    max_memory : int, optional
        Bytes an op may use on a worker; by default half of a Dask worker's share per thread.
    keep : bool
        Whether results stay in `folder` after `close`.

    Raises
    ------
    FileExistsError
        If another process works with `folder`.
    """

    def __init__(
        self,
        inner: Backend,
        executor: Executor | Client | None = None,
        folder: str | Path | None = None,
        *,
        task_seconds: float | None = None,
        stripe_rows: int | None = None,
        backend: str = "auto",
        device: str = "auto",
        n_threads: int | None = None,
        max_memory: int | None = None,
        keep: bool = True,
    ) -> None:
        self.inner = inner
        self.task_seconds = TASK_SECONDS if task_seconds is None else task_seconds
        self.stripe_rows = stripe_rows
        self.journal = Journal(folder, keep=keep)
        run = Run(backend, device, n_threads, max_memory)
        self._runner = Runner(self.journal, run, executor)

    # Ops that are not below are light, and the inner backend's.
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def abreast(self) -> int:
        """Return how many ops may be asked for at once, by threads, to the end that it pays."""
        return 1 if self._runner.executor is None else ABREAST

    def stop(self) -> None:
        """Have the ops that others asked for end, by an error: what they were for has failed."""
        self._runner.stop()

    def with_threads(self, n_threads: int) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, inner=self.inner.with_threads(n_threads))
        return other

    def close(self, *, finished: bool = True) -> None:
        """Let go of the folder; unless `finished`, all that could be of use to a resumed run stays.

        Without a folder of one's own, everything is removed.
        """
        self.journal.close(finished=finished)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self.close(finished=kind is None)

    def knn_exact(self, X: Any, *, k: int, distance: str, rows: Indices | None = None) -> Graph:
        n_rows = len(X) if rows is None else len(rows)
        products = 2.0 * n_rows * prod(X.shape)
        if self._is_light("knn_exact", products):
            return self.inner.knn_exact(X, k=k, distance=distance, rows=rows)
        arrays = {"sets": [X]} if rows is None else {"sets": [X], "rows": [rows]}
        settings = {"k": int(k), "distance": distance}
        tasks = self._cut("knn_exact", n_rows, products, arrays, settings, symmetric=rows is None)
        parts: Iterator[Any] = self._done(tasks)
        return joined_graphs(parts, rows, len(X))

    def knn_approx(self, X: Any, *, k: int, distance: str, seed: int = 0, effort: int = 8) -> Graph:
        if self._is_light("knn_approx", 2.0 * prod(X.shape) * min(len(X), 50 * k)):
            return self.inner.knn_approx(X, k=k, distance=distance, seed=seed, effort=effort)
        settings = {"k": int(k), "distance": distance, "seed": int(seed), "effort": int(effort)}
        (found,) = self._done([Task("knn_approx", {"sets": [X]}, settings)])
        return found  # type: ignore[return-value]

    def rank_counts(
        self,
        X: Any,
        sources: Sequence[Graph],
        ks: Sequence[int],
        *,
        rows: Indices | None = None,
        sample: Indices | None = None,
    ) -> RankTerms:
        n_rows = len(X) if rows is None else len(rows)
        products = 2.0 * n_rows * prod(X.shape)
        if self._is_light("rank_counts", products):
            return self.inner.rank_counts(X, sources, ks, rows=rows, sample=sample)
        arrays = {"sets": [X], "lists": [graph.indices for graph in sources]}
        arrays |= {} if rows is None else {"rows": [rows]}
        settings = {"ks": [int(k) for k in ks]}
        if sample is not None:  # sums over the whole matrix of ranks come from one sweep
            tasks = [Task("rank_counts", arrays | {"sample": [sample]}, settings)]
        else:
            tasks = self._cut("rank_counts", n_rows, products, arrays, settings, symmetric=False)
        parts: list[Any] = list(self._done(tasks))
        return parts[0] if len(parts) == 1 else joined_ranks(parts)

    def moments(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        shifts: Sequence[Floats] | None = None,
    ) -> Iterator[Moments]:
        widths = [X.shape[1] for X in sets]
        products = 2.0 * len(sets[0]) * sum(widths[a] * widths[b] for a, b in pairs)
        if self._is_light("moments", products):
            yield from self.inner.moments(sets, pairs, shifts)
            return
        if shifts is None:
            shifts = [shift_rows(X).mean(axis=0, dtype=np.float64) for X in sets]
        tasks, batches = [], []
        for batch in batches_of_pairs(pairs, widths):
            used = sorted({m for pair in batch for m in pair})
            own = [(used.index(a), used.index(b)) for a, b in batch]
            products = 2.0 * len(sets[0]) * sum(widths[a] * widths[b] for a, b in batch)
            arrays = {"sets": [sets[m] for m in used], "shifts": [shifts[m] for m in used]}
            stripes = stripes_of(
                "moments",
                len(sets[0]),
                products,
                seconds=self.task_seconds,
                rows=self.stripe_rows,
                symmetric=False,
            )
            tasks += [Task("moments", arrays, {"pairs": own}, stripe) for stripe in stripes]
            batches.append((own, [shifts[m] for m in used], len(stripes)))
        results = self._done(tasks)
        for own, about, count in batches:
            total = np.array(next(results).values)  # type: ignore[attr-defined]
            for _ in range(count - 1):
                total += next(results).values  # type: ignore[attr-defined]
            yield from split_moments(total, own, about)

    def pair_terms(self, channels: Sequence[Channel]) -> PairTable:
        if self._is_light("pair_terms", _of_all(channels)):
            return self.inner.pair_terms(channels)
        sets, places = _places(channels)
        stripes = triangle_stripes(
            len(sets[0]), _of_all(channels), seconds=self.task_seconds, rows=self.stripe_rows
        )
        arrays, settings = {"sets": sets}, {"channels": places}
        parts: Iterator[Any] = self._done(
            [Task("pair_terms", arrays, settings, stripe) for stripe in stripes]
        )
        total: PairTable = reduce(add, parts)
        return total

    def pair_rows(
        self, channels: Sequence[Channel], pairs: Sequence[tuple[int, int]], rows: Indices
    ) -> RowTable:
        products = _of_all(channels) * len(rows) / len(channels[0].X)
        if self._is_light("pair_rows", products):
            return self.inner.pair_rows(channels, pairs, rows)
        sets, places = _places(channels)
        settings = {"channels": places, "pairs": _plain(pairs)}
        arrays = {"sets": sets, "rows": [rows]}
        tasks = self._cut("pair_rows", len(rows), products, arrays, settings, symmetric=False)
        parts: list[Any] = list(self._done(tasks))
        return RowTable.joined(parts)

    def joint_nearest(
        self,
        sets: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        *,
        rows: Indices | None = None,
    ) -> Floats:
        n_rows = len(sets[0]) if rows is None else len(rows)
        products = sum(2.0 * n_rows * prod(X.shape) for X in sets)
        if self._is_light("joint_nearest", products):
            return self.inner.joint_nearest(sets, pairs, rows=rows)
        arrays = {"sets": list(sets)} | ({} if rows is None else {"rows": [rows]})
        settings = {"pairs": _plain(pairs)}
        how = {"symmetric": rows is None}
        tasks = self._cut("joint_nearest", n_rows, products, arrays, settings, **how)
        parts: list[Any] = list(self._done(tasks))
        return np.concatenate([part.values for part in parts], axis=1)

    def _is_light(self, op: str, products: float) -> bool:
        """Return whether an op takes less than handing it over is worth."""
        least = LEAST_SHARE * self.task_seconds
        return self.stripe_rows is None and seconds_of(op, products) < least

    def _cut(
        self,
        op: str,
        n_rows: int,
        products: float,
        arrays: dict[str, list[Any]],
        settings: dict[str, Any],
        *,
        symmetric: bool,
    ) -> list[Task]:
        """Return the tasks of an op that compares some rows with all."""
        stripes = stripes_of(
            op,
            n_rows,
            products,
            seconds=self.task_seconds,
            rows=self.stripe_rows,
            symmetric=symmetric,
        )
        return [Task(op, arrays, settings, stripe) for stripe in stripes]

    def _done(self, tasks: Sequence[Task]) -> Iterator[Saved]:
        for X in (X for task in tasks[:1] for X in task.arrays["sets"]):
            if not isinstance(X, np.ndarray):
                raise UnsupportedArraysError(
                    f"tasks open their arrays in host memory or by path, and one is {place(X)}; "
                    f'bring it home with {homeward(place(X))}: device="cuda" takes each task\'s '
                    "to a worker's GPU"
                )
        return self._runner.results(tasks, self.inner)


@contextmanager
def striping(
    client: Executor | Client | None, checkpoint: str | Path | None, **run: Any
) -> Iterator[Callable[[Backend], StripedBackend] | None]:
    """Give what puts stripes around a backend and is closed at the end; None if neither is asked.

    run : what else `StripedBackend` takes
    """
    if client is None and checkpoint is None:
        yield None
        return
    made: list[StripedBackend] = []

    def around(inner: Backend) -> StripedBackend:
        made.append(StripedBackend(inner, client, checkpoint, **run))
        return made[-1]

    finished = False
    try:
        yield around
        finished = True
    finally:
        for one in made:
            one.close(finished=finished)


def _of_all(channels: Sequence[Channel]) -> float:
    """Return the products of all pairs of rows of all channels."""
    return float(sum(2 * len(channel.X) * prod(channel.X.shape) for channel in channels))


def _places(channels: Sequence[Channel]) -> tuple[list[Any], list[list[Any]]]:
    """Return the sets of channels, each once, and the channels as places among them."""
    sets = list({id(channel.X): channel.X for channel in channels}.values())
    place_of = {id(X): at for at, X in enumerate(sets)}
    return sets, [[place_of[id(one.X)], one.function, float(one.gamma)] for one in channels]


def _plain(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    return [[int(a), int(b)] for a, b in pairs]


__all__ = ["LostWorkersError", "StripedBackend", "striping"]
