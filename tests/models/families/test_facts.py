"""What is said about the models whose weights the user brings."""

from __future__ import annotations

import pytest

from consilience import models
from consilience.models._atomistic import lowest_multiplicity
from consilience.models._elements import MPTRJ
from consilience.models._weights import TRUST_PICKLE, TRUST_REMOTE_CODE
from family_atoms import METHANOL, WATER

FAMILIES = {
    "MACE",
    "Orb",
    "UMA",
    "eSEN",
    "EquiformerV2",
    "PET",
    "Geom2Vec",
    "MoLFormer",
    "ChemBERTa",
    "ChemGPT",
    "ESM2",
    "ESMC",
    "ESM3",
    "ProtT5",
    "ESM-IF1",
    "LLM",
}
BROUGHT = {name: found for name, found in models.MODELS.items() if found.takes_weights}
# As datasets are written everywhere; a model that learnt from several joins them by " + ".
DATA = {
    *("MPtrj", "sAlex", "Alexandria", "OMat24", "OMol25", "OC20", "ODAC25", "OMC25", "SPICE"),
    *("MAD", "Orbnet Denali", "ZINC", "PubChem", "UniRef50", "UniRef", "MGnify", "JGI", "OAS"),
    *("PDB", "AlphaFoldDB", "ESMAtlas", "BFD", "CATH", "AlphaFold2 of UniRef50", "text"),
}


def test_every_family_of_the_paper_that_ships_no_weights_is_here():
    assert {found.family for found in BROUGHT.values()} >= FAMILIES


@pytest.mark.parametrize("name", [n for n, found in BROUGHT.items() if found.family in FAMILIES])
def test_facts_are_complete_and_in_the_same_words(name):
    found = models.MODELS[name]
    assert set(found.training_data.split(" + ")) <= DATA
    assert found.license
    assert found.install
    assert found.architecture
    assert found.seconds_per_1k > 0
    assert found.requires[0] == "torch"
    assert (found.theory != "") == (found.modality == "3D" and name != "geom2vec")


@pytest.mark.parametrize("name", [n for n, found in BROUGHT.items() if found.family in FAMILIES])
def test_without_weights_or_library_one_sentence_says_what_to_do(name):
    found = models.MODELS[name]
    sentence = models.available(found)
    assert sentence is not None
    assert found.install in sentence or f"'{name}:WEIGHTS'" in sentence


def test_what_has_to_be_trusted_is_said_where_the_weights_are_asked_for():
    pickles = {"MACE", "UMA", "PET"}
    said = {found.family for found in BROUGHT.values() if TRUST_PICKLE in found.weights}
    assert said >= pickles
    assert TRUST_REMOTE_CODE in models.MODELS["molformer"].weights


def test_the_same_data_have_the_same_size_and_potentials_the_same_elements():
    sizes = {}
    for found in BROUGHT.values():
        if found.training_size is not None and found.modality == "3D":
            assert sizes.setdefault(found.training_data, found.training_size) == found.training_size
    assert sizes["OMat24 + sAlex + MPtrj"] > sizes["OMat24"] > sizes["MPtrj"]
    assert len(MPTRJ) == 89


def test_an_odd_number_of_electrons_makes_a_doublet():
    from consilience.datasets import Atoms

    assert lowest_multiplicity(WATER) == lowest_multiplicity(METHANOL) == 1
    assert lowest_multiplicity(Atoms(WATER.numbers, WATER.positions, charge=1)) == 2
