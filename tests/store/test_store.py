"""A store gives back what was written, or says which file is not what it was."""

import hashlib
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy

from consilience import store
from consilience._mapped import describe, is_mapped, reopen
from consilience.store import gather


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((23, 5)).astype(np.float32)


@pytest.fixture
def ids():
    return [f"sample-{i}" for i in range(23)]


def batches(ids, rows, size=7):
    for start in range(0, len(ids), size):
        yield ids[start : start + size], rows[start : start + size]


def write(path, ids, rows, **options):
    return store.write(path, batches(ids, rows), model="m", dataset={"name": "d"}, **options)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("shard_bytes", [1, 300, 1 << 20])
def test_round_trip(tmp_path, ids, rows, dtype, shard_bytes):
    rows = rows.astype(dtype)
    write(tmp_path / "s", ids, rows, shard_bytes=shard_bytes)
    opened = store.open(tmp_path / "s")
    assert opened.ids == tuple(ids)
    assert opened.shape == rows.shape
    assert opened.dtype == rows.dtype.newbyteorder("=")
    np.testing.assert_array_equal(opened.array(), rows)
    assert not opened.array().flags.writeable
    opened.verify()


def test_one_shard_is_memory_mapped_on_a_page_boundary(tmp_path, ids, rows):
    array = write(tmp_path / "s", ids, rows).array()
    ((_, offset, n_rows),) = describe(array)["parts"]
    assert offset % 4096 == 0
    assert n_rows == len(rows)


def test_the_safetensors_library_reads_the_shards(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, rows)
    shard = tmp_path / "s" / opened.manifest.shards[0].file
    tensors = safetensors.numpy.load_file(shard)
    np.testing.assert_array_equal(tensors["embeddings"], rows)


@pytest.mark.parametrize("n_rows", [1, 4, 23, 100])
def test_blocks_give_all_rows_in_order(tmp_path, ids, rows, n_rows):
    rows = np.repeat(rows, 1024, axis=1)  # five pages a row
    opened = write(tmp_path / "s", ids, rows, shard_bytes=5 * 4096 * 4)
    assert len(opened.manifest.shards) == 6
    parts = list(opened.blocks(n_rows))
    assert [i for names, _ in parts for i in names] == ids
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), rows)


def test_manifest_tells_what_was_embedded(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, rows, versions={"torch": "2"}, extra={"seconds": 1.5})
    content = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert (content["model"], content["n_samples"], content["n_features"]) == ("m", 23, 5)
    assert content["dataset"] == {"name": "d"}
    assert content["created"].endswith("+00:00")
    assert opened.manifest.versions == {"torch": "2"}
    assert opened.manifest.extra == {"seconds": 1.5}


# ---- writing -----------------------------------------------------------------------------


def test_an_id_that_comes_twice_is_refused(tmp_path, ids, rows):
    ids[20] = ids[2]
    with pytest.raises(ValueError, match="'sample-2' comes twice"):
        write(tmp_path / "s", ids, rows)


@pytest.mark.parametrize("bad", ["", "two\nlines", 7])
def test_an_id_must_be_one_line_of_text(tmp_path, ids, rows, bad):
    ids[3] = bad
    with pytest.raises(ValueError, match="sample id must be"):
        write(tmp_path / "s", ids, rows)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((3, 5), np.int64), "float16, float32 or float64"),
        (np.zeros((3, 5)), "every batch must be float32 with 5 features"),
        (np.zeros((3, 4), np.float32), "every batch must be float32 with 5 features"),
        (np.zeros((2, 5), np.float32), "3 ids and 2 rows"),
        (np.zeros(3, np.float32), r"\(n_rows, n_features\)"),
    ],
)
def test_batches_must_fit_together(tmp_path, bad, message):
    good = (["a"], np.zeros((1, 5), np.float32))
    with pytest.raises(ValueError, match=message):
        store.write(tmp_path / "s", [good, (["x", "y", "z"], bad)], model="m", dataset={})


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        store.write(tmp_path / "s", [], model="m", dataset={})


def test_a_store_is_not_overwritten_unless_asked(tmp_path, ids, rows):
    write(tmp_path / "s", ids, rows)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write(tmp_path / "s", ids, rows)
    assert write(tmp_path / "s", ids, 2 * rows, overwrite=True).array()[0, 0] == 2 * rows[0, 0]


def test_two_writers_do_not_meet(tmp_path, ids, rows):
    def nested():
        with pytest.raises(FileExistsError, match="another process"):
            write(tmp_path / "s", ids, rows)
        yield ids, rows

    store.write(tmp_path / "s", nested(), model="m", dataset={}).verify()


def failing(ids, rows):
    yield ids[:7], rows[:7]
    raise RuntimeError("the model failed")


def test_a_failed_write_leaves_no_store_and_no_rows(tmp_path, ids, rows):
    with pytest.raises(RuntimeError):
        store.write(tmp_path / "s", failing(ids, rows), model="m", dataset={}, shard_bytes=1)
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        store.open(tmp_path / "s")
    assert not list((tmp_path / "s").glob("rows-*"))


def test_a_failed_overwrite_leaves_the_old_store(tmp_path, ids, rows):
    write(tmp_path / "s", ids, rows)
    with pytest.raises(RuntimeError):
        store.write(tmp_path / "s", failing(ids, rows), model="m", dataset={}, overwrite=True)
    old = store.open(tmp_path / "s")
    old.verify()
    np.testing.assert_array_equal(old.array(), rows)


def test_what_a_crash_left_is_removed_by_the_next_write(tmp_path, ids, rows):
    folder = tmp_path / "s"
    folder.mkdir()
    left = ["rows-0123abcd-00000.safetensors", "ids-0123abcd.txt", ".manifest.json.99.tmp"]
    for name in left:
        (folder / name).write_bytes(b"half a file")
    (folder / "notes.md").write_text("mine")
    with pytest.raises(FileNotFoundError):
        store.open(folder)
    write(folder, ids, rows)
    assert not [name for name in left if (folder / name).exists()]
    assert (folder / "notes.md").exists()


def test_readers_keep_their_rows_when_the_store_is_replaced(tmp_path, ids, rows):
    array = write(tmp_path / "s", ids, rows).array()
    write(tmp_path / "s", ids, 2 * rows, overwrite=True)
    np.testing.assert_array_equal(array, rows)


WRITE_FOR_EVER = """
import sys
import numpy as np
from consilience import store
for value in range(1, 1_000_000):
    rows = np.full((400, 50), value, np.float32)
    batches = [([f"{value}-{i}" for i in range(400)], rows)]
    store.write(sys.argv[1], batches, model="m", dataset={}, overwrite=True, shard_bytes=9000)
    print(value, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.009, 0.02])
def test_a_writer_killed_at_any_moment_leaves_a_whole_store(tmp_path, delay):
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        first = writer.stdout.readline()
        time.sleep(delay)
        writer.kill()
    assert first, "the writer never finished a store"
    opened = store.open(tmp_path / "s")
    opened.verify()
    array = opened.array()
    assert (array == float(opened.ids[0].partition("-")[0])).all()


# ---- damage ------------------------------------------------------------------------------


def shard_of(opened):
    return opened.path / opened.manifest.shards[0].file


@pytest.mark.parametrize("keep", [0, 4, 100, 4096, -1])
def test_a_truncated_shard_is_found_at_open(tmp_path, ids, rows, keep):
    shard = shard_of(write(tmp_path / "s", ids, rows))
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"rows-.* has \d+ bytes, expected"):
        store.open(tmp_path / "s")


def test_a_missing_shard_is_named(tmp_path, ids, rows):
    shard_of(write(tmp_path / "s", ids, rows)).unlink()
    with pytest.raises(FileNotFoundError, match="rows-"):
        store.open(tmp_path / "s")


def test_a_flipped_byte_is_found_by_verify(tmp_path, ids, rows):
    shard = shard_of(write(tmp_path / "s", ids, rows))
    content = bytearray(shard.read_bytes())
    content[-3] ^= 1
    shard.write_bytes(content)
    opened = store.open(tmp_path / "s")
    with pytest.raises(ValueError, match="changed or damaged"):
        opened.verify()


def test_swapped_ids_are_found_at_open(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, rows)
    file = opened.path / opened.manifest.ids[0].file
    text = file.read_text().replace("sample-1\n", "sample-X\n").replace("sample-2\n", "sample-1\n")
    file.write_text(text.replace("sample-X\n", "sample-2\n"))
    with pytest.raises(ValueError, match="checksum"):
        store.open(tmp_path / "s")


def first_shard(**facts):
    return lambda content: content["shards"][0].update(facts)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("ids"),
        lambda c: c.update(format="other"),
        lambda c: c.update(format_version=99),
        lambda c: c.update(n_samples=24),
        lambda c: c.update(n_samples=True),
        lambda c: c.update(n_samples=-23),
        lambda c: c.update(n_samples=23.0),
        lambda c: c.update(n_features=4),
        lambda c: c.update(n_features=10**30),
        lambda c: c.update(dtype="float64"),
        lambda c: c.update(dtype="object"),
        lambda c: c.update(dtype=["f4"]),
        lambda c: c.update(model=3),
        lambda c: c.update(dataset=None),
        lambda c: c.update(complete="yes"),
        lambda c: c.update(unheard_of=1),
        lambda c: c.update(shards=[]),
        lambda c: c.update(shards=7),
        lambda c: c.update(ids=c["ids"] * 2),
        lambda c: c.update(outputs={"e": c["ids"] * 2}),
        lambda c: c.update(outputs={"../e": c["ids"]}),
        first_shard(file="../elsewhere.safetensors"),
        first_shard(file="/etc/passwd"),
        first_shard(file=".."),
        first_shard(file="a\\b"),
        first_shard(file="a\0b"),
        first_shard(file="a" * 300),
        first_shard(file="a" * 3000),
        first_shard(file=5),
        first_shard(sha256="../../x"),
        first_shard(sha256=None),
        first_shard(bytes=5),
        first_shard(bytes="many"),
        first_shard(rows=[23]),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, ids, rows, change):
    write(tmp_path / "s", ids, rows)
    file = tmp_path / "s" / "manifest.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"damaged|holds") as told:
        store.open(tmp_path / "s")
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"[" * 100_000, b'{"format": ', b"\xff\xfe", b"{}" * 9]
)
def test_what_is_no_manifest_is_refused(tmp_path, ids, rows, content):
    write(tmp_path / "s", ids, rows)
    (tmp_path / "s" / "manifest.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        store.open(tmp_path / "s")


def test_links_are_refused(tmp_path, ids, rows):
    shard = shard_of(write(tmp_path / "s", ids, rows))
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"rows-.* is a link, which a store must not have"):
        store.open(tmp_path / "s")


def test_ids_that_come_twice_are_refused(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, rows)
    text = opened.path / opened.manifest.ids[0].file
    content = text.read_bytes().replace(b"sample-11\n", b"sample-10\n")
    text.write_bytes(content)
    manifest = opened.path / "manifest.json"
    body = json.loads(manifest.read_text())
    body["ids"][0]["sha256"] = hashlib.sha256(content).hexdigest()
    manifest.write_text(json.dumps(body))
    with pytest.raises(ValueError, match="has an id twice"):
        store.open(tmp_path / "s")


def first_format(folder):
    """Turn a store into one of the first format, with several shards that end within pages."""
    opened = store.open(folder)
    shards = []
    for i, part in enumerate(np.array_split(opened.array(), 3)):
        file = folder / f"rows-0123abcd-{i:05d}.safetensors"
        safetensors.numpy.save_file({"embeddings": np.ascontiguousarray(part)}, file)
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        shards.append(
            {"file": file.name, "rows": len(part), "bytes": len(content), "sha256": digest}
        )
    body = json.loads((folder / "manifest.json").read_text())
    kept = ("format", "model", "dataset", "dtype", "n_samples", "n_features", "created", "versions")
    old = {name: body[name] for name in kept} | {"format_version": 1, "shards": shards}
    old["ids"] = body["ids"][0]
    old["extra"] = {"question": {"n": 23}}
    old["outputs"] = {name: entries[0] for name, entries in body["outputs"].items()}
    (folder / "manifest.json").write_text(json.dumps(old))
    shard_of(opened).unlink()


def test_a_store_of_the_first_format_opens(tmp_path, ids, rows):
    batch = (ids, rows, {"energy_ev": np.arange(23.0)})
    store.write(tmp_path, [batch], model="m", dataset={"name": "d"})
    first_format(tmp_path)
    opened = store.open(tmp_path)
    assert opened.complete
    assert opened.ids == tuple(ids)
    assert opened.manifest.question == {"n": 23}
    np.testing.assert_array_equal(opened.array(), rows)
    np.testing.assert_array_equal(opened.read(5, 20), rows[5:20])
    np.testing.assert_array_equal(opened.output("energy_ev"), np.arange(23.0))
    assert not opened.array().flags.writeable
    assert store.problems(tmp_path) == []
    assert write(tmp_path, ids, rows, overwrite=True).manifest.n_samples == 23
    assert store.problems(tmp_path) == []


# ---- reading -----------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["mmap", "pread"])
def test_rows_are_mapped_or_read(tmp_path, ids, rows, read, monkeypatch):
    opened = write(tmp_path / "s", ids, rows)
    for array in (opened.array(read=read), _with_variable(monkeypatch, opened, read)):
        np.testing.assert_array_equal(array, rows)
        assert is_mapped(array) is (read == "mmap")
        assert not array.flags.writeable


def _with_variable(monkeypatch, opened, read):
    monkeypatch.setenv("CONSILIENCE_READ", read)
    return opened.array()


def test_an_unknown_way_to_read_is_refused(tmp_path, ids, rows):
    with pytest.raises(ValueError, match="did you mean 'pread'"):
        write(tmp_path / "s", ids, rows).array(read="read")


def test_plain_reads_survive_a_file_that_is_cut_while_it_is_open(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, rows)
    with shard_of(opened).open("r+b") as file:
        file.truncate(4096 + 100)
    with pytest.raises(ValueError, match=r"rows-.* ended at byte 4196"):
        opened.array(read="pread")


@pytest.mark.parametrize("read", ["mmap", "pread"])
def test_rows_in_any_order(tmp_path, rows, ids, read):
    rows = np.repeat(rows, 1024, axis=1)
    opened = write(tmp_path / "s", ids, rows, shard_bytes=5 * 4096 * 4)
    for chosen in ([], [22], [3, 2, 1, 0, 22, 21, 7, 8, 9, 7]):
        taken = opened.take(np.array(chosen, int), read=read)
        np.testing.assert_array_equal(taken, rows[chosen])


def test_a_folder_of_stores_is_a_set(tmp_path, ids, rows):
    for name in ("b", "a"):
        write(tmp_path / name, ids, rows)
    (tmp_path / "c").mkdir()
    assert list(store.open_set(tmp_path)) == ["a", "b"]
    with pytest.raises(FileNotFoundError, match="has none in it"):
        store.open_set(tmp_path / "c")


def test_everything_wrong_is_named(tmp_path, ids, rows):
    opened = write(tmp_path / "s", ids, np.repeat(rows, 1024, axis=1), shard_bytes=5 * 4096 * 4)
    files = [opened.path / shard.file for shard in opened.manifest.shards[:3]]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-1])
    content = bytearray(files[2].read_bytes())
    content[5000] ^= 8
    files[2].write_bytes(content)
    (opened.path / "rows-0123abcd-00001.safetensors").write_text("left over")
    missing, short, changed, unnamed = store.problems(opened.path)
    assert f"{files[0]} is missing" in missing
    assert f"{files[1]} has 86015 bytes, expected 86016" in short
    assert f"{files[2]} is changed or damaged" in changed
    assert "names rows-0123abcd-00001.safetensors" in unnamed
    with pytest.raises(ValueError, match=r"is missing.*has 86015.*changed"):
        opened.verify()
    assert "is not a store" in store.problems(tmp_path)[0]


# ---- aligning ----------------------------------------------------------------------------


def test_align_brings_rows_into_the_order_of_the_first(tmp_path, ids, rows):
    order = np.random.default_rng(1).permutation(len(ids))
    first = write(tmp_path / "a", ids, rows)
    second = write(tmp_path / "b", [ids[i] for i in order], 10 * rows[order])
    common, (a, b) = store.align([first, second])
    assert common == tuple(ids)
    np.testing.assert_array_equal(b, 10 * a)
    assert is_mapped(a)


def test_align_inner_keeps_what_all_have(tmp_path, ids, rows):
    stores = [
        write(tmp_path / name, ids[part], rows[part])
        for name, part in (("a", slice(0, 20)), ("b", slice(5, 23)), ("c", slice(0, 12)))
    ]
    lost = "7 samples are common to all stores; dropped 13 of 20 of 'm', 11 of 18 of 'm', 5 of 12"
    with pytest.warns(store.DroppedSamples, match=lost):
        common, arrays = store.align(stores, how="inner")
    assert common == tuple(ids[5:12])
    for array in arrays:
        np.testing.assert_array_equal(array, rows[5:12])


@pytest.mark.parametrize("swap", [False, True])
def test_align_names_a_missing_sample(tmp_path, ids, rows, swap):
    stores = [write(tmp_path / "a", ids, rows), write(tmp_path / "b", ids[:-2], rows[:-2])]
    with pytest.raises(ValueError, match=r"b\) lacks sample 'sample-21' .* 2 in all"):
        store.align(stores[::-1] if swap else stores)


@pytest.mark.parametrize("how", ["inner", "error"])
def test_align_refuses_ids_that_do_not_match_at_all(tmp_path, ids, rows, how):
    stores = [
        write(tmp_path / "a", ids, rows),
        write(tmp_path / "b", [f"{i}!" for i in ids], rows),
    ]
    with pytest.raises(ValueError, match="no sample id is common"):
        store.align(stores, how=how)


def test_align_wants_stores_and_a_known_way(tmp_path, ids, rows):
    with pytest.raises(ValueError, match="at least one"):
        store.align([])
    with pytest.raises(ValueError, match="`how` must be one of"):
        store.align([write(tmp_path / "a", ids, rows)], how="outer")


@pytest.mark.parametrize("read", ["mmap", "pread"])
def test_align_takes_a_stretch_of_a_store_as_it_is(tmp_path, ids, rows, read):
    a = write(tmp_path / "a", ids, rows)
    b = write(tmp_path / "b", ids[4:9], rows[4:9])
    with pytest.warns(store.DroppedSamples):
        common, arrays = store.align([a, b], how="inner", read=read)
    assert common == tuple(ids[4:9])
    for array in arrays:
        np.testing.assert_array_equal(array, rows[4:9])
        assert is_mapped(array) is (read == "mmap")


@pytest.mark.parametrize("read", ["mmap", "pread"])
def test_many_rows_in_another_order_are_mapped_from_scratch(tmp_path, ids, rows, read, monkeypatch):
    monkeypatch.setattr(gather, "IN_MEMORY", 100)
    monkeypatch.setattr(gather, "BLOCK_BYTES", 60)
    monkeypatch.setenv("CONSILIENCE_SCRATCH", str(tmp_path))
    order = np.random.default_rng(1).permutation(len(ids))
    first = write(tmp_path / "a", ids, rows)
    second = write(tmp_path / "b", [ids[i] for i in order], rows[order])
    _, (_, array) = store.align([first, second], read=read)
    np.testing.assert_array_equal(array, rows)
    assert is_mapped(array)
    assert not array.flags.writeable
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_rows_in_another_order_may_be_kept_for_others(tmp_path, ids, rows):
    order = np.random.default_rng(1).permutation(len(ids))
    stores = [
        write(tmp_path / "a", ids, rows),
        write(tmp_path / "b", [ids[i] for i in order], rows[order]),
    ]
    for _ in range(2):
        _, (_, array) = store.align(stores, folder=tmp_path / "kept")
        np.testing.assert_array_equal(reopen(describe(array)), rows)
    (file,) = (tmp_path / "kept").iterdir()
    np.testing.assert_array_equal(safetensors.numpy.load_file(file)["embeddings"], rows)


def test_align_says_that_a_store_is_unfinished(tmp_path, ids, rows):
    whole = write(tmp_path / "a", ids, rows)
    with store.Writer(tmp_path / "b", model="b", dataset={}, planned=23, seconds=0.0) as writer:
        writer.append(ids[:9], rows[:9])
        half = store.open(tmp_path / "b")
        with pytest.raises(ValueError, match="as it is unfinished: 9 of 23 samples"):
            store.align([whole, half])
        with pytest.warns(store.DroppedSamples, match="dropped 14 of 23 of 'm'"):
            store.align([whole, half], how="inner")
