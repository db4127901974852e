"""Rows kept while they are made, so that an interrupted run goes on where it was.

A piece is two files beside the store to come: the rows (and outputs) of some batches as NumPy
arrays, and a note with their ids, a checksum and what they are rows of. The note comes last: a
piece without one was never finished. Pieces are gone once the store is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._files import write_durably

SECONDS = 20.0
PIECE_BYTES = 64 << 20

Piece = tuple[tuple[str, ...], NDArray[Any], dict[str, NDArray[Any]]]


class Pieces:
    """The pieces in a folder that answer one question.

    Parameters
    ----------
    folder : path
        Where the store will be.
    question : mapping
        What is being embedded by what, JSON-able; pieces of another question are removed.
    seconds : float
        A piece is closed after this long.
    """

    def __init__(
        self, folder: str | Path, question: Mapping[str, Any], *, seconds: float = SECONDS
    ) -> None:
        self.folder = Path(folder)
        self.digest = _digest(json.dumps(question, sort_keys=True).encode())
        self.seconds = seconds

    def kept(self) -> Iterator[Piece]:
        """Yield (ids, rows, outputs) of the whole pieces, in order; remove the rest."""
        number = 0
        while (piece := self._read(number)) is not None:
            yield piece
            number += 1
        self._remove_from(number)

    def keep(self, batches: Iterable[Sequence[Any]]) -> Iterator[Piece]:
        """Pass batches of (ids, rows, outputs) on, and write them down as they pass."""
        number = sum(1 for _ in self.folder.glob("piece-*.json"))
        held: list[Piece] = []
        since = time.monotonic()
        for ids, rows, outputs in batches:
            held.append((tuple(ids), np.asarray(rows), dict(outputs)))
            size = sum(rows.nbytes for _, rows, _ in held)
            if time.monotonic() - since >= self.seconds or size >= PIECE_BYTES:
                self._write(number, held)
                held, since, number = [], time.monotonic(), number + 1
            yield tuple(ids), rows, dict(outputs)

    def clear(self) -> None:
        """Remove all pieces."""
        self._remove_from(0)

    def _write(self, number: int, batches: list[Piece]) -> None:
        names = batches[0][2]
        arrays = {
            "rows": np.concatenate([rows for _, rows, _ in batches]),
            **{f"output {n}": np.concatenate([o[n] for _, _, o in batches]) for n in names},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        content = buffer.getvalue()
        note = {
            "question": self.digest,
            "sha256": _digest(content),
            "ids": [sample for ids, _, _ in batches for sample in ids],
        }
        write_durably(self._file(number, "npz"), content)
        write_durably(self._file(number, "json"), json.dumps(note).encode())

    def _read(self, number: int) -> Piece | None:
        try:
            note = json.loads(self._file(number, "json").read_bytes())
            content = self._file(number, "npz").read_bytes()
            if (note["question"], note["sha256"]) != (self.digest, _digest(content)):
                return None
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                outputs = {n.partition(" ")[2]: arrays[n] for n in arrays.files if n != "rows"}
                return tuple(note["ids"]), arrays["rows"], outputs
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remove_from(self, number: int) -> None:
        # the note first: a piece without one does not count
        for kind in ("json", "npz"):
            for path in self.folder.glob(f"piece-*.{kind}"):
                if int(path.stem.partition("-")[2]) >= number:
                    path.unlink(missing_ok=True)

    def _file(self, number: int, kind: str) -> Path:
        return self.folder / f"piece-{number:05d}.{kind}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
