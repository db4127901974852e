"""Draw samples, read those drawn, count those that cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from consilience.datasets._samples import Samples


@dataclass(frozen=True)
class Sample:
    """One sample on its way into `Samples`; a label that is not known is absent."""

    id: str
    columns: Mapping[str, Any]
    labels: Mapping[str, float] = field(default_factory=dict)


Read = Callable[[int], Sequence[Sample | None]]


def gather(read: Read, total: int, *, n: int | None, seed: int, source: str, what: str) -> Samples:
    """Read all of a source, or n samples drawn of it.

    Parameters
    ----------
    read : callable
        ``read(i)`` gives the samples of entry i, 0 <= i < total; None stands for one that
        cannot be read. Only the entries drawn are read.
    total : int
        How many entries the source has.
    n : int, optional
        How many samples to draw; by default all, in the order of the source.
    seed : int
        Fixes the order of drawing, so that the samples of a small n begin those of a larger one.
    source, what : str
        For messages: whose samples they are, and the plural of what a sample is.

    Raises
    ------
    ValueError
        If there are fewer than n readable samples, or none.

    Warns
    -----
    UserWarning
        If a label is left out because only some samples have it.
    """
    taken: list[Sample] = []
    n_skipped = 0
    for entry in _order(total, n, seed):
        found = read(int(entry))
        n_skipped += sum(sample is None for sample in found)
        taken += [sample for sample in found if sample is not None]
        if n is not None and len(taken) >= n:
            break
    if n is not None and len(taken) < n:
        raise ValueError(
            f"{source} has {len(taken)} {'readable ' * bool(n_skipped)}{what}, {n} were asked for"
        )
    if not taken:
        raise ValueError(f"{source} has no {what} that can be read; {n_skipped} were skipped")
    return _together(taken[:n], n_skipped, source)


def _order(total: int, n: int | None, seed: int) -> Iterator[int]:
    if n is None:
        return iter(range(total))
    return iter(np.random.default_rng(seed).permutation(total))


def _together(taken: Sequence[Sample], n_skipped: int, source: str) -> Samples:
    labels = {}
    for name in sorted({name for sample in taken for name in sample.labels}):
        values = [sample.labels[name] for sample in taken if name in sample.labels]
        if len(values) == len(taken):
            labels[name] = np.array(values, np.float64)
        else:
            warnings.warn(
                f"{source} gives {name!r} for {len(values)} of {len(taken)} samples, so the "
                "label is left out",
                stacklevel=4,
            )
    return Samples(
        ids=tuple(sample.id for sample in taken),
        columns={name: [s.columns[name] for s in taken] for name in taken[0].columns},
        labels=labels,
        n_skipped=n_skipped,
    )
