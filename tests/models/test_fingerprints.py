"""Every model still makes of eight molecules what it made when it was written.

Run as a script, this file writes the stored numbers again. Do so only when a package that
ships weights was changed on purpose: ``python tests/models/test_fingerprints.py``.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Atoms, Samples

HERE = Path(__file__).parent
STORED = HERE / "fingerprints.json"
COLUMNS = (0, 7, 40)

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def eight_molecules(order=range(8)):
    """Return molecules of QM9, without the package that ships it."""
    molecules = json.loads((HERE / "molecules.json").read_text())
    chosen = [molecules[i] for i in order]
    atoms = [Atoms(np.array(m["numbers"]), np.array(m["positions"])) for m in chosen]
    return Samples(
        ids=tuple(molecule["id"] for molecule in chosen),
        columns={"smiles": [molecule["smiles"] for molecule in chosen], "atoms": atoms},
    )


def embed(name, samples, **options):
    if sentence := models.available(models.find_model(name)):
        pytest.skip(sentence)
    ids, rows = zip(*models.embed(name, samples, **options), strict=True)
    assert tuple(i for batch in ids for i in batch) == samples.ids
    return np.concatenate(rows)


def fingerprint(rows):
    """Return a few numbers that change if a row or the order of features does."""
    rows = rows.astype(np.float64)
    return {
        "norms": np.linalg.norm(rows, axis=1).round(5).tolist(),
        "columns": rows[:, COLUMNS].round(5).T.tolist(),
    }


@pytest.mark.parametrize("name", models.MODELS)
def test_embeddings_are_those_stored(name):
    found = fingerprint(embed(name, eight_molecules()))
    stored = json.loads(STORED.read_text())[name]
    for key, values in stored.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-3, err_msg=key)


@pytest.mark.parametrize("name", models.MODELS)
def test_a_sample_has_the_same_row_in_any_batch_and_order(name):
    together = embed(name, eight_molecules())
    order = [5, 0, 7, 2, 3]
    apart = embed(name, eight_molecules(order), batch_size=2)
    np.testing.assert_allclose(apart, together[order], rtol=1e-4, atol=1e-5)


def write_stored():
    samples = eight_molecules()
    lines = [
        f"{json.dumps(name)}: {json.dumps(fingerprint(embed(name, samples)))}"
        for name in sorted(models.MODELS)
    ]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write_stored()
