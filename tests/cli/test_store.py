"""`consilience store`: what is there, whether it is whole, and stores made of other files."""

import numpy as np
import pytest
from click.testing import CliRunner

from consilience import store
from consilience.cli import main


def run(*arguments):
    return CliRunner().invoke(main, ["store", *(str(argument) for argument in arguments)])


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)


@pytest.fixture
def stores(tmp_path, rows):
    """Two stores of a model, and a third of another that was never finished."""
    folder = tmp_path / "stores"
    for name, part in (("a", slice(0, 20)), ("b", slice(20, 30))):
        batch = ([f"s{i}" for i in range(30)][part], rows[part], {"energy_ev": rows[part, 0]})
        store.write(folder / name, [batch], model="m", dataset={"name": name}, layer="last")
    writer = store.Writer(folder / "c", model="other", dataset={}, planned=9, seconds=0.0)
    writer.__enter__().append(["x"], rows[:1])
    return folder


def test_ls_names_what_is_there_and_what_is_unfinished(stores):
    result = run("ls", stores)
    assert result.exit_code == 0, result.output
    head, a, b, c, note = result.output.splitlines()
    assert head.split() == [
        *("store", "model", "samples", "features", "dtype", "complete", "size", "created"),
    ]
    assert a.split()[1:8] == ["m", "20", "4", "float32", "yes", "0.0", "MB"]
    assert b.split()[2] == "10"
    assert c.split()[1:6] == ["other", "1", "4", "float32", "no"]
    assert note == f"{stores / 'c'}: 1 of 9 samples are there, in 1 finished shards"
    assert run("ls", stores / "a").output.splitlines()[1] == a


def test_ls_names_what_does_not_open_beside_the_rest(stores):
    (stores / "a" / "manifest.json").write_text("{}")
    result = run("ls", stores)
    assert result.exit_code == 1
    assert "manifest.json is damaged" in result.output.splitlines()[-1]
    assert f"{stores / 'b'}  m" in result.output


def test_ls_of_no_store_is_one_sentence(tmp_path):
    result = run("ls", tmp_path)
    assert result.exit_code == 1
    assert "is not a store of embeddings, and has none in it" in result.output
    assert result.output.count("\n") == 1


def test_verify_reads_every_byte(stores):
    result = run("verify", stores / "a", stores / "b")
    assert result.exit_code == 0
    assert result.output == f"{stores / 'a'} is whole\n{stores / 'b'} is whole\n"
    shard = stores / "b" / store.open(stores / "b").manifest.shards[0].file
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    result = run("verify", stores)
    assert result.exit_code == 1
    whole, damaged, unfinished = result.output.splitlines()
    assert whole == f"{stores / 'a'} is whole"
    assert f"{shard} is changed or damaged" in damaged
    assert f"{stores / 'c'} is unfinished: 1 of 9 samples" in unfinished


def test_verify_names_files_that_no_manifest_names(stores):
    left = stores / "a" / "ids-0123abcd-00009.txt"
    left.write_text("left by a crash")
    result = run("verify", stores / "a")
    assert result.exit_code == 1
    assert f"no manifest of {stores / 'a'} names {left.name}" in result.output


@pytest.mark.parametrize("with_ids", [False, True])
def test_convert(tmp_path, rows, with_ids):
    np.save(tmp_path / "x.npy", rows)
    ids = [f"mol {i}" for i in range(30)] if with_ids else [str(i) for i in range(30)]
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    more = ("--ids", tmp_path / "ids.txt") if with_ids else ()
    result = run("convert", tmp_path / "x.npy", tmp_path / "s", "--model", "m", *more)
    assert result.exit_code == 0, result.output
    assert result.output == f"wrote 30 x 4 float32 to {tmp_path / 's'}\n"
    stored = store.open(tmp_path / "s")
    assert stored.ids == tuple(ids)
    assert stored.model == "m"
    assert stored.manifest.dataset["name"] == "x.npy"
    np.testing.assert_array_equal(stored.array(), rows)
    assert run("convert", tmp_path / "x.npy", tmp_path / "s", "--model", "m").exit_code == 1


def test_convert_takes_the_ids_of_the_file(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x.csv").write_text("id,a,b\nsecond,1.5,2\nfirst,3,4\n")
    result = run("convert", tmp_path / "x.csv", tmp_path / "s", "--model", "m")
    assert result.exit_code == 0, result.output
    stored = store.open(tmp_path / "s")
    assert stored.ids == ("second", "first")
    assert stored.array().tolist() == [[1.5, 2], [3, 4]]


def test_convert_takes_blocks_of_rows(tmp_path, rows, monkeypatch):
    monkeypatch.setattr("consilience.store.copying.BLOCK_BYTES", 3 * 16)
    np.save(tmp_path / "x.npy", rows)
    stored = store.convert(tmp_path / "x.npy", tmp_path / "s", model="m")
    np.testing.assert_array_equal(stored.array(), rows)


def test_convert_wants_an_id_for_each_row(tmp_path, rows):
    np.save(tmp_path / "x.npy", rows)
    with pytest.raises(ValueError, match="has 30 rows, but there are 2 ids"):
        store.convert(tmp_path / "x.npy", tmp_path / "s", model="m", ids=["a", "b"])


def test_merge(stores, tmp_path, rows):
    result = run("merge", stores / "a", stores / "b", "-o", tmp_path / "all")
    assert result.exit_code == 0, result.output
    stored = store.open(tmp_path / "all")
    assert stored.ids == tuple(f"s{i}" for i in range(30))
    assert stored.model == "m"
    assert stored.manifest.layer == "last"
    assert stored.manifest.dataset["of"] == [{"name": "a"}, {"name": "b"}]
    np.testing.assert_array_equal(stored.array(), rows)
    np.testing.assert_array_equal(stored.output("energy_ev"), rows[:, 0])


def test_merge_refuses_what_does_not_belong_together(stores, tmp_path, rows):
    first = store.open(stores / "a")
    other = store.write(tmp_path / "o", [(["y"], rows[:1])], model="other", dataset={})
    for second, message in (
        (store.open(stores / "c"), "is unfinished: 1 of 9"),
        (other, "differ in model: 'm' and 'other'"),
        (first, "'s0' comes twice"),
    ):
        with pytest.raises(ValueError, match=message):
            store.merge([first, second], tmp_path / "all")
    with pytest.raises(ValueError, match="at least two stores"):
        store.merge([first], tmp_path / "all")
    assert not list((tmp_path / "all").glob("[!.]*"))
