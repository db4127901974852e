"""Samples keep ids, columns and labels together, and make the columns that follow from others."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from consilience.datasets import Atoms, Backbone, Samples, compositions
from consilience.datasets._gather import Sample, gather


def five():
    return Samples(
        ids=tuple("abcde"),
        columns={"smiles": ["C", "N", "O", "F", "S"]},
        labels={"energy_ev": np.arange(5.0)},
        n_skipped=2,
    )


def backbone(sequence):
    return Backbone(sequence, np.zeros((len(sequence), 4, 3), np.float32))


def test_samples_check_themselves():
    with pytest.raises(ValueError, match="'b' comes twice"):
        Samples(ids=("a", "b", "b"), columns={})
    with pytest.raises(ValueError, match="'smiles' has 1 values for 2 ids"):
        Samples(ids=("a", "b"), columns={"smiles": ["C"]})
    with pytest.raises(ValueError, match="no 'atoms', only smiles"):
        next(Samples(ids=("a",), columns={"smiles": ["C"]}).batches("atoms", 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": np.zeros((3, 3))}, "n_atoms"),
        ({"cell": np.zeros(3)}, r"`cell` must hold three lattice vectors.*got \(3,\)"),
        ({"pbc": (True, False, False)}, "need a `cell`, got None"),
    ],
)
def test_atoms_check_themselves(options, message):
    with pytest.raises(ValueError, match=message):
        Atoms(**{"numbers": np.array([1, 6]), "positions": np.zeros((2, 3)), **options})


def test_a_backbone_has_four_atoms_a_residue():
    assert len(backbone("AX")) == 2
    with pytest.raises(ValueError, match=r"len\(sequence\) = 3, got \(2, 4, 3\)"):
        Backbone("AXA", np.zeros((2, 4, 3), np.float32))


def test_batches_cover_all_samples_in_order():
    parts = list(five().batches("smiles", 2))
    assert [ids for ids, _ in parts] == [("a", "b"), ("c", "d"), ("e",)]
    assert [v for _, values in parts for v in values] == list("CNOFS")


@pytest.mark.parametrize("which", [[3, 0], np.array([3, 0])])
def test_a_subset_by_position_keeps_its_order(which):
    part = five().subset(which)
    assert part.ids == ("d", "a")
    assert part.columns["smiles"] == ["F", "C"]
    assert part.labels["energy_ev"].tolist() == [3.0, 0.0]
    assert part.n_skipped == 2


def test_a_subset_by_mask():
    assert five().subset([True, False, False, True, False]).ids == ("a", "d")
    assert len(five().subset([False] * 5)) == 0
    assert len(five().subset([])) == 0


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ([True, False], r"a mask must have shape \(5,\)"),
        ([5], "no sample at 5: there are 5"),
        ([-1], "no sample at -1"),
        ([1, 1], "'b' comes twice"),
        ([0.5], "float64"),
        ([[0]], "shape"),
    ],
)
def test_subsets_that_cannot_be(which, message):
    with pytest.raises(ValueError, match=message):
        five().subset(which)


def test_the_sequence_follows_from_the_structure():
    samples = Samples(ids=("a", "b"), columns={"structure": [backbone("MK"), backbone("X")]})
    assert "sequence" in samples.columns
    assert samples.columns["sequence"] == ["MK", "X"]
    assert list(samples.columns) == ["structure"]
    assert samples.subset([1]).columns["sequence"] == ["X"]
    assert [values for _, values in samples.batches("sequence", 1)] == [["MK"], ["X"]]
    given = Samples(("a",), {"structure": [backbone("MK")], "sequence": ["MKV"]})
    assert given.columns["sequence"] == ["MKV"]


def test_a_column_that_follows_from_nothing_is_not_there():
    for name in ("sequence", "selfies", "atoms"):
        samples = Samples(ids=("a",), columns={"name": ["water"]})
        assert name not in samples.columns
        with pytest.raises(KeyError):
            samples.columns[name]


def test_selfies_follow_from_smiles():
    selfies = pytest.importorskip("selfies")
    samples = Samples(ids=("a", "b", "c"), columns={"smiles": ["CCO", "F(C)(C)C", "c1ccccc1"]})
    ethanol, impossible, benzene = samples.columns["selfies"]
    assert selfies.decoder(ethanol) == "CCO"
    assert impossible is None
    assert selfies.decoder(benzene) == "C1=CC=CC=C1"
    assert samples.columns["selfies"] is samples.columns["selfies"]
    assert replace(samples, n_skipped=1).columns["selfies"] is samples.columns["selfies"]


def test_selfies_without_the_package_say_what_to_install():
    code = (
        "import sys; sys.modules['selfies'] = None\n"
        "from consilience.datasets import Samples\n"
        "Samples(('a',), {'smiles': ['C']}).columns['selfies']"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ValueError: 'selfies' needs selfies: pip install selfies" in done.stderr


def test_samples_survive_a_pickle():
    again = pickle.loads(pickle.dumps(five()))
    assert again.ids == five().ids
    assert again.columns["smiles"] == five().columns["smiles"]
    assert "selfies" in again.columns


def test_compositions_count_atoms():
    methanol = Atoms(np.array([6, 8, 1, 1, 1, 1]), np.zeros((6, 3)))
    argon = Atoms(np.array([18]), np.zeros((1, 3)))
    samples = Samples(ids=("a", "b"), columns={"atoms": [methanol, argon]})
    elements, counts = compositions(samples)
    assert elements.tolist() == [1, 6, 8, 18]
    assert counts.tolist() == [[4, 1, 1, 0], [0, 0, 0, 1]]
    with pytest.raises(ValueError, match="compositions need 'atoms', samples have smiles"):
        compositions(five())


def numbers(n, *, broken=(), total=50, labels=True, seed=0):
    """Draw from the numbers below `total`; those in `broken` cannot be read."""
    read = []

    def one(i):
        read.append(i)
        known = {"energy_ev": float(i)} if labels is True or i in labels else {}
        return [None if i in broken else Sample(f"n-{i}", {"name": str(i)}, known)]

    return gather(one, total, n=n, seed=seed, source="numbers", what="numbers"), read


def test_a_small_draw_begins_a_larger_one_and_reads_no_more_than_it_takes():
    (small, read), (large, _) = numbers(4), numbers(30)
    assert len(read) == 4
    assert large.ids[:4] == small.ids
    assert numbers(30, seed=1)[0].ids != large.ids
    assert numbers(None)[0].ids == tuple(f"n-{i}" for i in range(50))


def test_what_cannot_be_read_is_replaced_in_a_draw_and_counted():
    whole, _ = numbers(20)
    broken = {int(i.removeprefix("n-")) for i in whole.ids[3:6]}
    samples, read = numbers(20, broken=broken)
    assert len(samples) == 20
    assert samples.n_skipped == 3
    assert len(read) == 23
    assert samples.ids[:17] == whole.ids[:3] + whole.ids[6:]
    assert numbers(None, broken=broken)[0].n_skipped == 3


def test_too_few_readable_samples():
    with pytest.raises(ValueError, match="numbers has 48 readable numbers, 49 were asked for"):
        numbers(49, broken={1, 2})
    with pytest.raises(ValueError, match="numbers has 50 numbers, 51 were asked for"):
        numbers(51)
    with pytest.raises(ValueError, match="no numbers that can be read; 3 were skipped"):
        numbers(None, broken={0, 1, 2}, total=3)


def test_a_label_that_some_samples_lack_is_left_out_aloud():
    with pytest.warns(UserWarning, match="numbers gives 'energy_ev' for 2 of 5 samples"):
        samples, _ = numbers(None, total=5, labels={1, 3})
    assert dict(samples.labels) == {}
    assert dict(numbers(None, total=5, labels=())[0].labels) == {}
