"""Every model still makes of eight molecules what it made when it was written.

Run as a script with the names of new models, this file writes the stored numbers. For others
do so only when a package that ships weights was changed on purpose.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))

from model_fingerprints import check_stored, fingerprint, packaged, run, write_stored  # noqa: E402
from model_samples import eight_molecules  # noqa: E402

STORED = TESTS / "models" / "fingerprints.json"
NAMES = packaged("smiles", "selfies", "atoms", "ids")

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_stored(name):
    check_stored(STORED, name, fingerprint(*run(name, eight_molecules())))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_has_the_same_row_in_any_batch_and_order(name):
    together, _ = run(name, eight_molecules())
    order = [5, 0, 7, 2, 3]
    apart, _ = run(name, eight_molecules(order), batch_size=2)
    np.testing.assert_allclose(apart, together[order], rtol=1e-4, atol=2e-5)


def test_no_fingerprint_is_left_of_a_model_that_is_gone():
    assert set(json.loads(STORED.read_text())) <= set(NAMES)


if __name__ == "__main__":
    write_stored(STORED, sys.argv[1:] or NAMES, eight_molecules())
