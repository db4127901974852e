"""Broken .npy, .npz and .safetensors files."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from malformed.mutations import LIES, json_lies, mutations, nested

Case = tuple[str, bytes]
X = np.arange(30, dtype=np.float32).reshape(10, 3) / 7


class Marker:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def npy(header: str, data: bytes = X.tobytes(), version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text) & 0xFFFF)
    return b"\x93NUMPY" + version + length + text + data


def npy_of(array: np.ndarray, *, pickled: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=pickled)
    return out.getvalue()


SHAPES = (
    *("(-1, 3)", "(10, -3)", "(-10, -3)", "(0, 3)", "(10, 0)", "()", "(30,)", "(10, 3, 1)"),
    *("(2**70, 3)", "(9223372036854775807, 9223372036854775807)", "(4294967296, 4294967296)"),
    *(
        "(10.0, 3)",
        "(nan, 3)",
        "(None, 3)",
        "(True, 3)",
        "(10, '3')",
        "[10, 3]",
        "10",
        "(1e9, 1e9)",
    ),
    *("(" + "9" * 5000 + ", 3)", "(" + "1," * 4000 + ")", "(" * 200 + ")" * 200, "((10, 3), 3)"),
    *("(1000000000, 1)", "(10, 3000000000)", "(10, 4)", "(11, 3)", "(2, 3)", "(3L, 3L)"),
)
DESCRS = (
    *("'<f4'", "'>f4'", "'|O'", "'<f8'", "'<f2'", "'<f16'", "'<i4'", "'<c8'", "'<U3'", "'|V4'"),
    *("'f4,f4'", "'3f4'", "'(2,)f4'", "[('a', '<f4')]", "[('a', 'O')]", "[('a', '<f4', (3,))]"),
    *(
        "'M8[s]'",
        "'<f0'",
        "'<f3'",
        "'<f99999999'",
        "''",
        "'x'",
        "None",
        "1",
        "['<f4']",
        "('<f4', 3)",
    ),
    *("'|S0'", "'|b1'", "'O'", "__import__('os').mkdir('MARK')", "'<f4' * 10**9", "[[[]]]"),
)
ORDERS = ("False", "True", "0", "None", "'no'", "[]")


def npy_cases(folder: Path) -> Iterator[Case]:
    good = "{'descr': '<f4', 'fortran_order': False, 'shape': (10, 3), }"
    for shape, order in itertools.product(SHAPES, ORDERS[:2]):
        text = f"{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}"
        yield f"shape {shape[:20]} {order}", npy(text)
    for descr, order in itertools.product(DESCRS, ORDERS[:2]):
        text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': (10, 3), }}"
        yield f"descr {descr[:20]} {order}", npy(text)
    for order in ORDERS:
        yield f"order {order}", npy(good.replace("False", order))
    for number, text in enumerate(
        (
            *("", "{}", "[]", "1", "{'descr'", good + good, good[:-1], "\0" * 64, "(" * 9000),
            *(good.replace("}", "'x': 1}"), "{" * 3000, "-" * 9000 + "1", "'" + "a" * 9000),
            *("{'descr': '<f4'}", "[" * 99 + "]" * 99, "\xff\xfe", good.replace("(", "\\")),
            *("{**1}", "f'{1}'", "lambda: 1", "__import__('os').mkdir('MARK')", "\n\n\t  if 1:"),
        )
    ):
        for version in (b"\1\0", b"\2\0", b"\3\0"):
            yield f"header {number} {version!r}", npy(text, version=version)
    for version in (b"\0\0", b"\1\1", b"\4\0", b"\xff\xff"):
        yield f"version {version!r}", npy(good, version=version)
    for length in (0, 1, 0xFFFF):
        yield f"length {length}", b"\x93NUMPY\1\0" + struct.pack("<H", length) + good.encode()
    yield "length 4 GiB", b"\x93NUMPY\2\0\xff\xff\xff\xff" + good.encode()
    yield "no data", npy(good, b"")
    yield "header of 10 MB", npy(good + " " * 10_000_000, version=b"\2\0")[:10_000_100]
    objects = np.array([[Marker(folder / "MARK")]], dtype=object)
    yield "! objects", npy_of(objects, pickled=True)
    yield "objects as floats", npy_of(objects, pickled=True).replace(b"'|O'", b"'<f4'")
    yield "! bare pickle", pickle.dumps(Marker(folder / "MARK"))
    yield "a zip", _zip({"a.npy": npy_of(X)})
    yield from mutations(npy_of(X), seed=1, count=160, head=128)


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return out.getvalue()


def _twice(first: bytes, second: bytes) -> bytes:
    return _zip({"a.npy": first, "b.npy": second}).replace(b"b.npy", b"a.npy")


def _bomb(size: int, declared: tuple[int, int]) -> bytes:
    """Return a .npz whose member unpacks to `size` zeros, without making them here."""
    header = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {declared}, }}", b"")
    packer = zlib.compressobj(9, wbits=-15)
    pieces, check, chunk = [packer.compress(header)], zlib.crc32(header), b"\0" * (1 << 20)
    for _ in range(size >> 20):
        pieces.append(packer.compress(chunk))
        check = zlib.crc32(chunk, check)
    packed = b"".join([*pieces, packer.flush()])
    name, total = b"a.npy", len(header) + (size >> 20 << 20)
    fields = (20, 0, 8, 0, 0, check, len(packed), total, len(name), 0)
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + name
    central = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, 0, 0, 0, 0, 0) + name
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + b"PK\5\6" + end


def npz_cases(folder: Path) -> Iterator[Case]:
    good, deflated = npy_of(X), zipfile.ZIP_DEFLATED
    objects = npy_of(np.array([[Marker(folder / "MARK")]], dtype=object), pickled=True)
    for name, content in itertools.islice(npy_cases(folder), 0, 130, 2):
        if len(content) < 100_000:
            yield f"stored {name}", _zip({"a.npy": content})
            yield f"packed {name}", _zip({"a.npy": content}, deflated)
    yield "! bomb", _bomb(256 << 20, (1 << 26, 1))
    yield "bomb that says it is small", _bomb(64 << 20, (10, 3))
    yield "! member that lies of its size", _bomb(1 << 20, (1 << 40, 4))
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield f"compressed by {kind}", _zip({"a.npy": good}, kind)
    yield "! member twice", _twice(good, good)
    yield "! member twice, pickled", _twice(good, objects)
    yield "no member", _zip({})
    yield "no array", _zip({"a.txt": b"hello"})
    yield "! pickle", _zip({"a.npy": objects})
    yield "pickle beside", _zip({"a.npy": good, "b.npy": objects})
    yield "! a pickle, bare", _zip({"a": pickle.dumps(Marker(folder / "MARK"))})
    for name in ("../a.npy", "/etc/passwd.npy", "C:\\a.npy", "a/../../b.npy", "\u202e.npy", ".npy"):
        yield f"called {name!r}", _zip({name: good})
        yield f"! called {name!r}, a pickle", _zip({name: objects})
    yield "many members", _zip({f"{i}.npy": b"" for i in range(2000)})
    yield "two matrices", _zip({"a.npy": good, "b.npy": good})
    encrypted = bytearray(_zip({"a.npy": good}))
    encrypted[6] |= 1
    encrypted[encrypted.rindex(b"PK\1\2") + 8] |= 1
    yield "! encrypted", bytes(encrypted)
    whole = _zip({"a.npy": good})
    at = whole.rindex(b"PK\5\6")
    for offset, size in ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)):
        for value in (b"\xff", b"\0", b"\x7f"):
            start = at + offset
            yield f"end {offset} {value!r}", whole[:start] + value * size + whole[start + size :]
    at = whole.rindex(b"PK\1\2")
    for offset in range(4, 46, 2):
        for value in (b"\xff\xff", b"\0\0"):
            start = at + offset
            yield f"list {offset} {value!r}", whole[:start] + value + whole[start + 2 :]
    for kind, seed in ((zipfile.ZIP_STORED, 2), (deflated, 3)):
        for name, content in mutations(_zip({"a.npy": good}, kind), seed, 110, tail=140):
            yield f"{kind} {name}", content


def tensors(header: object, data: bytes = X.tobytes(), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf8", "replace")
    size = len(text) if length is None else length
    return struct.pack("<Q", size & (2**64 - 1)) + text + data


def safetensors_cases(folder: Path) -> Iterator[Case]:
    entry = {"dtype": "F32", "shape": [10, 3], "data_offsets": [0, 120]}
    good = {"x": entry}
    for name, body in json_lies(good, seed=4):
        yield name, tensors(body)
    for length in (0, 1, 7, 10**6, 2**31, 2**62, 2**63, 2**64 - 1):
        yield f"header of {length}", tensors(good, length=length)
    for dtype in ("F16", "BF16", "F64", "F8_E4M3", "I8", "BOOL", "f32", "F4", "C64", "O"):
        yield f"dtype {dtype}", tensors({"x": entry | {"dtype": dtype}})
    for begin, end in ((4, 124), (-120, 0), (120, 0), (0, 121), (2**63, 2**63 + 120), (60, 180)):
        yield f"offsets {begin} {end}", tensors({"x": entry | {"data_offsets": [begin, end]}})
    yield "! overlapping", tensors({"x": entry, "y": entry})
    half = {"dtype": "F32", "shape": [5, 3], "data_offsets": [30, 90]}
    yield "! overlapping halves", tensors({"x": entry, "y": half})
    yield "! name twice", tensors(b'{"x": %s, "x": %s}' % ((json.dumps(entry).encode(),) * 2))
    for name in ("../x", "/etc/passwd", "\0", "\x1b[31m", "\u202e", "x" * 100_000, ""):
        yield f"called {name[:20]!r}", tensors({name: entry})
    for lie in LIES:
        yield f"metadata {lie!r}"[:60], tensors({"__metadata__": lie, "x": entry})
    for text in (
        *(
            nested(100_000),
            nested(3_000_000),
            nested(100_000, b'{"a":', b"}"),
            b"[],",
            b"{}",
            b"[]",
        ),
        *(b"null", b"NaN", b'"' + b"a" * 3_000_000 + b'"', b"1" * 100_000, b"{" * 64, b"\xff" * 64),
        *(
            json.dumps(good).encode("utf-16"),
            b"\xef\xbb\xbf" + json.dumps(good).encode(),
            b" " * 64,
        ),
        *(b"[" + b"[]," * 1_000_000 + b"[]]", b'{"x":' + b"[" + b"{}," * 900_000 + b"{}]}"),
    ):
        yield f"header {text[:12]!r} {len(text)}", tensors(text)
    shape = b'{"x": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 120]}}'
    yield "many extents", tensors(shape % b",".join([b"9" * 300] * 5000))
    many = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_000)}
    yield "many tensors", tensors(many | {"x": entry})
    yield "! pickle", pickle.dumps(Marker(folder / "MARK"))
    yield from mutations(tensors(good), seed=5, count=200, head=80)
