"""What a dataset gives: samples with ids, in the representations that models need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._validate import check_integer


@dataclass(frozen=True, eq=False)
class Atoms:
    """A molecule in space.

    Attributes
    ----------
    numbers : int64 array of shape (n_atoms,)
        Atomic numbers.
    positions : float64 array of shape (n_atoms, 3)
        Coordinates in ångström.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.numbers.ndim != 1 or self.positions.shape != (len(self.numbers), 3):
            raise ValueError(
                "`positions` must have shape (n_atoms, 3) with n_atoms = len(numbers), "
                f"got {self.positions.shape} for numbers of shape {self.numbers.shape}"
            )

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples with ids that never change, whatever subset or order they come in.

    Attributes
    ----------
    ids : tuple of str
        Unique.
    columns : mapping of str to sequence
        One representation each, row by row: "smiles" (str), "atoms" (`Atoms`).
    labels : mapping of str to array of shape (len(ids),)
        Known properties.
    n_skipped : int
        How many samples were left out because they could not be read.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    n_skipped: int = 0

    def __post_init__(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            seen: set[str] = set()
            twice = next(i for i in self.ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise ValueError(f"sample id {twice!r} comes twice; ids must be unique")
        for name, values in (*self.columns.items(), *self.labels.items()):
            if len(values) != len(self.ids):
                raise ValueError(f"{name!r} has {len(values)} values for {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    def batches(
        self, column: str, batch_size: int
    ) -> Iterator[tuple[tuple[str, ...], Sequence[Any]]]:
        """Yield (ids, values of `column`) in order, `batch_size` at a time.

        Raises
        ------
        ValueError
            If the samples have no such column or `batch_size` is less than 1.
        """
        if column not in self.columns:
            raise ValueError(f"samples have no {column!r}, only {', '.join(self.columns)}")
        check_integer(batch_size, "batch_size", 1)
        values = self.columns[column]
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield self.ids[part], values[part]
