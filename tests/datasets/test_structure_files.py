"""Molecules and crystals out of files in the formats of ASE and of the large databases."""

import json
import sqlite3
import zlib

import numpy as np
import pytest

from consilience.datasets import load_samples

ase = pytest.importorskip("ase")


def crystal(i):
    """A rock salt cell, a little larger for each i, whose energy is -10 - i."""
    from ase.build import bulk
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = bulk("NaCl", "rocksalt", a=5.6 + 0.01 * i)
    atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - i, forces=np.zeros((2, 3)))
    return atoms


def check_crystal(samples, k, i):
    """Sample k is crystal i."""
    found, made = samples.columns["atoms"][k], crystal(i)
    assert found.numbers.tolist() == [11, 17]
    assert found.pbc == (True, True, True)
    np.testing.assert_allclose(found.positions, made.positions, atol=1e-7)
    np.testing.assert_allclose(found.cell, made.cell.array, atol=1e-7)
    assert samples.labels["energy_ev"][k] == -10.0 - i


def check_draw(source, total, index):
    """Whatever part is drawn, an id stays with its crystal; `index` says which one it is."""
    for n, seed in ((None, 0), (3, 0), (total, 5)):
        samples = load_samples(source, n=n, seed=seed)
        assert len(samples) == (n or total)
        for k, name in enumerate(samples.ids):
            check_crystal(samples, k, index(name))
    assert load_samples(source, n=3).ids == load_samples(source, n=5).ids[:3]


# ---- extended XYZ ------------------------------------------------------------------------


@pytest.fixture
def xyz(tmp_path):
    from ase.io import write

    file = tmp_path / "train.extxyz"
    write(file, [crystal(i) for i in range(6)], format="extxyz")
    return file


def test_extxyz_frames_keep_their_ids(xyz):
    check_draw(f"extxyz:{xyz}", 6, lambda name: int(name.removeprefix("train-")))
    assert load_samples(f"extxyz:{xyz}").ids[0] == "train-000000"


def test_extxyz_molecules_have_no_cell_and_may_be_charged(tmp_path):
    file = tmp_path / "ions.xyz"
    file.write_text(
        "2\nProperties=species:S:1:pos:R:3 charge=-1 REF_energy=-75.5\nO 0 0 0\nH 0 0 1\n\n"
        "1\nProperties=species:S:1:pos:R:3 REF_energy=-0.5\nH 1 2 3\n"
    )
    samples = load_samples(f"extxyz:{file}")
    ion, atom = samples.columns["atoms"]
    assert (ion.cell, ion.pbc, ion.charge) == (None, (False, False, False), -1)
    assert atom.charge == 0
    assert atom.positions.tolist() == [[1.0, 2.0, 3.0]]
    assert samples.labels["energy_ev"].tolist() == [-75.5, -0.5]


@pytest.mark.parametrize(
    "line",
    [
        "Xx 0 0 0",
        "H 0 0",
        "H 0 0 nan",
        "H 0 zero 0",
    ],
)
def test_an_extxyz_frame_that_cannot_be_read_is_skipped_and_counted(tmp_path, line):
    file = tmp_path / "a.xyz"
    good = "1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n"
    file.write_text(good + f"1\nProperties=species:S:1:pos:R:3\n{line}\n" + good)
    samples = load_samples(f"extxyz:{file}")
    assert samples.ids == ("a-000000", "a-000002")
    assert samples.n_skipped == 1
    assert dict(samples.labels) == {}


@pytest.mark.parametrize("comment", ["energy=nan", "energy=1.0 energy_unit=Ha"])
def test_an_energy_that_is_no_number_of_ev_is_not_taken(tmp_path, comment):
    file = tmp_path / "a.xyz"
    head = "1\nProperties=species:S:1:pos:R:3"
    file.write_text(f"{head} {comment}\nH 0 0 0\n{head} energy=-13.6\nH 0 0 0\n")
    samples = load_samples(f"extxyz:{file}")
    assert samples.n_skipped == 1
    assert samples.labels["energy_ev"].tolist() == [-13.6]


def test_energies_of_some_frames_only_are_left_out_aloud(tmp_path):
    file = tmp_path / "a.xyz"
    head = "1\nProperties=species:S:1:pos:R:3"
    file.write_text(f"{head} energy=-13.6\nH 0 0 0\n{head}\nH 0 0 0\n")
    with pytest.warns(UserWarning, match="'energy_ev' for 1 of 2 samples"):
        assert dict(load_samples(f"extxyz:{file}").labels) == {}


@pytest.mark.parametrize(
    ("content", "n", "message"),
    [
        (None, None, "cannot read"),
        ("", None, "has no frame"),
        ("H 0 0 0\n", None, r"a\.xyz, line 1: a frame begins with its number of atoms"),
        ("1\n\nH 0 0 0\nH 0 0 0\n", None, "line 4: a frame begins"),
        ("2\n\nH 0 0 0\n", None, "line 1: the file ends within a frame of 2 atoms"),
        ("1\n\nH 0 0 0\n", 2, "has 1 frames, 2 were asked for"),
    ],
)
def test_extxyz_files_that_cannot_serve(tmp_path, content, n, message):
    file = tmp_path / "a.xyz"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_samples(f"extxyz:{file}", n=n)


# ---- ASE databases -----------------------------------------------------------------------


def write_sqlite(file, which, **options):
    from ase.db import connect

    with connect(file, use_lock_file=False) as database:
        for i in which:
            database.write(crystal(i), **options)


def write_lmdb(file, which, data=None, deleted=()):
    """Write the format from its description: decimal keys, packed JSON in the notation of ASE."""
    lmdb = pytest.importorskip("lmdb")
    from ase.io.jsonio import encode

    def packed(value):
        return zlib.compress(encode(value).encode())

    with (
        lmdb.open(str(file), subdir=False, map_size=1 << 24, lock=False) as environment,
        environment.begin(write=True) as out,
    ):
        for number, i in enumerate(which, start=1):
            atoms = crystal(i)
            row = {
                "numbers": atoms.numbers,
                "positions": atoms.positions,
                "cell": atoms.cell.array,
                "pbc": atoms.pbc,
                "unique_id": f"{i:032x}",
                "ctime": 20.0,
                "mtime": 20.0,
                "user": "somebody",
                "calculator": "unknown",
                "energy": -10.0 - i,
                "forces": np.zeros((2, 3)),
                "key_value_pairs": {},
                "data": data or {},
            }
            if number not in deleted:
                out.put(str(number).encode(), packed(row))
        out.put(b"nextid", packed(len(which) + 1))
        if deleted:
            out.put(b"deleted_ids", packed(list(deleted)))
        out.put(b"metadata", packed({"n": len(which)}))


def write_by_ase_db_backends(file, which):
    backends = pytest.importorskip("ase_db_backends.aselmdb")
    with backends.LMDBDatabase(file, use_lock_file=False) as database:
        for i in which:
            database.write(crystal(i))


WRITERS = {
    "a.db": write_sqlite,
    "b.aselmdb": write_lmdb,
    "c.aselmdb": write_by_ase_db_backends,
}


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_a_database_keep_their_ids(tmp_path, name):
    pytest.importorskip("lmdb")
    file = tmp_path / name
    WRITERS[name](file, range(7))
    before = sorted(tmp_path.iterdir()), file.read_bytes()
    check_draw(f"ase_db:{file}", 7, lambda found: int(found.rpartition("-")[2]) - 1)
    assert load_samples(f"ase_db:{file}").ids[0] == f"{name[0]}-1"
    assert (sorted(tmp_path.iterdir()), file.read_bytes()) == before


def test_a_folder_of_databases_is_one_dataset(tmp_path):
    pytest.importorskip("lmdb")
    (tmp_path / "deep").mkdir()
    write_sqlite(tmp_path / "x.db", range(3))
    write_lmdb(tmp_path / "deep" / "y.aselmdb", range(3, 8))
    first = {"x": 0, "deep/y": 3}

    def index(name):
        file, _, number = name.rpartition("-")
        return first[file] + int(number) - 1

    check_draw(f"ase_db:{tmp_path}", 8, index)
    assert load_samples(f"ase_db:{tmp_path}").ids[0] == "deep/y-1"


def test_only_the_rows_drawn_are_read(tmp_path, monkeypatch):
    pytest.importorskip("lmdb")
    from consilience.datasets import _rows

    write_lmdb(tmp_path / "a.aselmdb", range(40))
    read, row = [], _rows.Rows.row
    monkeypatch.setattr(_rows.Rows, "row", lambda self, i: (read.append(i), row(self, i))[1])
    assert len(load_samples(f"ase_db:{tmp_path}", n=4)) == 4
    assert len(read) == 4


def test_deleted_rows_are_no_samples(tmp_path):
    write_lmdb(tmp_path / "a.aselmdb", range(5), deleted=(2, 5))
    samples = load_samples(f"ase_db:{tmp_path / 'a.aselmdb'}")
    assert samples.ids == ("a-1", "a-3", "a-4")
    assert samples.n_skipped == 0


def test_the_charge_is_where_omol25_keeps_it(tmp_path):
    write_lmdb(tmp_path / "a.aselmdb", range(2), data={"charge": -2, "spin": 1})
    samples = load_samples(f"ase_db:{tmp_path}")
    assert [atoms.charge for atoms in samples.columns["atoms"]] == [-2, -2]
    write_sqlite(tmp_path / "b.db", range(1), data={"charge": 1})
    assert load_samples(f"ase_db:{tmp_path / 'b.db'}").columns["atoms"][0].charge == 1


def test_a_row_that_cannot_be_read_is_skipped_and_counted(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    file = tmp_path / "a.aselmdb"
    write_lmdb(file, range(4))
    with (
        lmdb.open(str(file), subdir=False, lock=False) as environment,
        environment.begin(write=True) as out,
    ):
        out.put(b"2", b"not packed")
        out.put(b"3", zlib.compress(json.dumps({"numbers": [1]}).encode()))
    samples = load_samples(f"ase_db:{file}")
    assert samples.ids == ("a-1", "a-4")
    assert samples.n_skipped == 2


def test_a_row_whose_energy_is_not_finite_is_skipped_and_counted(tmp_path):
    pytest.importorskip("lmdb")
    file = tmp_path / "a.db"
    write_sqlite(file, range(3))
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE systems SET energy = 9e999 WHERE id = 2")
    connection.close()
    samples = load_samples(f"ase_db:{file}")
    assert samples.ids == ("a-1", "a-3")
    assert samples.n_skipped == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, b"", "no such file or folder"),
        ("a.txt", b"", r"must end in \.db or \.aselmdb"),
        ("a.db", b"not a database" * 99, r"cannot read .*a\.db as an ASE database"),
        ("a.db", b"", "no such table"),
        ("a.aselmdb", b"not a database" * 999, r"cannot read .*a\.aselmdb as an ASE database"),
    ],
)
def test_databases_that_cannot_serve(tmp_path, name, content, message):
    pytest.importorskip("lmdb")
    if name:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_samples(f"ase_db:{tmp_path / (name or 'nowhere.db')}")


def test_a_folder_without_databases(tmp_path):
    pytest.importorskip("lmdb")
    with pytest.raises(ValueError, match=r"has no ASE databases \(\.db, \.aselmdb\)"):
        load_samples(f"ase_db:{tmp_path}")


def test_an_lmdb_file_of_something_else(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    file = tmp_path / "a.aselmdb"
    with (
        lmdb.open(str(file), subdir=False, lock=False) as environment,
        environment.begin(write=True) as out,
    ):
        out.put(b"key", b"value")
    with pytest.raises(ValueError, match="it has no entry 'nextid'"):
        load_samples(f"ase_db:{file}")


def test_the_charges_of_atoms_make_the_charge_of_a_row(tmp_path):
    pytest.importorskip("lmdb")
    from ase.db import connect

    ion = ase.Atoms("OH", [[0, 0, 0], [0, 0, 1]], charges=[-1.2, 0.2])
    with connect(tmp_path / "a.db", use_lock_file=False) as database:
        database.write(ion)
    assert load_samples(f"ase_db:{tmp_path}").columns["atoms"][0].charge == -1
