"""What a writer has closed survives it, and nothing else is believed."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from consilience import store
from consilience._mapped import describe
from consilience.store import Writer
from consilience.store import writer as writer_module

ABOUT = {"model": "m", "dataset": {"name": "d"}}
PAGE = 1024  # features of a float32 row that fills a page


def batches(start=0, stop=6, width=3):
    for i in range(start, stop):
        yield (f"s{i}",), np.full((1, width), i, np.float32), {"energy_ev": np.array([-1.0 * i])}


def write(path, **options):
    return store.write(path, batches(), **ABOUT, **options)


def interrupted(path, after, *, planned=6, **options):
    """Close one shard a batch, and end as Ctrl-C does."""
    writer = Writer(path, planned=planned, seconds=0.0, **ABOUT, **options)
    with pytest.raises(KeyboardInterrupt):
        stopped(writer, batches(stop=after))


def stopped(writer, batches):
    with writer:
        for batch in batches:
            writer.append(*batch)
        raise KeyboardInterrupt


def resumed(path, **options):
    with Writer(path, planned=6, **{**ABOUT, **options}) as writer:
        for batch in batches():
            if batch[0][0] not in writer.ids:
                writer.append(*batch)
    return writer.stored


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def assert_same(stored, whole):
    assert stored.complete
    assert stored.unfinished == ""
    assert stored.ids == whole.ids
    np.testing.assert_array_equal(stored.array(), whole.array())
    np.testing.assert_array_equal(stored.output("energy_ev"), whole.output("energy_ev"))
    stored.verify()


# ---- going on ----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 4, 6])
def test_an_unfinished_store_opens_and_is_gone_on_with(tmp_path, after):
    interrupted(tmp_path / "a", after)
    left = store.open(tmp_path / "a")
    assert not left.complete
    assert left.unfinished == f"{after} of 6 samples are there, in {after} finished shards"
    np.testing.assert_array_equal(left.array()[:, 0], np.arange(after))
    assert left.output("energy_ev").tolist() == [-i for i in range(after)]
    left.verify()
    assert_same(resumed(tmp_path / "a"), write(tmp_path / "b"))
    assert {file.name.partition("-")[0] for file in (tmp_path / "a").iterdir()} == {
        *(".lock", "manifest.json", "rows", "ids", "output"),
    }


def test_a_store_of_which_nothing_is_closed_opens(tmp_path):
    Writer(tmp_path, planned=6, **ABOUT).__enter__()
    left = store.open(tmp_path)
    assert left.shape == left.array().shape == (0, 0)
    assert left.unfinished == "0 of 6 samples are there, in 0 finished shards"


def test_how_many_there_are_to_be_need_not_be_known(tmp_path):
    interrupted(tmp_path, 2, planned=None)
    assert "2 of a number not known samples" in store.open(tmp_path).unfinished


def test_what_is_held_when_a_writer_is_stopped_is_kept_too(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stopped(Writer(tmp_path, **ABOUT), batches(stop=3))
    assert store.open(tmp_path).ids == ("s0", "s1", "s2")


@pytest.mark.parametrize(
    "options", [{"question": {"n": 7}}, {"dataset": {"name": "e"}}, {"resume": False}]
)
def test_another_question_begins_anew(tmp_path, options):
    interrupted(tmp_path, 3)
    with Writer(tmp_path, **{**ABOUT, **options}) as writer:
        assert writer.ids == {}
        writer.append(["x"], np.zeros((1, 2)))
    assert writer.stored.shape == (1, 2)
    assert store.problems(tmp_path) == []


def test_a_damaged_shard_is_named_and_the_rest_is_kept(tmp_path):
    interrupted(tmp_path / "a", 5)
    shard = tmp_path / "a" / store.open(tmp_path / "a").manifest.shards[1].file
    flip_last_byte(shard)
    with pytest.warns(UserWarning, match=rf"{shard.name} is changed .* its 1 samples are made"):
        stored = resumed(tmp_path / "a")
    assert stored.ids == ("s0", "s2", "s3", "s4", "s1", "s5")
    by_id = dict(zip(stored.ids, stored.array()[:, 0].tolist(), strict=True))
    assert by_id == {f"s{i}": i for i in range(6)}
    assert not shard.exists()


def test_planned_ids_give_the_order_of_the_store(tmp_path):
    interrupted(tmp_path / "a", 5)
    flip_last_byte(tmp_path / "a" / store.open(tmp_path / "a").manifest.ids[2].file)
    writer = Writer(tmp_path / "a", planned=[f"s{i}" for i in range(6)], **ABOUT)
    with pytest.warns(UserWarning, match="made again"):
        writer.__enter__()
    for i in (5, 2):
        writer.append(*next(batches(i)))
    writer.__exit__(None, None, None)
    assert_same(writer.stored, write(tmp_path / "b"))


def test_a_damaged_manifest_of_an_unfinished_store_begins_anew(tmp_path):
    interrupted(tmp_path, 3)
    manifest = tmp_path / "manifest.unfinished.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    with pytest.warns(UserWarning, match=r"manifest\.unfinished\.json is damaged"):
        assert resumed(tmp_path).shape == (6, 3)


def test_an_overwritten_store_is_whole_until_the_new_one_is(tmp_path):
    old = store.write(tmp_path, [(["old"], np.ones((1, 3), np.float32))], **ABOUT)
    interrupted(tmp_path, 4, overwrite=True)
    found = store.open(tmp_path)
    assert found.ids == ("old",)
    assert found.complete
    found.verify()
    assert found.unnamed == ()
    array = old.array()
    assert resumed(tmp_path, overwrite=True).ids[0] == "s0"
    np.testing.assert_array_equal(array, 1.0)  # its readers keep what they mapped
    assert store.problems(tmp_path) == []


def test_a_batch_that_does_not_fit_leaves_the_writer_as_it_was(tmp_path):
    with Writer(tmp_path, **ABOUT) as writer:
        writer.append(["a", "b"], np.ones((2, 3)))
        for ids, rows in ((["c", "a"], np.ones((2, 3))), (["c"], np.ones((1, 4)))):
            with pytest.raises(ValueError, match=r"comes twice|every batch"):
                writer.append(ids, rows)
        writer.append(["c"], np.zeros((1, 3)))
    assert writer.stored.ids == ("a", "b", "c")


def test_a_batch_may_be_overwritten_once_it_is_appended(tmp_path):
    rows = np.zeros((2, 3))
    with Writer(tmp_path, **ABOUT) as writer:
        for i in range(4):
            rows[:] = i
            writer.append([f"{i}a", f"{i}b"], rows)
    assert writer.stored.array()[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_an_id_must_be_text_that_can_be_written(tmp_path):
    with Writer(tmp_path, **ABOUT) as writer:
        with pytest.raises(ValueError, match="surrogates not allowed"):
            writer.append(["\udc80"], np.ones((1, 3)))
        writer.append(["é"], np.ones((1, 3)))
    assert writer.stored.ids == ("é",)


def test_urls_are_not_written_to(tmp_path):
    with pytest.raises(ValueError, match="write to a local folder"):
        Writer("memory://there", **ABOUT)


# ---- shards ------------------------------------------------------------------------------


def many(n, width=PAGE, dtype=np.float32):
    return [f"s{i}" for i in range(n)], np.arange(n * width, dtype=dtype).reshape(n, width)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_batch_is_cut_into_shards_that_lie_side_by_side(tmp_path, order):
    ids, rows = many(23)
    stored = store.write(
        tmp_path, [(ids, np.asarray(rows, order=order))], shard_bytes=5 * 4096, **ABOUT
    )
    assert [shard.rows for shard in stored.manifest.shards] == [5, 5, 5, 5, 3]
    parts = describe(stored.array())["parts"]
    assert [n_rows for _, _, n_rows in parts] == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(stored.array(), rows)


@pytest.mark.parametrize("width", [1, 3, 96, 1025])
def test_shards_that_cannot_lie_side_by_side_are_joined(tmp_path, width):
    n = 2500 if width == 1025 else 5000
    ids, rows = many(n, width)
    with Writer(tmp_path, seconds=0.0, shard_bytes=1 << 20, **ABOUT) as writer:
        for start in range(0, n, 617):
            writer.append(ids[start : start + 617], rows[start : start + 617])
        assert len(store.open(tmp_path).manifest.shards) > 4
        np.testing.assert_array_equal(store.open(tmp_path).array(), rows)
    stored = writer.stored
    sizes = [shard.rows * stored.manifest.row_bytes for shard in stored.manifest.shards]
    assert all(size % 4096 == 0 for size in sizes[:-1])
    assert describe(stored.array()) is not None
    np.testing.assert_array_equal(stored.array(), rows)
    assert store.problems(tmp_path) == []


def test_large_shards_are_not_written_twice(tmp_path):
    ids, rows = many(40)
    how = {"shard_bytes": 10 * 4096, **ABOUT}
    with Writer(tmp_path, **how) as writer:
        writer.append(ids[:20], rows[:20])
        first = store.open(tmp_path).manifest.shards
        writer.seconds = 0.0
        for i in range(20, 40):
            writer.append([ids[i]], rows[i : i + 1])
    assert [shard.rows for shard in writer.stored.manifest.shards] == [10] * 4
    assert writer.stored.manifest.shards[:2] == first
    np.testing.assert_array_equal(writer.stored.array(), rows)


# ---- the disk ----------------------------------------------------------------------------


def test_a_full_disk_is_told_and_what_is_closed_is_kept(tmp_path, monkeypatch):
    real = writer_module.with_shard

    def full(manifest, *rest):
        if manifest.n_samples == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(manifest, *rest)

    monkeypatch.setattr(writer_module, "with_shard", full)
    with pytest.raises(OSError, match="No space left on device; 2 samples are kept; make room"):
        stopped(Writer(tmp_path / "a", seconds=0.0, **ABOUT), batches())
    assert store.open(tmp_path / "a").ids == ("s0", "s1")
    monkeypatch.undo()
    assert_same(resumed(tmp_path / "a"), write(tmp_path / "b"))


CRASHES = Path(__file__).with_name("crashes.py")


@pytest.mark.parametrize("how", ["steps", "kills"])
@pytest.mark.parametrize("before", ["nothing", "a store"])
def test_a_writer_that_dies_is_gone_on_with(tmp_path, how, before):
    """At every fsync and rename, and by SIGKILL at random instants; see crashes.py."""
    # In memory where there is such a folder: what counts is the order of steps, not the disk.
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else tmp_path) as folder:
        command = [sys.executable, "-W", "ignore", CRASHES, how, f"{folder}/s", before]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    deaths, partial = map(int, done.stdout.split())
    assert deaths >= 20
    assert partial >= 1  # some left a store with some of the rows


# ---- outputs -----------------------------------------------------------------------------


def test_outputs_are_kept_beside_the_rows(tmp_path):
    stored = write(tmp_path)
    stored.verify()
    assert store.open(tmp_path).output("energy_ev").tolist() == [0, -1, -2, -3, -4, -5]
    with pytest.raises(KeyError, match="no output 'forces'; it has energy_ev"):
        stored.output("forces")


def test_a_flipped_bit_in_an_output_is_found(tmp_path):
    stored = write(tmp_path)
    path = tmp_path / stored.manifest.outputs["energy_ev"][0].file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"output-energy_ev.* changed or damaged"):
        store.open(tmp_path).verify()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([{"e": np.zeros(1)}, {}], r"outputs \['e'\] of the first, got \[\]"),
        ([{"e": np.zeros(2)}], "one number for each of 1 rows"),
        ([{"a/b": np.zeros(1)}], "plain name"),
        ([{"e" * 101: np.zeros(1)}], "plain name of at most 100 bytes"),
    ],
)
def test_outputs_that_do_not_fit_the_rows_are_refused(tmp_path, outputs, message):
    wrong = [((f"s{i}",), np.zeros((1, 2), np.float32), o) for i, o in enumerate(outputs)]
    with pytest.raises(ValueError, match=message):
        store.write(tmp_path, wrong, model="m", dataset={"name": "d"})


def test_overwriting_leaves_no_old_outputs(tmp_path):
    for _ in range(2):
        write(tmp_path, overwrite=True)
    named = json.loads((tmp_path / "manifest.json").read_text())["outputs"]
    assert len(list(tmp_path.glob("output-*"))) == len(named) == 1
