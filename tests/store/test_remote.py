"""A store behind a URL gives the rows it gives on the disk, and believes only checksums."""

import numpy as np
import pytest

from consilience import store
from consilience._mapped import describe, is_mapped

fsspec = pytest.importorskip("fsspec")

PAGE = 1024  # features of a float32 row that fills a page


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((23, PAGE)).astype(np.float32)


@pytest.fixture
def ids():
    return [f"sample-{i}" for i in range(23)]


@pytest.fixture
def there(tmp_path, ids, rows, monkeypatch):
    """Two stores in the memory of fsspec, and an empty cache."""
    monkeypatch.setenv("CONSILIENCE_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    for name, factor in (("a", 1), ("b", 2)):
        batch = (ids, factor * rows, {"energy_ev": np.arange(23.0)})
        about = {"model": name, "dataset": {"name": "d"}, "shard_bytes": 8 * 4096}
        store.write(tmp_path / name, [batch], **about)
        memory.put(str(tmp_path / name), f"/stores/{name}", recursive=True)
    yield memory
    memory.rm("/stores", recursive=True)


def flip(memory, path):
    content = bytearray(memory.cat_file(path))
    content[-1] ^= 1
    memory.pipe_file(path, bytes(content))


def test_rows_come_by_ranges_and_nothing_is_cached(there, tmp_path, ids, rows):
    opened = store.open("memory://stores/a")
    assert opened.path == "memory://stores/a"
    assert opened.ids == tuple(ids)
    assert opened.complete
    assert opened.unfinished == ""
    np.testing.assert_array_equal(opened.read(5, 19), rows[5:19])
    np.testing.assert_array_equal(np.concatenate([b for _, b in opened.blocks(6)]), rows)
    np.testing.assert_array_equal(opened.array(read="pread"), rows)
    np.testing.assert_array_equal(opened.output("energy_ev"), np.arange(23.0))
    opened.verify()
    assert not (tmp_path / "cache").exists()


def test_shards_are_mapped_from_the_cache(there, tmp_path, rows):
    array = store.open("memory://stores/a").array()
    np.testing.assert_array_equal(array, rows)
    assert is_mapped(array)
    paths = {path for path, _, _ in describe(array)["parts"]}
    assert paths == {str(path) for path in (tmp_path / "cache").iterdir()}
    there.rm("/stores/a/rows-*")
    shard = store.open(tmp_path / "a")
    assert {entry.sha256 + ".safetensors" for entry in shard.manifest.shards} == {
        path.name for path in (tmp_path / "cache").iterdir()
    }


def test_a_shard_that_is_damaged_there_is_not_cached(there, tmp_path):
    opened = store.open("memory://stores/a")
    name = opened.manifest.shards[1].file
    flip(there, f"/stores/a/{name}")
    with pytest.raises(ValueError, match=f"memory://stores/a/{name} is changed or damaged"):
        opened.array()
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert f"{name} is changed or damaged" in store.problems("memory://stores/a")[0]


def test_a_shard_that_is_missing_or_short_there_is_named(there):
    name = store.open("memory://stores/a").manifest.shards[1].file
    there.pipe_file(f"/stores/a/{name}", b"short")
    with pytest.raises(ValueError, match=f"{name} has 5 bytes"):
        store.open("memory://stores/a")
    there.rm_file(f"/stores/a/{name}")
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        store.open("memory://stores/a")


def test_a_set_behind_a_url_is_opened_and_aligned(there, rows):
    found = store.open_set("memory://stores")
    assert list(found) == ["a", "b"]
    _, (a, b) = store.align(list(found.values()))
    np.testing.assert_array_equal(b, 2 * a)
    with pytest.raises(FileNotFoundError, match="is not a store"):
        store.open("memory://stores")


def test_a_file_url_is_a_folder(tmp_path, ids, rows):
    path = tmp_path / "with space"
    store.write(path, [(ids, rows)], model="m", dataset={})
    opened = store.open(path.as_uri())
    assert opened.path == path
    assert is_mapped(opened.array())
    assert list(store.open_set(tmp_path.as_uri())) == ["with space"]
