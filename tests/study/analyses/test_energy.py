from __future__ import annotations

import numpy as np
import pytest

from consilience.study.analyses import energy_mae


@pytest.fixture
def counts(rng):
    return rng.integers(0, 5, (60, 4)) + np.eye(4, dtype=int)[rng.integers(0, 4, 60)]


def test_a_shift_per_element_is_no_error(counts, rng):
    truth = counts @ [-3.0, -7.0, -1.0, -2.0] + rng.standard_normal(60)
    predicted = truth + counts @ [100.0, -5000.0, 3.0, 0.5]
    assert energy_mae(truth, predicted, counts) == pytest.approx(0.0, abs=1e-9)


def test_what_the_composition_does_not_explain_is_the_error(counts, rng):
    # An error without any part that a linear composition model could take.
    noise = rng.standard_normal(60)
    error = noise - counts @ np.linalg.pinv(counts) @ noise
    truth = counts @ [-3.0, -7.0, -1.0, -2.0]
    found = energy_mae(truth, truth + counts @ [1.0, 2.0, 3.0, 4.0] + error, counts)
    assert found == pytest.approx(np.mean(np.abs(error) / counts.sum(axis=1)), rel=1e-9)


def test_elements_that_come_together_do_not_matter(counts, rng):
    truth, predicted = rng.standard_normal((2, 60))
    doubled = np.hstack([counts, counts[:, :2], np.zeros((60, 3), dtype=int)])
    doubled_atoms = doubled.sum(axis=1) / counts.sum(axis=1)
    error = (truth - predicted) - counts @ np.linalg.pinv(counts) @ (truth - predicted)
    found = energy_mae(truth, predicted, doubled)
    assert found == pytest.approx(
        np.mean(np.abs(error) / (counts.sum(axis=1) * doubled_atoms)), rel=1e-9
    )


def test_samples_that_any_model_fits_are_refused(counts):
    with pytest.raises(ValueError, match=r"4 samples are fitted exactly .* 4 independent"):
        energy_mae(np.ones(4), np.zeros(4), np.eye(4))


def test_bad_input_is_named(counts):
    good = np.zeros(60)
    bad = good.copy()
    bad[7] = np.nan
    with pytest.raises(ValueError, match=r"`predicted_ev` .* nan for sample 7"):
        energy_mae(good, bad, counts)
    with pytest.raises(ValueError, match="must be of the same samples"):
        energy_mae(good[1:], good, counts)
    empty = counts.copy()
    empty[3] = 0
    with pytest.raises(ValueError, match=r"sample 3 .* no atoms"):
        energy_mae(good, good, empty)
    with pytest.raises(ValueError, match="none negative"):
        energy_mae(good, good, -counts)
    with pytest.raises(ValueError, match="one energy per sample"):
        energy_mae(good[:, None], good, counts)
