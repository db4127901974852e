"""Proteins out of PDB, mmCIF and FASTA files."""

import gzip

import numpy as np
import pytest

from consilience.datasets import load_samples
from consilience.datasets._proteins import LETTERS

NAMES = {letter: name for name, letter in LETTERS.items() if name != "MSE"}


@pytest.fixture
def structure():
    return pytest.importorskip("biotite.structure")


def residue(structure, chain, number, name, *, atoms=("N", "CA", "C", "O", "CB"), hetero=False):
    """Atoms of one residue, at places that tell the chain, the residue and the atom."""
    return [
        structure.Atom(
            [10.0 * number, 10.0 * k, 100.0 * (ord(chain) - ord("A"))],
            chain_id=chain,
            res_id=number,
            res_name=name,
            atom_name=atom,
            element=atom[0],
            hetero=hetero,
        )
        for k, atom in enumerate(atoms)
    ]


def protein(structure, chain, sequence):
    named = (NAMES[letter] for letter in sequence)
    return [atom for k, name in enumerate(named, 1) for atom in residue(structure, chain, k, name)]


def write(structure, file, atoms):
    from biotite.structure.io import pdb, pdbx

    array = structure.array(atoms)
    if ".bcif" in file.name:
        out = pdbx.BinaryCIFFile()
        pdbx.set_structure(out, array)
    elif ".cif" in file.name:
        out = pdbx.CIFFile()
        pdbx.set_structure(out, array)
    else:
        out = pdb.PDBFile()
        out.set_structure(array)
    plain = file.with_suffix("") if file.suffix == ".gz" else file
    out.write(plain)
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()


FORMATS = ["pdb:1abc.pdb", "pdb:pdb1abc.ent.gz", "mmcif:1abc.cif", "mmcif:1ABC.cif.gz"]
FORMATS += ["mmcif:1abc.bcif", "mmcif:1abc.bcif.gz"]


@pytest.mark.parametrize("source", FORMATS)
def test_every_chain_is_a_sample(structure, tmp_path, source):
    name, _, file = source.partition(":")
    atoms = protein(structure, "A", "MKV") + protein(structure, "C", "GAXW".replace("X", "Y"))
    atoms += residue(structure, "W", 1, "HOH", atoms=("O",), hetero=True)
    write(structure, tmp_path / file, atoms)
    samples = load_samples(f"{name}:{tmp_path / file}")
    assert samples.ids == ("1ABC_A", "1ABC_C")
    assert samples.columns["sequence"] == ["MKV", "GAYW"]
    assert samples.n_skipped == 0
    first, second = samples.columns["structure"]
    assert (first.sequence, second.sequence) == ("MKV", "GAYW")
    assert second.coordinates.dtype == np.float32
    wanted = [[[10.0 * r, 10.0 * k, 200.0] for k in range(4)] for r in (1, 2, 3, 4)]
    np.testing.assert_allclose(second.coordinates, wanted, atol=1e-3)


@pytest.mark.parametrize("file", ["2xyz.pdb", "2xyz.cif"])
def test_what_is_in_a_chain(structure, tmp_path, file):
    atoms = residue(structure, "A", 1, "ALA")
    atoms += residue(structure, "A", 2, "GLY", atoms=("N", "CA", "C"))
    atoms += residue(structure, "A", 3, "MSE", hetero=True)
    atoms += residue(structure, "A", 4, "SEP", hetero=True)
    atoms += residue(structure, "A", 5, "TRP")
    atoms += residue(structure, "A", 90, "GLY", hetero=True)
    write(structure, tmp_path / file, atoms)
    name = "pdb" if file.endswith("pdb") else "mmcif"
    samples = load_samples(f"{name}:{tmp_path / file}")
    (found,) = samples.columns["structure"]
    # Glycine 2 is not whole, phosphoserine has no letter, glycine 90 is a ligand.
    assert found.sequence == "AMXW"
    np.testing.assert_allclose(found.coordinates[:, 0, 0], [10.0, 30.0, 40.0, 50.0])


def test_a_folder_skips_and_counts_what_cannot_be_read(structure, tmp_path):
    (tmp_path / "deep").mkdir()
    write(structure, tmp_path / "1aaa.cif", protein(structure, "A", "MK"))
    write(structure, tmp_path / "deep" / "1bbb.cif.gz", protein(structure, "B", "GA"))
    bare = residue(structure, "A", 1, "ALA", atoms=("CA",))
    write(structure, tmp_path / "1ccc.cif", bare)
    (tmp_path / "1ddd.cif").write_text("no mmCIF file")
    (tmp_path / "notes.txt").write_text("nothing to read")
    samples = load_samples(f"mmcif:{tmp_path}")
    assert samples.ids == ("1AAA_A", "1BBB_B")
    assert samples.n_skipped == 2
    assert load_samples(f"mmcif:{tmp_path}", n=1).ids[0] in samples.ids
    with pytest.raises(ValueError, match="has 2 readable protein chains, 3 were asked for"):
        load_samples(f"mmcif:{tmp_path}", n=3)


def test_a_model_of_the_users_own_is_called_by_its_file(structure, tmp_path):
    write(structure, tmp_path / "AF-P12345-F1.pdb", protein(structure, "A", "MK"))
    assert load_samples(f"pdb:{tmp_path}").ids == ("AF-P12345-F1_A",)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pdb:nowhere", "no such file or folder"),
        ("pdb:a.cif", r"must end in \.pdb or"),
        ("mmcif:.", "has no mmCIF files"),
        ("pdb:broken.pdb", "has no protein chains that can be read; 1 were skipped"),
    ],
)
def test_structures_that_cannot_serve(structure, tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    name, _, file = source.partition(":")
    if file.endswith((".cif", ".pdb")):
        (tmp_path / "empty" / file).write_text("ATOM      1  N   PRO A   2      eighteen")
    with pytest.raises(ValueError, match=message):
        load_samples(f"{name}:{tmp_path / 'empty' / file}")


def test_the_same_chain_in_two_files_is_refused(structure, tmp_path):
    for file in ("1aaa.pdb", "1aaa.ent"):
        write(structure, tmp_path / file, protein(structure, "A", "MK"))
    with pytest.raises(ValueError, match="'1AAA_A' comes twice"):
        load_samples(f"pdb:{tmp_path}")


# ---- FASTA -------------------------------------------------------------------------------

FASTA = """>sp|P1 one of them
MKV
laa*

>two
MBUZ
>three
>four
MK-V
>five
GA
"""


@pytest.mark.parametrize("file", ["a.fasta", "a.fa.gz"])
def test_fasta(tmp_path, file):
    content = FASTA.encode()
    (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith("gz") else content)
    samples = load_samples(f"fasta:{tmp_path / file}")
    assert samples.ids == ("sp|P1", "two", "five")
    assert samples.columns["sequence"] == ["MKVLAA", "MXXX", "GA"]
    assert samples.n_skipped == 2
    assert set(load_samples(f"fasta:{tmp_path / file}", n=2).ids) < set(samples.ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MKV\n", r"line 1: a FASTA file begins with a line '>id', got 'MKV'"),
        (b"\xff\xfe", "cannot read"),
        (b"", "has no sequences that can be read"),
        (b">a\nMK\n>a\nMK\n", "'a' comes twice"),
        (None, "cannot read"),
    ],
)
def test_fasta_files_that_cannot_serve(tmp_path, content, message):
    file = tmp_path / "a.fasta"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_samples(f"fasta:{file}")


def test_a_packed_file_that_is_cut_off(tmp_path):
    file = tmp_path / "a.fasta.gz"
    file.write_bytes(gzip.compress(FASTA.encode())[:-20])
    with pytest.raises(ValueError, match=r"cannot read .*a\.fasta\.gz"):
        load_samples(f"fasta:{file}")
