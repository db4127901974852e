"""Every potential still makes of four real crystals what it made, and energies are about right.

The crystals and their energies (PBE+U where it applies) are structures of MPtrj, as in the
package mattersim 1.2.3 (MIT). Run as a script with the names of new models, this file writes
the stored numbers.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Samples

TESTS = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))

from model_fingerprints import check_stored, fingerprint, packaged, run, write_stored  # noqa: E402

STORED = TESTS / "models" / "crystal_fingerprints.json"
CRYSTALS = json.loads((TESTS / "models" / "crystals.json").read_text())
ELEMENTS = {number for crystal in CRYSTALS for number in crystal["numbers"]}

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def reads_them(model):
    return model.periodic and (model.elements is None or model.elements >= ELEMENTS)


NAMES = [name for name in packaged("atoms") if reads_them(models.MODELS[name])]


def crystals(order=range(4)):
    chosen = [CRYSTALS[i] for i in order]
    atoms = [
        Atoms(np.array(c["numbers"]), np.array(c["positions"]), np.array(c["cell"]), (True,) * 3)
        for c in chosen
    ]
    energies = np.array([crystal["energy_ev"] for crystal in chosen])
    ids = tuple(crystal["id"] for crystal in chosen)
    return Samples(ids=ids, columns={"atoms": atoms}, labels={"energy_ev": energies})


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_and_energies_are_those_stored(name):
    check_stored(STORED, name, fingerprint(*run(name, crystals())))


@pytest.mark.parametrize("name", NAMES)
def test_a_crystal_has_the_same_row_in_any_batch_and_order(name):
    together, energies = run(name, crystals())
    order = [3, 1, 0]
    apart, again = run(name, crystals(order), batch_size=2)
    np.testing.assert_allclose(apart, together[order], rtol=1e-4, atol=2e-5)
    for key, values in energies.items():
        np.testing.assert_allclose(again[key], values[order], rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in NAMES if models.MODELS[n].theory[:3] == "PBE"])
def test_energies_are_those_of_density_functional_theory_in_ev(name):
    samples = crystals()
    _, outputs = run(name, samples)
    difference = (outputs["energy_ev"] - samples.labels["energy_ev"]) / n_atoms(samples)
    # CHGNet learnt energies with the corrections that the Materials Project gives to anions.
    limit = 0.5 if models.MODELS[name].family == "CHGNet" else 0.1
    assert np.abs(difference).max() < limit


def test_two_potentials_of_r2scan_agree():
    samples = crystals()
    one, two = (run(name, samples)[1]["energy_ev"] for name in ("chgnet-r2scan", "diep-r2scan"))
    np.testing.assert_allclose(one / n_atoms(samples), two / n_atoms(samples), atol=0.2)


def n_atoms(samples):
    return np.array([len(atoms) for atoms in samples.columns["atoms"]])


if __name__ == "__main__":
    write_stored(STORED, sys.argv[1:] or NAMES, crystals())
