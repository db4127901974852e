"""Batches of rows on their way into shards: checked against each other, held until enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import one_line
from consilience.store._safetensors import ALIGNMENT, DTYPES

LONGEST_OUTPUT = 100  # bytes of an output's name, which is in the names of its files


@dataclass(frozen=True)
class Batch:
    """Samples with their rows, and what the model predicts of each."""

    ids: tuple[str, ...]
    rows: NDArray[Any]
    outputs: dict[str, NDArray[np.float64]]

    def part(self, start: int, stop: int) -> Batch:
        """Return samples [start, stop), as views."""
        outputs = {name: values[start:stop] for name, values in self.outputs.items()}
        return Batch(self.ids[start:stop], self.rows[start:stop], outputs)

    def copy(self) -> Batch:
        """Return the same samples in memory of their own."""
        outputs = {name: values.copy() for name, values in self.outputs.items()}
        return Batch(self.ids, self.rows.copy(), outputs)


def checked(
    ids: Sequence[str], array: Any, outputs: Mapping[str, Any], seen: Mapping[str, None]
) -> Batch:
    """Return a batch whose parts fit each other and whose ids were not seen before.

    Raises
    ------
    ValueError
        If they do not; says which.
    """
    rows = np.asarray(array)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise ValueError(f"a batch must be (n_rows, n_features), got shape {rows.shape}")
    if rows.dtype.newbyteorder("<") not in DTYPES.values():
        raise ValueError(f"a batch must be float16, float32 or float64, got {rows.dtype}")
    if len(rows) != len(ids):
        raise ValueError(f"a batch has {len(ids)} ids and {len(rows)} rows")
    names = _checked_ids(ids, seen)
    columns = {name: _column(name, values, len(names)) for name, values in outputs.items()}
    return Batch(names, rows, columns)


def _checked_ids(ids: Sequence[str], seen: Mapping[str, None]) -> tuple[str, ...]:
    new: dict[str, None] = {}
    for sample in ids:
        if not isinstance(sample, str) or not sample or "\n" in sample or "\r" in sample:
            raise ValueError(f"a sample id must be one non-empty line of text, got {sample!r}")
        if sample in new or sample in seen:
            raise ValueError(f"sample id {sample!r} comes twice; ids must be unique")
        new[str(sample)] = None
    "".join(new).encode()  # lone surrogates are no text; UnicodeEncodeError is a ValueError
    return tuple(new)


def _column(name: str, values: Any, n_rows: int) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    plain = name.isidentifier() and len(name.encode()) <= LONGEST_OUTPUT
    if column.shape != (n_rows,) or not plain:
        raise ValueError(
            f"output {one_line(repr(name))} must be a plain name of at most {LONGEST_OUTPUT} bytes "
            f"with one number for each of {n_rows} rows, got shape {column.shape}"
        )
    return column


class Held:
    """Batches that are not in a shard yet."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.n_rows = 0

    def add(self, batch: Batch) -> None:
        """Hold a batch as well."""
        self.batches.append(batch)
        self.n_rows += len(batch.ids)

    def own(self) -> None:
        """Copy what is held of the last batch, since its maker may use the memory again."""
        if self.batches:
            self.batches[-1] = self.batches[-1].copy()

    def pop(self, n_rows: int) -> list[Batch]:
        """Return the first rows that are held, and hold them no longer."""
        taken = []
        while n_rows and self.batches:
            batch = self.batches.pop(0)
            if len(batch.ids) > n_rows:
                self.batches.insert(0, batch.part(n_rows, len(batch.ids)))
                batch = batch.part(0, n_rows)
            taken.append(batch)
            n_rows -= len(batch.ids)
            self.n_rows -= len(batch.ids)
        return taken

    def put_back(self, batches: Sequence[Batch]) -> None:
        """Hold again what was popped."""
        self.batches[:0] = batches
        self.n_rows += sum(len(batch.ids) for batch in batches)


def joined(arrays: Iterable[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """Return arrays below each other, little endian."""
    return np.concatenate([np.asarray(array, dtype=dtype) for array in arrays])


def full_shard(row_bytes: int, shard_bytes: int) -> int:
    """Return how many rows fill whole pages and at most `shard_bytes`, or the least that do."""
    page = ALIGNMENT // np.gcd(ALIGNMENT, row_bytes)
    return int(max(page, shard_bytes // row_bytes // page * page))
