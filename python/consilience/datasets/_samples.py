"""What a dataset gives: samples with ids, in the representations that models need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience._validate import check_integer
from consilience.datasets._derived import DERIVED, derive


@dataclass(frozen=True, eq=False)
class Atoms:
    """A molecule or a crystal in space.

    Attributes
    ----------
    numbers : int64 array of shape (n_atoms,)
        Atomic numbers.
    positions : float64 array of shape (n_atoms, 3)
        Coordinates in ångström.
    cell : float64 array of shape (3, 3), optional
        Lattice vectors as rows, in ångström; None for a molecule.
    pbc : tuple of three bool
        Along which lattice vectors the atoms repeat.
    charge : int
        Total charge, in elementary charges.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64] | None = None
    pbc: tuple[bool, bool, bool] = (False, False, False)
    charge: int = 0

    def __post_init__(self) -> None:
        if self.numbers.ndim != 1 or self.positions.shape != (len(self.numbers), 3):
            raise ValueError(
                "`positions` must have shape (n_atoms, 3) with n_atoms = len(numbers), "
                f"got {self.positions.shape} for numbers of shape {self.numbers.shape}"
            )
        if self.cell is not None and self.cell.shape != (3, 3):
            raise ValueError(
                f"`cell` must hold three lattice vectors, shape (3, 3), got {self.cell.shape}"
            )
        if any(self.pbc) and self.cell is None:
            raise ValueError(f"atoms that repeat (`pbc` {self.pbc}) need a `cell`, got None")

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, eq=False)
class Backbone:
    """The main chain of a protein.

    Attributes
    ----------
    sequence : str
        One letter a residue, X for what is not one of the twenty amino acids.
    coordinates : float32 array of shape (n_residues, 4, 3)
        N, CA, C and O of each residue, in ångström.
    """

    sequence: str
    coordinates: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.coordinates.shape != (len(self.sequence), 4, 3):
            raise ValueError(
                "`coordinates` must have shape (n_residues, 4, 3) with n_residues = "
                f"len(sequence) = {len(self.sequence)}, got {self.coordinates.shape}"
            )

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples with ids that never change, whatever subset or order they come in.

    Attributes
    ----------
    ids : tuple of str
        Unique.
    columns : mapping of str to sequence
        One representation each, row by row: "smiles", "selfies", "name", "sequence" (str),
        "atoms" (`Atoms`), "structure" (`Backbone`). "selfies" is made out of "smiles", and
        "sequence" out of "structure", when first asked for; a SELFIES that cannot be written is
        None.
    labels : mapping of str to array of shape (len(ids),)
        Known properties; "energy_ev" is always the total reference energy in eV.
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
        object.__setattr__(self, "columns", _Columns(self.columns))

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, which: ArrayLike) -> Samples:
        """Return some of the samples.

        Parameters
        ----------
        which : array of bool of shape (len(self),), or array of int
            A mask, or positions in the order wanted.

        Returns
        -------
        Samples
            `n_skipped` is kept: it tells of the source, not of the part taken.

        Raises
        ------
        ValueError
            If a mask has another length, or positions are out of range or come twice.
        """
        chosen = self._positions(np.asarray(which))
        return Samples(
            ids=tuple(self.ids[i] for i in chosen),
            columns={name: [v[i] for i in chosen] for name, v in self.columns.items()},
            labels={name: np.asarray(v)[chosen] for name, v in self.labels.items()},
            n_skipped=self.n_skipped,
        )

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

    def _positions(self, which: NDArray[Any]) -> NDArray[np.int64]:
        if which.dtype == np.bool_:
            if which.shape != (len(self),):
                raise ValueError(
                    f"a mask must have shape ({len(self)},), one value a sample, got {which.shape}"
                )
            return np.flatnonzero(which)
        if which.ndim != 1 or (which.size and not np.issubdtype(which.dtype, np.integer)):
            raise ValueError(
                "`which` must be a mask or a list of positions, "
                f"got {which.dtype} of shape {which.shape}"
            )
        outside = which[(which < 0) | (which >= len(self))]
        if outside.size:
            raise ValueError(f"no sample at {outside[0]}: there are {len(self)} of them")
        return which.astype(np.int64)


class _Columns(Mapping[str, Sequence[Any]]):
    """The columns given, and those that can be made of them, each made once."""

    def __init__(self, given: Mapping[str, Sequence[Any]]) -> None:
        # Samples built of the columns of other samples share what those have made.
        shared = given if isinstance(given, _Columns) else None
        self._given: dict[str, Sequence[Any]] = shared._given if shared else dict(given)
        self._made: dict[str, Sequence[Any]] = shared._made if shared else {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        if name in self._given:
            return self._given[name]
        if name not in self._made:
            if name not in self:
                raise KeyError(name)
            self._made[name] = derive(name, self._given)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._given or (
            isinstance(name, str) and name in DERIVED and DERIVED[name] in self._given
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)
