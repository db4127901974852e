"""Results of tasks in a folder: what is there and whole is never computed again.

FOLDER/results/OP-DIGEST.npz    the terms of one task
FOLDER/results/OP-DIGEST.json   their checksum, and who took how long; written last
FOLDER/arrays/DIGEST.npy        arrays of this process that others open
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from consilience._files import exclusive, naming, sha256_of
from consilience.backends.striped._arrays import SharedArrays
from consilience.backends.striped._ops import OPS
from consilience.terms import Saved

# How long a file that another machine wrote may take to be seen here (NFS keeps names that long).
SEEN_WITHIN = 60.0


class Journal:
    """The results of a comparison, held against other processes until it is closed.

    Parameters
    ----------
    folder : path, optional
        A temporary one, removed at the end, if None.
    keep : bool
        Whether results stay when the comparison is finished.

    Raises
    ------
    FileExistsError
        If another process works with the folder.
    """

    def __init__(self, folder: str | Path | None, *, keep: bool = True) -> None:
        self.kept = folder is not None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="consilience-")).resolve()
        self._results = self.folder / "results"
        self._results.mkdir(parents=True, exist_ok=True)
        self._keep = keep
        self._held = ExitStack()
        try:
            self._held.enter_context(exclusive(self.folder))
        except FileExistsError as error:
            raise FileExistsError(
                f"another process works with the checkpoint {self.folder}; wait until it ends, "
                "or give another folder"
            ) from error
        self.arrays = SharedArrays(self.folder / "arrays")
        self.computed = 0
        self.reused = 0

    def path(self, name: str) -> Path:
        """Return where the result of a task is to be."""
        return self._results / f"{name}.npz"

    def found(self, name: str) -> dict[str, Any] | None:
        """Return the record of a result that is there and whole, or None; damage is told."""
        path = self.path(name)
        try:
            with naming(path):
                record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            whole = sha256_of(path) == record["sha256"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, UnicodeDecodeError):
            whole = False
        if not whole:
            warnings.warn(f"{path} is damaged and is computed again", stacklevel=2)
            return None
        return {"path": str(path), **record}

    def load(self, op: str, record: Mapping[str, Any]) -> Saved:
        """Return the terms of a record.

        Raises
        ------
        ValueError
            If they are not what was written.
        """
        path = Path(record["path"])
        _wait_for(path)
        if sha256_of(path) != record["sha256"]:
            raise ValueError(
                f"{path} is not what {record['worker']} wrote; run the comparison again: this "
                "task alone will be computed anew"
            )
        try:
            with naming(path):
                return OPS[op].terms.load(path)
        except (BadZipFile, EOFError) as error:  # what is read of a file that cannot be read
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path)) from error

    def close(self, *, finished: bool) -> None:
        """Let go of the folder, and of what is no longer needed in it."""
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif finished:
            self.arrays.remove()
            if not self._keep:
                shutil.rmtree(self._results, ignore_errors=True)
        self._held.close()
        if self.kept and finished and not self._keep:
            (self.folder / ".lock").unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > deadline:
            raise FileNotFoundError(
                f"a worker wrote {path}, which is not seen here; the checkpoint folder must be on "
                "a file system that all workers share"
            )
        time.sleep(0.2)
