"""Frames of an extended XYZ file, any of them read without the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from consilience.datasets._ase import charge_of, energy_of, from_ase
from consilience.datasets._gather import Sample


class Frames:
    """Where each frame of a file begins: a count of atoms, a comment, then a line an atom.

    Raises
    ------
    ValueError
        If the file cannot be read or its frames cannot be told apart.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.spans: list[tuple[int, int]] = []
        try:
            self._scan()
        except OSError as error:
            raise ValueError(f"cannot read {self.path}: {error}") from error
        if not self.spans:
            raise ValueError(f"{self.path} has no frame")

    def __len__(self) -> int:
        return len(self.spans)

    def read(self, i: int) -> Any:
        """Return frame i as ``ase.Atoms``, or None if it cannot be read."""
        import ase.io

        start, end = self.spans[i]
        with self.path.open("rb") as file:
            file.seek(start)
            text = file.read(end - start)
        # A frame may be broken in as many ways as there are fields.
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ase.io.read(StringIO(text.decode()), format="extxyz", index=0)
        except Exception:
            return None

    def sample(self, i: int, name: Callable[[Any], str]) -> Sample | None:
        """Return frame i as a sample called ``name(atoms)``, or None if it cannot be read."""
        atoms = self.read(i)
        if atoms is None:
            return None
        try:
            ours = from_ase(atoms, charge_of(atoms.info))
            return Sample(name(atoms), {"atoms": ours}, energy_of(atoms))
        except ValueError:
            return None

    def _scan(self) -> None:
        with self.path.open("rb") as file:
            number, start = 1, 0
            while line := file.readline():
                if not line.strip():
                    number, start = number + 1, file.tell()
                    continue
                if not line.strip().isdigit():
                    raise ValueError(
                        f"{self.path}, line {number}: a frame begins with its number of atoms, "
                        f"got {line[:60].decode(errors='replace').strip()!r}"
                    )
                n_lines = int(line) + 1
                if sum(bool(file.readline()) for _ in range(n_lines)) < n_lines:
                    raise ValueError(
                        f"{self.path}, line {number}: the file ends within a frame of "
                        f"{n_lines - 1} atoms"
                    )
                self.spans.append((start, file.tell()))
                number, start = number + n_lines + 1, file.tell()
