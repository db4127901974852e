"""What was embedded before an interruption is not embedded again, and nothing else is believed."""

import json

import numpy as np
import pytest

from consilience import store
from consilience.store import Pieces

QUESTION = {"model": "m", "n": 6}


def batches(start=0, stop=6):
    for i in range(start, stop):
        yield (f"s{i}",), np.full((1, 3), i, np.float32), {"energy_ev": np.array([-1.0 * i])}


def interrupted(folder, after):
    """Keep pieces of one batch each, and stop as a killed process would."""
    passing = Pieces(folder, QUESTION, seconds=0).keep(batches())
    for _ in range(after):
        next(passing)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_what_was_kept_comes_back_in_order(tmp_path, after):
    interrupted(tmp_path, after)
    kept = list(Pieces(tmp_path, QUESTION).kept())
    assert [ids for ids, _, _ in kept] == [(f"s{i}",) for i in range(after)]
    for i, (_, rows, outputs) in enumerate(kept):
        np.testing.assert_array_equal(rows, np.full((1, 3), i))
        assert outputs["energy_ev"].tolist() == [-i]


def test_pieces_of_another_question_are_removed(tmp_path):
    interrupted(tmp_path, 3)
    assert list(Pieces(tmp_path, {**QUESTION, "n": 7}).kept()) == []
    assert list(tmp_path.glob("piece-*")) == []


def test_a_damaged_piece_and_all_after_it_are_made_again(tmp_path):
    interrupted(tmp_path, 4)
    data = tmp_path / "piece-00001.npz"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert len(list(Pieces(tmp_path, QUESTION).kept())) == 1
    assert {path.name for path in tmp_path.glob("piece-*")} == {
        "piece-00000.npz",
        "piece-00000.json",
    }


def test_a_piece_without_its_note_was_never_finished(tmp_path):
    interrupted(tmp_path, 2)
    (tmp_path / "piece-00001.json").unlink()
    assert len(list(Pieces(tmp_path, QUESTION).kept())) == 1


def test_a_resumed_run_writes_the_store_of_an_unbroken_one(tmp_path):
    interrupted(tmp_path / "a", 4)
    pieces = Pieces(tmp_path / "a", QUESTION, seconds=0)

    def rows():
        done = 0
        for piece in pieces.kept():
            done += len(piece[0])
            yield piece
        assert done == 4
        yield from pieces.keep(batches(done))

    how = {"model": "m", "dataset": {"name": "d"}}
    resumed = store.write(tmp_path / "a", rows(), **how)
    pieces.clear()
    whole = store.write(tmp_path / "b", batches(), **how)
    assert resumed.ids == whole.ids
    np.testing.assert_array_equal(resumed.array(), whole.array())
    np.testing.assert_array_equal(resumed.output("energy_ev"), whole.output("energy_ev"))
    assert not list((tmp_path / "a").glob("piece-*"))


# ---- outputs -----------------------------------------------------------------------------


def test_outputs_are_kept_beside_the_rows(tmp_path):
    stored = store.write(tmp_path, batches(), model="m", dataset={"name": "d"})
    stored.verify()
    assert store.open(tmp_path).output("energy_ev").tolist() == [0, -1, -2, -3, -4, -5]
    with pytest.raises(KeyError, match="no output 'forces'; it has energy_ev"):
        stored.output("forces")


def test_a_flipped_bit_in_an_output_is_found(tmp_path):
    stored = store.write(tmp_path, batches(), model="m", dataset={"name": "d"})
    path = tmp_path / stored.manifest.outputs["energy_ev"].file
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
    ],
)
def test_outputs_that_do_not_fit_the_rows_are_refused(tmp_path, outputs, message):
    wrong = [((f"s{i}",), np.zeros((1, 2), np.float32), o) for i, o in enumerate(outputs)]
    with pytest.raises(ValueError, match=message):
        store.write(tmp_path, wrong, model="m", dataset={"name": "d"})


def test_overwriting_leaves_no_old_outputs(tmp_path):
    for _ in range(2):
        store.write(tmp_path, batches(), model="m", dataset={"name": "d"}, overwrite=True)
    named = json.loads((tmp_path / "manifest.json").read_text())["outputs"]
    assert len(list(tmp_path.glob("output-*"))) == len(named) == 1
