"""A few numbers of every embedding, stored, so that a change of any of them is seen."""

import json

import numpy as np
import pytest

from consilience import models

COLUMNS = (0, 7, 40)


def packaged(*representations):
    """Return the models that come with their weights and read one of the representations."""
    return [
        name
        for name, model in models.MODELS.items()
        if model.representation in representations and not model.takes_weights
    ]


def run(name, samples, **options):
    """Return rows and outputs; skips the test if the model is not installed."""
    if sentence := models.available(models.find_model(name)):
        pytest.skip(sentence)
    batches = list(models.embed(name, samples, **options))
    assert tuple(i for batch in batches for i in batch.ids) == samples.ids
    outputs = {
        key: np.concatenate([batch.outputs[key] for batch in batches]) for key in batches[0].outputs
    }
    return np.concatenate([batch.rows for batch in batches]), outputs


def fingerprint(rows, outputs):
    """Return what changes if a row, the order of features or an output does."""
    rows = rows.astype(np.float64)
    return {
        "norms": np.linalg.norm(rows, axis=1).round(5).tolist(),
        "columns": rows[:, COLUMNS].round(5).T.tolist(),
        **{key: values.round(4).tolist() for key, values in outputs.items()},
    }


def check_stored(path, name, found):
    """Compare with what `path` holds for the model."""
    stored = json.loads(path.read_text())
    assert name in stored, f"write it: python tests/models/test_{path.stem}.py {name}"
    assert found.keys() == stored[name].keys()
    for key, values in stored[name].items():
        np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-3, err_msg=key)


def write_stored(path, names, samples):
    """Write the numbers of the models that can run here; the others keep theirs."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        if sentence := models.available(models.find_model(name)):
            print(f"skipped: {sentence}")  # noqa: T201
            continue
        stored[name] = fingerprint(*run(name, samples))
    lines = [f"{json.dumps(name)}: {json.dumps(stored[name])}" for name in sorted(stored)]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
