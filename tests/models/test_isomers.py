"""Which of six isomers is how much more stable: energies are in eV, whatever their zero is.

The isomers, C5H9NO, and their energies (B3LYP) are molecules of QM9.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Samples
from model_fingerprints import packaged, run

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")

OF_MOLECULES = {"AIMNet2", "ANI", "SO3LR"}
POTENTIALS = [n for n in packaged("atoms") if models.MODELS[n].modality == "3D"]


def isomers():
    found = json.loads((Path(__file__).parent / "isomers.json").read_text())
    atoms = [Atoms(np.array(m["numbers"]), np.array(m["positions"])) for m in found]
    energies = np.array([m["energy_ev"] for m in found])
    return Samples(tuple(m["id"] for m in found), {"atoms": atoms}, {"energy_ev": energies})


@pytest.mark.parametrize("name", POTENTIALS)
def test_energies_of_isomers_differ_by_what_they_should_in_ev(name):
    samples = isomers()
    _, outputs = run(name, samples)
    truth = samples.labels["energy_ev"] - samples.labels["energy_ev"].mean()
    found = outputs["energy_ev"] - outputs["energy_ev"].mean()
    slope = (found @ truth) / (truth @ truth)
    # Potentials of crystals have seen few molecules; a wrong unit is off by far more.
    least, most = (0.8, 1.4) if models.MODELS[name].family in OF_MOLECULES else (0.5, 2.0)
    assert least < slope < most
    assert np.corrcoef(found, truth)[0, 1] > (0.95 if most < 2 else 0.5)
