"""Rows of ASE databases by number: SQLite files, and LMDB files as FAIR chemistry publishes them.

An .aselmdb file maps the decimal number of a row to zlib-packed JSON in the notation of ASE;
"nextid" and "deleted_ids" tell which numbers there are.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENDINGS = (".db", ".aselmdb")


class Rows:
    """Rows of one file; only the row that is asked for is read.

    Attributes
    ----------
    path : Path
    ids : int64 array of shape (n_rows,)
        Numbers of the rows, rising.

    Raises
    ------
    ValueError
        If the file is no such database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.ids = self._lmdb_ids() if self.is_lmdb else self._sqlite_ids()
        except Exception as error:
            raise ValueError(f"cannot read {path} as an ASE database: {error}") from error

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_lmdb(self) -> bool:
        """Which of the two kinds it is."""
        return self.path.suffix == ".aselmdb"

    def row(self, i: int) -> Any:
        """Return row i, counted from 0, as an ``AtomsRow``."""
        from ase.db import connect
        from ase.db.row import AtomsRow

        number = int(self.ids[i])
        if not self.is_lmdb:
            # ase opens for writing and makes a lock file unless told not to.
            return connect(self.path, type="db", use_lock_file=False).get(id=number)
        with self._transaction() as transaction:
            packed = transaction.get(str(number).encode())
        if packed is None:
            raise ValueError(f"{self.path} has no row {number}")
        return AtomsRow({**_unpacked(packed), "id": number})

    def _sqlite_ids(self) -> NDArray[np.int64]:
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            found = connection.execute("SELECT id FROM systems ORDER BY id").fetchall()
        return np.array(found, np.int64).reshape(-1)

    def _lmdb_ids(self) -> NDArray[np.int64]:
        with self._transaction() as transaction:
            last, deleted = (transaction.get(key) for key in (b"nextid", b"deleted_ids"))
        if last is None:
            raise ValueError("it has no entry 'nextid'")
        ids = np.arange(1, int(_unpacked(last)), dtype=np.int64)
        return ids[~np.isin(ids, list(_unpacked(deleted)))] if deleted is not None else ids

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        """Open the file for one look: LMDB forbids to keep it open across a fork."""
        import lmdb

        options = {"subdir": False, "readonly": True, "lock": False, "readahead": False}
        with lmdb.open(str(self.path), **options) as environment, environment.begin() as opened:
            yield opened


def _unpacked(packed: bytes) -> Any:
    from ase.io.jsonio import decode

    return decode(zlib.decompress(packed).decode())
