"""Ways to break bytes and JSON, all from a seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

LIES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    float("nan"),
    float("inf"),
    2**31,
    2**63,
    10**400,
    "",
    "x",
    "\0",
    "../../etc/passwd",
    "/etc/passwd",
    "\ud800",
    [],
    [[]],
    [-1, -1],
    [2**40, 2**40],
    {},
    {"..": 1},
)


def mutations(
    content: bytes, seed: int, count: int, head: int = 512, tail: int = 512
) -> Iterator[tuple[str, bytes]]:
    """Yield `count` breakings of `content`, most of them where formats keep their structure."""
    rng = random.Random(seed)
    size = len(content)
    fixed = [b"", content[:1], content[:8], content[: size // 2], content[:-1], content + content]
    fixed += [b"\0" * size, bytes(range(256)) * 4, content[1:], b"\n" + content]
    for number, broken in enumerate(fixed):
        yield f"fixed {number}", broken
    for number in range(count - len(fixed)):
        place = rng.choice(("head", "head", "tail", "anywhere"))
        low, high = {"head": (0, head), "tail": (size - tail, size), "anywhere": (0, size)}[place]
        at = rng.randrange(max(0, low), max(1, min(high, size)))
        way = rng.choice(("bit", "bit", "byte", "bytes", "cut", "drop", "insert", "repeat"))
        yield f"{way} {number} at {at}", _broken(content, way, at, rng)


def _broken(content: bytes, way: str, at: int, rng: random.Random) -> bytes:
    out = bytearray(content)
    length = rng.choice((1, 2, 4, 8, 64))
    if way == "bit":
        out[at] ^= 1 << rng.randrange(8)
    elif way == "byte":
        out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    elif way == "bytes":
        out[at : at + length] = rng.choice((b"\xff", b"\0", b"\x7f", b"9")) * length
    elif way == "cut":
        del out[at:]
    elif way == "drop":
        del out[at : at + length]
    elif way == "insert":
        out[at:at] = rng.randbytes(length)
    else:
        out[at:at] = content[at : at + length] * rng.choice((1, 50))
    return bytes(out)


def json_lies(body: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield copies of `body` with one thing in it changed, removed or renamed."""
    rng = random.Random(seed)
    for path in _paths(body):
        where = "/".join(map(str, path))
        for lie in LIES:
            yield f"{where} = {lie!r}"[:80], _changed(body, path, lie)
        if path:
            yield f"without {where}", _changed(body, path, None, remove=True)
            yield f"{where} twice in itself", _changed(body, path, body)
    yield "shuffled words", json.loads(_shuffled(json.dumps(body), rng))


def _paths(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(body, dict):
        for key, value in body.items():
            yield from _paths(value, (*path, key))
    elif isinstance(body, list):
        for place, value in enumerate(body[:2]):
            yield from _paths(value, (*path, place))


def _changed(body: Any, path: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    if not path:
        return value
    out = copy.deepcopy(body)
    inner = out
    for step in path[:-1]:
        inner = inner[step]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return out


def _shuffled(text: str, rng: random.Random) -> str:
    digits = [c for c in text if c.isdigit()]
    rng.shuffle(digits)
    out = "".join(digits.pop() if c.isdigit() else c for c in text)
    try:
        json.loads(out)
    except ValueError:
        return text
    return out


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """Return JSON that is nested `depth` deep."""
    return opening * depth + closing * depth
