"""Broken files of the formats that other libraries read."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embedding_formats import FORMATS
from malformed.mutations import json_lies, mutations, nested
from malformed.native import Marker, X, _zip

Case = tuple[str, bytes]
IDS = tuple(f"s{i}" for i in range(len(X)))


def _written(name: str, folder: Path) -> bytes:
    """Return the bytes of a good file of a format."""
    place = folder / "good"
    place.mkdir(exist_ok=True)
    FORMATS[name](place, X, IDS)
    (path,) = place.iterdir()
    content = path.read_bytes()
    path.unlink()
    return content


def torch_cases(folder: Path) -> Iterator[Case]:
    import torch

    def saved(thing: object, **how: object) -> bytes:
        out = io.BytesIO()
        torch.save(thing, out, **how)
        return out.getvalue()

    tensor = torch.from_numpy(X.copy())
    yield "! a pickle", pickle.dumps(Marker(folder / "MARK"))
    yield "! code inside", saved({"x": tensor, "y": Marker(folder / "MARK")})
    yield "! a module", saved(torch.nn.Linear(3, 3))
    yield "! legacy", saved(tensor, _use_new_zipfile_serialization=False)
    yield "! legacy with code", saved(Marker(folder / "MARK"), _use_new_zipfile_serialization=False)
    yield "! expanded", saved(torch.zeros(1).expand(2**20, 2**20))
    yield "expanded a little", saved(torch.zeros(1).expand(50, 20))
    yield "! whole numbers", saved(tensor.long())
    yield "complex", saved(tensor.to(torch.complex64))
    yield "! sparse", saved(tensor.to_sparse())
    yield "quantized", saved(tensor.to(torch.float8_e4m3fn))
    yield "meta", saved(torch.empty(10, 3, device="meta"))
    yield "nested", saved({"a": {"b": tensor}})
    yield "two", saved({"a": tensor, "b": tensor})
    for thing in ([], {}, None, "x", 1.5, [tensor], torch.zeros(3), torch.zeros(0, 3)):
        yield f"{type(thing).__name__} {str(thing)[:20]}", saved(thing)
    good = saved(tensor)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()}
    key = next(name for name in members if name.endswith("data.pkl"))
    yield "! another pickle", _zip(members | {key: pickle.dumps(Marker(folder / "MARK"))})
    yield "! old pickle", _zip(members | {key: pickle.dumps(Marker(folder / "MARK"), 0)})
    yield "memo bomb", _zip(members | {key: b"\x80\x02" + b"]q\x00" + b"h\x00" * 3_000_000 + b"."})
    yield "bytes of 16 GiB", _zip(members | {key: b"\x80\x04\x8e" + b"\0\0\0\0\4\0\0\0" + b"."})
    array = b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\0\0\0\0\x40\0\x85R."
    yield "bytearray of 256 GiB", _zip(members | {key: array})
    yield "packed", _zip(members, zipfile.ZIP_DEFLATED)
    for name in members:
        yield f"without {name}", _zip({k: v for k, v in members.items() if k != name})
        yield f"empty {name}", _zip(members | {name: b""})
    for name, content in mutations(members[key], seed=6, count=60):
        yield f"pickle {name}", _zip(members | {key: content})
    yield from mutations(good, seed=7, count=60, head=300, tail=300)


def parquet_cases(folder: Path) -> Iterator[Case]:
    for seed, name in enumerate(("parquet lists", "parquet columns", "parquet fixed")):
        good = _written(name, folder)
        yield from mutations(good, seed=10 + seed, count=60, head=200, tail=900)
    yield from _tables(folder, "parquet")


def arrow_cases(folder: Path) -> Iterator[Case]:
    for seed, name in enumerate(("arrow lists", "arrow stream", "feather")):
        good = _written(name, folder)
        yield from mutations(good, seed=20 + seed, count=70, head=900, tail=900)
    yield "feather 1", b"FEA1" + b"\0" * 64 + b"FEA1"
    yield from _tables(folder, "arrow")


def _tables(folder: Path, kind: str) -> Iterator[Case]:
    """Yield good files of tables that are no embedding, and Arrow's own traps."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = pa.array([[1.0, 2.0], [3.0], None])
    dictionary = pa.DictionaryArray.from_arrays(
        pa.array([0, 7, 1], pa.int8()), pa.array([1.5, 2.5]), safe=False
    )
    ids = pa.DictionaryArray.from_arrays(
        pa.array([0, 7, 1], pa.int8()), pa.array(["a", "b"]), safe=False
    )
    floats, half = pa.array([1.0, 2.0, 3.0]), pa.array([[1.0], [2.0], [3.0]])
    tables = {
        "! ragged": {"x": lists},
        "! missing": {"x": pa.array([1.0, None, 2.0])},
        "! missing inside": {"x": pa.array([[1.0], [None], [2.0]])},
        "! whole numbers": {"x": pa.array([[1], [2], [3]])},
        "words": {"x": pa.array(["a", "b", "c"])},
        "two lists": {"x": half, "y": half},
        "no rows": {"x": pa.array([], pa.list_(pa.float32()))},
        "no columns": {},
        "lists of lists": {"x": pa.array([[[1.0]], [[2.0]], [[3.0]]])},
        "structs": {"x": pa.array([{"a": 1.0}] * 3)},
        "! missing id": {"id": pa.array(["a", None, "b"]), "x": floats},
        "binary": {"x": pa.array([b"abc"] * 3)},
        "width 0": {"x": pa.array([[], [], []], pa.list_(pa.float64()))},
    }
    if kind == "arrow":
        tables |= {"wild dictionary": {"x": dictionary}, "wild ids": {"id": ids, "x": floats}}
    for name, columns in tables.items():
        table, out = pa.table(columns), io.BytesIO()
        if kind == "parquet":
            pq.write_table(table, out)
        else:
            with pa.ipc.new_file(out, table.schema) as writer:
                writer.write_table(table)
        yield name, out.getvalue()


def hdf5_cases(folder: Path) -> Iterator[Case]:
    import h5py

    yield from mutations(_written("hdf5", folder), seed=30, count=80, head=3000, tail=2500)

    def made(fill: object) -> bytes:
        path = folder / "trap.h5"
        with h5py.File(path, "w") as file:
            fill(file)
        content = path.read_bytes()
        path.unlink()
        return content

    def packed(file):
        file.create_dataset("x", data=X, chunks=(4, 2), compression="gzip", shuffle=True)
        file["id"] = list(IDS)

    yield from mutations(made(packed), seed=31, count=80, head=3000, tail=2500)
    (folder / "secret.bin").write_bytes(b"\0" * 4096)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = X
    secret = str(folder / "secret.h5")

    def virtual(file):
        layout = h5py.VirtualLayout(X.shape, "f4")
        layout[:] = h5py.VirtualSource(secret, "x", X.shape)
        file.create_virtual_dataset("x", layout)

    yield "! virtual", made(virtual)
    raw = [(str(folder / "secret.bin"), 0, 120)]
    yield "! external", made(lambda f: f.create_dataset("x", X.shape, "f4", external=raw))
    yield "! external link", made(lambda f: f.__setitem__("x", h5py.ExternalLink(secret, "/x")))
    passwd = [("/etc/passwd", 0, 120)]
    yield "! passwd", made(lambda f: f.create_dataset("x", X.shape, "f4", external=passwd))
    yield "! soft link", made(lambda f: f.__setitem__("x", h5py.SoftLink("/y")))
    yield "! huge", made(lambda f: f.create_dataset("x", (2**40, 2**20), "f4", chunks=(8, 8)))
    yield "! huge, whole", made(lambda f: f.create_dataset("x", (2**30, 2**20), "f4"))
    yield (
        "huge chunk",
        made(lambda f: f.create_dataset("x", (2**15, 2**14), "f4", chunks=(2**14, 2**14))),
    )
    yield "not filled", made(lambda f: f.create_dataset("x", (100, 3), "f4"))
    yield "null", made(lambda f: f.create_dataset("x", data=h5py.Empty("f4")))
    yield "numbers", made(lambda f: f.create_dataset("x", data=X.astype(int)))
    yield "scalar", made(lambda f: f.create_dataset("x", data=1.5))
    yield "deep", made(lambda f: f.create_group("/".join("a" * 800)))
    yield "many", made(lambda f: [f.create_group(str(i)) for i in range(3000)])
    yield "other width of ids", made(lambda f: f.update({"x": X, "ids": ["a", "b"]}))
    kind = h5py.special_dtype(vlen=np.float32)
    yield "! ragged", made(lambda f: f.create_dataset("x", (3, 2), kind))


def h5ad_cases(folder: Path) -> Iterator[Case]:
    import h5py

    def made(fill: object) -> bytes:
        path = folder / "trap.h5ad"
        with h5py.File(path, "w") as file:
            fill(file)
        content = path.read_bytes()
        path.unlink()
        return content

    def obs(file, index="names", names=IDS):
        file["X"] = X
        file.create_group("obs").attrs["_index"] = index
        file["obs"]["names"] = list(names)

    yield from mutations(made(obs), seed=40, count=80, head=3000, tail=3000)
    yield "index elsewhere", made(lambda f: obs(f, "../../x"))
    yield "no such index", made(lambda f: obs(f, "other"))
    yield "index is a number", made(lambda f: obs(f, 7))
    yield "too few names", made(lambda f: obs(f, names=IDS[:4]))
    yield "names are floats", made(lambda f: obs(f, names=X[:, 0]))
    yield "obs is a list", made(lambda f: f.update({"X": X, "obs": X}))
    yield "no X", made(lambda f: f.create_group("obs"))
    yield "! linked X", made(lambda f: f.__setitem__("X", h5py.ExternalLink("secret.h5", "/x")))

    def linked(file):
        obs(file)
        del file["obs/names"]
        file["obs/names"] = h5py.ExternalLink("secret.h5", "/x")

    yield "! linked names", made(linked)


TEXTS = (
    *(
        "",
        "\n",
        "\n\n\n",
        ",",
        ",,,\n,,,\n",
        "a\n",
        "a,b\n",
        "1\n2,3\n",
        "1,2\n3\n",
        "1,2\n3,4,5\n",
    ),
    *("a,a\n1,2\n", "id\n1\n", "id,id\n1,2\n", "1,2\nx,y\n", "1,2\n\n3,4\n", "1,nan\ninf,2\n"),
    *("1e999,2\n3,4\n", "1;2\n3;4\n", "0x10,1\n2,3\n", "1_000,2\n3,4\n", "1,2\r3,4"),
    *('a,"b\nc"\n1,2\n', "1,2\n3,4\n\0", "\0,1\n2,3\n", "1,2\n3,=cmd|' /C calc'!A0\n", "#\n1,2\n"),
    *("\ufeff1,2\n3,4\n", "x,y\nNA,NA\n", "a,b\n1,\n", "1,2\n" + "3," * 5000 + "\n", "9" * 5000),
    *(
        "," * 100_000 + "\n1",
        "a" * 9_000_000,
        "1," * 4_300_000,
        "1,2\n" + "a" * 9_000_000,
        "1,2\n" * 3,
    ),
    *(
        "id,x\n" + "s,1\n" * 50,
        "\u202e,1\n2,3\n",
        "1,2\n3,4\n" * 1000 + "5,x\n",
        "true,false\n1,2\n",
    ),
)


def csv_cases(folder: Path) -> Iterator[Case]:
    for number, text in enumerate(TEXTS):
        yield f"text {number}", text.encode()
    good = _written("csv", folder)
    for encoding in ("utf-16", "utf-32", "latin1", "utf-7"):
        yield encoding, good.decode().replace("s1", "sé").encode(encoding)
    yield from mutations(good, seed=50, count=60)
    yield "! a pickle", pickle.dumps(Marker(folder / "MARK"))


# ---- folders -----------------------------------------------------------------------------


def zarr_cases(folder: Path) -> Iterator[tuple[str, Path]]:
    good = folder / "good"
    shutil.rmtree(good, ignore_errors=True)
    good.mkdir()
    FORMATS["zarr"](good, X, IDS)
    good = good / "a.zarr"
    metadata = json.loads((good / "zarr.json").read_text())
    chunk = next(p for p in good.rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk = chunk.relative_to(good)

    def changed(name: str, change: object) -> tuple[str, Path]:
        place = folder / "case.zarr"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(good, place)
        change(place)
        return name, place

    def text(content: bytes):
        return lambda place: (place / "zarr.json").write_bytes(content)

    for name, body in itertools.islice(json_lies(metadata, seed=60), 0, None, 4):
        yield changed(name, text(json.dumps(body).encode("utf8", "replace")))
    for codec in ("numcodecs.pickle", "numcodecs.zlib", "vlen-utf8", "os.system", 7, None):
        body = metadata | {"codecs": [{"name": codec, "configuration": {}}]}
        yield changed(f"! codec {codec}", text(json.dumps(body).encode()))
    for key in ("../../secret", "c/../../..", "/etc/passwd"):
        encoding = {"name": "default", "configuration": {"separator": key}}
        body = json.dumps(metadata | {"chunk_key_encoding": encoding}).encode()
        yield changed(f"! chunks at {key}", text(body))
    for extent in (2**30, 2**62, 2**70):
        grid = {"name": "regular", "configuration": {"chunk_shape": [extent, 2]}}
        yield changed(
            f"chunk of {extent}", text(json.dumps(metadata | {"chunk_grid": grid}).encode())
        )
    for content in (b"", b"[]", nested(100_000), b"\xff\xfe", b"{" * 1000, b" " * 5_000_000):
        yield changed(f"metadata {content[:6]!r}", text(content))
    for name, content in mutations((good / chunk).read_bytes(), seed=61, count=25):
        yield changed(f"chunk {name}", lambda place, c=content: (place / chunk).write_bytes(c))
    (folder / "outside").mkdir(exist_ok=True)
    (folder / "outside" / "chunk").write_bytes((good / chunk).read_bytes())

    def linked(place):
        (place / chunk).unlink()
        (place / chunk).symlink_to(folder / "outside" / "chunk")

    def linked_folder(place):
        shutil.rmtree(place / chunk.parts[0])
        (place / chunk.parts[0]).symlink_to(good / chunk.parts[0])

    def linked_metadata(place):
        (place / "zarr.json").unlink()
        (place / "zarr.json").symlink_to(good / "zarr.json")

    yield changed("! linked chunk", linked)
    yield changed("! linked folder", linked_folder)
    yield changed("! linked metadata", linked_metadata)
    yield changed("loop", lambda place: (place / "loop").symlink_to(place))
    yield changed("no chunks", lambda place: shutil.rmtree(place / chunk.parts[0]))
    yield changed("chunk is a folder", lambda p: ((p / chunk).unlink(), (p / chunk).mkdir()))
    group = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": {
        "kind": "inline", "must_understand": False, "metadata": {"../../x": metadata}}}  # fmt: skip
    yield changed("group of nothing", text(json.dumps(group).encode()))


def saved_cases(folder: Path) -> Iterator[tuple[str, Path]]:
    good = folder / "good"
    shutil.rmtree(good, ignore_errors=True)
    good.mkdir()
    FORMATS["saved dataset"](good, X, IDS)
    good = good / "saved" / "train"
    state = json.loads((good / "state.json").read_text())
    first = state["_data_files"][0]["filename"]
    shutil.copy(good / first, folder / "outside.arrow")

    def changed(name: str, change: object) -> tuple[str, Path]:
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(good, place)
        change(place)
        return name, place

    def text(content: bytes):
        return lambda place: (place / "state.json").write_bytes(content)

    for name, body in json_lies(state, seed=70):
        yield changed(name, text(json.dumps(body).encode("utf8", "replace")))
    for path in ("../outside.arrow", str(folder / "outside.arrow"), "a/../../outside.arrow", "."):
        body = {"_data_files": [{"filename": path}]}
        yield changed(f"! out by {path[-20:]}", text(json.dumps(body).encode()))
    for content in (b"", b"[]", nested(100_000), b"\xff\xfe", b" " * 5_000_000):
        yield changed(f"state {content[:6]!r}", text(content))
    for name, content in mutations((good / first).read_bytes(), seed=71, count=40, head=900):
        yield changed(f"stream {name}", lambda place, c=content: (place / first).write_bytes(c))

    def linked(place):
        (place / first).unlink()
        (place / first).symlink_to(folder / "outside.arrow")

    yield changed("! linked", linked)
    yield changed("! missing", lambda place: (place / first).unlink())
    yield changed("! selection", text(json.dumps(state | {"_indices_data_files": [{}]}).encode()))
    splits = json.dumps({"splits": ["../good", "/etc", 7, "train"]}).encode()

    def split(place):
        (place / "state.json").unlink()
        (place / "dataset_dict.json").write_bytes(splits)

    yield changed("splits", split)
