"""Every model still makes of four pieces of real proteins what it made when it was written.

The pieces are of entries 3A4R, 2CVI, 2XCJ and 1LPB of the Protein Data Bank (CC0). Run as a
script with the names of new models, this file writes the stored numbers.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from consilience import models
from consilience.datasets import Backbone, Samples

TESTS = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))

from model_fingerprints import check_stored, fingerprint, packaged, run, write_stored  # noqa: E402

STORED = TESTS / "models" / "protein_fingerprints.json"
NAMES = packaged("sequence", "structure")

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def proteins(order=range(4)):
    pieces = json.loads((TESTS / "models" / "proteins.json").read_text())
    chosen = [pieces[i] for i in order]
    structures = [
        Backbone(piece["sequence"], np.array(piece["coordinates"], dtype=np.float32))
        for piece in chosen
    ]
    return Samples(
        ids=tuple(piece["id"] for piece in chosen),
        columns={"sequence": [s.sequence for s in structures], "structure": structures},
    )


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_stored(name):
    check_stored(STORED, name, fingerprint(*run(name, proteins())))


@pytest.mark.parametrize("name", NAMES)
def test_a_protein_has_the_same_row_in_any_batch_and_order(name):
    together, _ = run(name, proteins())
    order = [2, 0, 3]
    apart, _ = run(name, proteins(order), batch_size=2)
    np.testing.assert_allclose(apart, together[order], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_residue_has_a_state_in_every_layer(name):
    found = models.find_model(name)
    if sentence := models.available(found):
        pytest.skip(sentence)
    values = proteins().columns[found.representation]
    network = found.load(checkpoint=found.checkpoint, device="cpu")
    states = network.run(values, network.layers)
    for layer in network.layers:
        assert [len(tokens) for tokens in states.layers[layer]] == [len(v) for v in values], layer


if __name__ == "__main__":
    write_stored(STORED, sys.argv[1:] or NAMES, proteins())
