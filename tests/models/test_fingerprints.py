"""Every model still makes of eight samples what it made when it was written.

Run as a script, this file writes the stored numbers of models that can run here again. Do so
only when a package that ships weights was changed on purpose, or for a new model:
``python tests/models/test_fingerprints.py [NAME ...]``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from consilience import models

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from model_samples import eight  # noqa: E402

STORED = ROOT / "models" / "fingerprints.json"
COLUMNS = (0, 7, 40)
# Of some models weights are brought by the user, or what is read depends on the machine.
WITH_WEIGHTS = [name for name, model in models.MODELS.items() if not model.takes_weights]

# The libraries that ship the weights warn of many things of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def embed(name, samples, **options):
    if sentence := models.available(models.find_model(name)):
        pytest.skip(sentence)
    run = models.embed(name, samples, **options)
    batches = list(run)
    assert run.skipped == ()
    assert tuple(sample for batch in batches for sample in batch.ids) == samples.ids
    return np.concatenate([batch.rows for batch in batches])


def eight_of(name, order=range(8)):
    return eight(models.find_model(name).representation, order)


def fingerprint(rows):
    """Return a few numbers that change if a row or the order of features does."""
    rows = rows.astype(np.float64)
    return {
        "norms": np.linalg.norm(rows, axis=1).round(5).tolist(),
        "columns": rows[:, COLUMNS].round(5).T.tolist(),
    }


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_embeddings_are_those_stored(name):
    found = fingerprint(embed(name, eight_of(name)))
    stored = json.loads(STORED.read_text())
    assert name in stored, f"write it: python tests/models/test_fingerprints.py {name}"
    for key, values in stored[name].items():
        np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-3, err_msg=key)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_sample_has_the_same_row_in_any_batch_and_order(name):
    together = embed(name, eight_of(name))
    order = [5, 0, 7, 2, 3]
    apart = embed(name, eight_of(name, order), batch_size=2)
    np.testing.assert_allclose(apart, together[order], rtol=1e-4, atol=2e-5)


def test_no_fingerprint_is_left_of_a_model_that_is_gone():
    assert set(json.loads(STORED.read_text())) <= set(WITH_WEIGHTS)


def write_stored(wanted):
    stored = json.loads(STORED.read_text())
    for name in wanted:
        if sentence := models.available(models.find_model(name)):
            print(f"skipped: {sentence}")  # noqa: T201
            continue
        stored[name] = fingerprint(embed(name, eight_of(name)))
    lines = [f"{json.dumps(name)}: {json.dumps(stored[name])}" for name in sorted(stored)]
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write_stored(sys.argv[1:] or WITH_WEIGHTS)
