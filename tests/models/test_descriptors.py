"""Descriptors are finite: what has no value is 0, what is too large is cut."""

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Samples
from consilience.models.rdkit_descriptors import LARGEST, defined


def test_values_that_are_not_numbers_are_zero_and_large_ones_are_cut():
    found = defined([1.5, float("nan"), float("inf"), -1e30, 3])
    np.testing.assert_array_equal(found, np.array([1.5, 0, LARGEST, -LARGEST, 3], np.float32))
    with np.errstate(over="raise"):
        assert np.isfinite(found**2).all()


@pytest.mark.parametrize("smiles", ["[Na+].[Cl-]", "[H][H]", "CC[Sn](C)(C)C", "[He]", "C" * 300])
def test_odd_molecules_have_finite_rows(smiles):
    pytest.importorskip("rdkit", reason="rdkit is not installed")
    (batch,) = models.embed("rdkit-descriptors", Samples(("a",), {"smiles": [smiles]}))
    assert batch.rows.shape == (1, 217)
    assert np.isfinite(batch.rows).all()


def test_descriptors_are_those_of_rdkit_and_not_scaled():
    pytest.importorskip("rdkit", reason="rdkit is not installed")
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    (batch,) = models.embed("rdkit-descriptors", Samples(("a",), {"smiles": ["CCO"]}))
    names = [name for name, _ in Descriptors.descList]
    weight = batch.rows[0, names.index("MolWt")]
    assert weight == pytest.approx(Descriptors.MolWt(Chem.MolFromSmiles("CCO")), rel=1e-6)


def test_a_string_that_is_no_molecule_is_named():
    pytest.importorskip("rdkit", reason="rdkit is not installed")
    with pytest.raises(models.ModelError, match=r"'C\(' is no SMILES"):
        list(models.embed("rdkit-descriptors", Samples(("a",), {"smiles": ["C("]})))
