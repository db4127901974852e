"""Open every file of one format's corpus in this process, and print what came of it as JSON.

python -m malformed FORMAT FOLDER    (with `tests` on the path)
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from consilience import store
from malformed.corpus import CORPUS

# A watchdog, not a measure: the process ends with a traceback if one file takes so long.
SECONDS = 20


def opened(path: Path) -> str:
    """Open a file to its last row, and return "opened" or what was said."""
    if (path / "manifest.json").exists():
        stored = store.open(path)
        arrays = [stored.array(), stored.read(0, stored.shape[0])]
        assert len(set(stored.ids)) == len(stored.ids) == len(arrays[0])
    else:
        with store.open_rows(path) as rows:
            arrays = [rows.read(0, min(rows.shape[0], 100)), rows.whole()]
            assert arrays[1].shape == rows.shape
    for array in arrays:
        assert array.ndim == 2, array.shape
        assert 0 not in array.shape, array.shape
        assert array.dtype.newbyteorder("=") in (np.float16, np.float32, np.float64), array.dtype
    assert all(np.asarray(array[-1:]).nbytes for array in arrays)
    return "opened"


def tried(path: Path) -> str:
    """Return how opening a file ended; "WRONG …" if not as it may."""
    try:
        return opened(path)
    except (ValueError, TypeError, FileNotFoundError) as error:
        named = path.name in str(error)
        short = len(str(error)) < 2000
        return "refused" if named and short else f"WRONG words: {error!r}"[:400]
    except Exception as error:
        return f"WRONG {type(error).__name__}: {error!r}"[:400]


def peak() -> int:
    """Return the most memory this process has had, in bytes."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition("VmHWM:")[2].split()[0])


def main(kind: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    counts, wrong, slowest, grown, number = {}, [], (0.0, ""), (0, ""), 0
    cases = CORPUS[kind](folder)
    warmed = False
    for name, path in cases:
        if not warmed:  # libraries are imported before anything is measured
            tried(path)
            gc.collect()
            gc.freeze()  # so that to collect after each file costs little
            warmed = True
        (folder / "at").write_text(name)
        before, start = _now(), time.process_time()
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        result = tried(path)
        faulthandler.cancel_dump_traceback_later()
        seconds = time.process_time() - start
        gc.collect()
        counts[result.split(" ", 1)[0]] = counts.get(result.split(" ", 1)[0], 0) + 1
        if name.startswith("!") and result == "opened":
            result = "WRONG opened, must be refused"
        if result.startswith("WRONG"):
            wrong.append(f"{name}: {result}")
        slowest = max(slowest, (seconds, name))
        grown = max(grown, (peak() - before, name))
        number += 1
        for mark in (folder / "MARK", Path("MARK")):
            if mark.exists():
                wrong.append(f"{name}: WRONG code was run")
                mark.rmdir()
    print(  # noqa: T201
        json.dumps(
            {
                "files": number,
                "counts": counts,
                "wrong": wrong,
                "slowest": slowest,
                "grown": grown,
            }
        )
    )


def _now() -> int:
    """Start the peak of this process anew at what it holds now, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
