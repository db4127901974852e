"""Files and stores of embeddings from mutated bytes: rows or one sentence, nothing else.

python tests/fuzz/fuzz_readers.py [--seconds 60] [--atheris] [npy npz safetensors …]
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from consilience import store
from embedding_formats import FORMATS
from fuzz.loop import Target, main
from malformed import stores
from malformed.__main__ import tried

X = np.arange(30, dtype=np.float32).reshape(10, 3) / 7
IDS = tuple(f"s{i}" for i in range(10))


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _judged(path: Path) -> None:
    result = tried(path)
    if result.startswith("WRONG"):
        raise AssertionError(result)


def _file(suffix: str, *formats: str) -> Callable[[], tuple[Target, list[bytes]]]:
    def made() -> tuple[Target, list[bytes]]:
        folder = _folder()
        seeds = []
        for number, name in enumerate(formats):
            place = folder / str(number)
            place.mkdir()
            FORMATS[name](place, X, IDS)
            (path,) = place.iterdir()
            seeds.append(path.read_bytes())
        file = folder / f"case{suffix}"

        def target(content: bytes) -> None:
            file.write_bytes(content)
            _judged(file)

        return target, seeds

    return made


def _store(part: str) -> Callable[[], tuple[Target, list[bytes]]]:
    def made() -> tuple[Target, list[bytes]]:
        place = _folder() / "case"
        batches = [(IDS[:5], X[:5]), (IDS[5:], X[5:])]
        store.write(place, batches, model="m", dataset={"name": "d"}, shard_bytes=64)
        whole = (place / stores.MANIFEST).read_bytes()
        body = json.loads(whole)
        entry = stores.first(body["ids"])["file"]
        file = entry if part == "ids" else stores.MANIFEST
        good = (place / file).read_bytes()

        def target(content: bytes) -> None:
            (place / stores.MANIFEST).write_bytes(whole)
            if part == "ids":
                stores.resigned(place, file, content)
            else:
                (place / file).write_bytes(content)
            _judged(place)

        return target, [good]

    return made


TARGETS = {
    "npy": _file(".npy", "npy", "npy columns"),
    "npz": _file(".npz", "npz", "npz packed", "npz named"),
    "safetensors": _file(".safetensors", "safetensors"),
    "manifest": _store("manifest"),
    "ids": _store("ids"),
    "csv": _file(".csv", "csv", "csv numbers"),
    "parquet": _file(".parquet", "parquet lists", "parquet columns"),
    "arrow": _file(".arrow", "arrow lists", "arrow stream", "feather"),
    "hdf5": _file(".h5", "hdf5", "hdf5 ids"),
    "torch": _file(".pt", "torch", "torch mapping"),
}

if __name__ == "__main__":
    main(TARGETS)
