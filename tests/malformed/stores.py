"""Broken folders of our own store: its manifest, its ids, its links."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from consilience import store
from malformed.mutations import json_lies, mutations, nested

MANIFEST = "manifest.json"
IDS = (
    *(b"", b"\n", b"a\n", b"a\n" * 12, b"\xff\xfe\n" * 12, b"\0\n" * 12, b"a b\n" * 12),
    *(b"\r\n" * 12, b"\xed\xa0\x80\n" * 12, b"s\n" * 11 + b"s", b"\xe2\x80\xa8" * 12),
    *("".join(f"s{i}\r\n" for i in range(12)).encode(), b"../../etc/passwd\n" * 12),
)


def store_cases(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield stores of which one thing is broken."""
    good = folder / "good"
    shutil.rmtree(good, ignore_errors=True)
    X = np.arange(36, dtype=np.float32).reshape(12, 3)
    names = [f"s{i}" for i in range(12)]
    batches = [(names[:6], X[:6], {"energy": X[:6, 0]}), (names[6:], X[6:], {"energy": X[6:, 0]})]
    store.write(good, batches, model="m", dataset={"name": "d", "n": 12}, shard_bytes=64)
    body = json.loads((good / MANIFEST).read_text())

    def changed(name: str, change: Callable[[Path], Any]) -> tuple[str, Path]:
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(good, place)
        change(place)
        return name, place

    def text(content: bytes) -> Callable[[Path], Any]:
        return lambda place: (place / MANIFEST).write_bytes(content)

    for name, lie in itertools.islice(json_lies(body, seed=80), 0, None, 2):
        yield changed(name, text(json.dumps(lie).encode("utf8", "replace")))
    for content in (b"", b"[]", b"{}", nested(200_000), b"\xff\xfe", b"[" + b"[]," * 10**6 + b"1]"):
        yield changed(f"manifest {content[:6]!r}", text(content))
    twice = json.dumps(body)[:-1] + ', "model": "other"}'
    yield changed("model twice", text(twice.encode()))
    for name, content in mutations((good / MANIFEST).read_bytes(), seed=81, count=80):
        yield changed(f"manifest {name}", text(content))
    entry = first(body["ids"])
    for number, content in enumerate(IDS):
        yield changed(f"ids {number}", lambda place, c=content: resigned(place, entry["file"], c))
    for name, content in mutations((good / entry["file"]).read_bytes(), seed=82, count=40):
        yield changed(f"ids {name}", lambda place, c=content: resigned(place, entry["file"], c))
    shard = first(body["shards"])["file"]
    for name, content in mutations((good / shard).read_bytes(), seed=83, count=60, head=100):
        yield changed(f"shard {name}", lambda place, c=content: resigned(place, shard, c))
    for part in (shard, entry["file"], MANIFEST):
        yield changed(f"without {part[:4]}", lambda place, p=part: (place / p).unlink())
        yield changed(f"folder {part[:4]}", lambda place, p=part: _to_folder(place / p))
    outside = folder / "outside"
    shutil.copytree(good, outside, dirs_exist_ok=True)
    for part in (shard, entry["file"]):
        yield changed(
            f"! linked {part[:4]}", lambda place, p=part: _to_link(place / p, outside / p)
        )
        for way in (f"../outside/{part}", str(outside / part), f"./../outside/{part}"):
            lie = json.loads(json.dumps(body).replace(part, way))
            yield changed(f"! out by {way[:12]}", text(json.dumps(lie).encode()))


def _to_link(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)


def first(entries: Any) -> dict[str, Any]:
    return entries[0] if isinstance(entries, list) else entries


def resigned(place: Path, file: str, content: bytes) -> None:
    """Put `content` into a file with the size and checksum that the manifest then gives."""
    (place / file).write_bytes(content)
    text = (place / MANIFEST).read_text()
    body = json.loads(text)

    def sign(thing: Any) -> None:
        if isinstance(thing, dict) and thing.get("file") == file:
            thing["bytes"], thing["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        for inner in thing.values() if isinstance(thing, dict) else thing:
            if isinstance(inner, dict | list):
                sign(inner)

    sign(body)
    (place / MANIFEST).write_text(json.dumps(body))


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
