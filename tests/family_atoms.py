"""What every adapter of an interatomic potential must do, on tiny random weights."""

from __future__ import annotations

import numpy as np

from consilience import models
from consilience.datasets import Atoms, Samples

WATER = Atoms(np.array([8, 1, 1]), np.array([[0.0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]]))
METHANOL = Atoms(
    np.array([6, 8, 1, 1, 1, 1]),
    np.array(
        [
            [-0.05, 0.66, 0.0],
            [-0.05, -0.76, 0.0],
            [-1.09, 0.98, 0.0],
            [0.44, 1.07, 0.89],
            [0.44, 1.07, -0.89],
            [0.86, -1.06, 0.0],
        ]
    ),
)
ICE = Atoms(
    np.array([8, 1, 1]),
    WATER.positions + 1.0,
    cell=np.array([[3.1, 0, 0], [0.2, 3.3, 0], [0, 0.1, 3.6]]),
    pbc=(True, True, True),
)


def samples_of(*atoms):
    return Samples(ids=tuple(f"s{i}" for i in range(len(atoms))), columns={"atoms": list(atoms)})


def rows_of(name, samples, **options):
    batches = list(models.embed(name, samples, **options))
    rows = np.concatenate([batch.rows for batch in batches])
    outputs = {
        key: np.concatenate([batch.outputs[key] for batch in batches]) for key in batches[0].outputs
    }
    return rows, outputs


def turned(atoms):
    """Rotate by an angle about an oblique axis."""
    from scipy.spatial.transform import Rotation

    R = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix()
    cell = None if atoms.cell is None else atoms.cell @ R.T
    return Atoms(atoms.numbers, atoms.positions @ R.T, cell, atoms.pbc, atoms.charge)


def check_batches_do_not_matter(name, samples, *, rtol=2e-4, atol=2e-5):
    one, energy = rows_of(name, samples, batch_size=1)
    together, energies = rows_of(name, samples, batch_size=len(samples))
    np.testing.assert_allclose(together, one, rtol=rtol, atol=atol)
    np.testing.assert_allclose(energies["energy_ev"], energy["energy_ev"], rtol=rtol, atol=1e-4)
    assert len({row.tobytes() for row in one}) == len(samples), "samples are told apart"


def check_invariance(name, atoms, *, rtol=1e-3, atol=1e-4):
    """A turned sample and one with its atoms in another order have the same embedding."""
    order = np.arange(len(atoms))[::-1]
    shuffled = Atoms(
        atoms.numbers[order], atoms.positions[order], atoms.cell, atoms.pbc, atoms.charge
    )
    rows, outputs = rows_of(name, samples_of(atoms, turned(atoms), shuffled))
    np.testing.assert_allclose(rows[1:], rows[[0, 0]], rtol=rtol, atol=atol)
    energy = outputs["energy_ev"]
    np.testing.assert_allclose(energy[1:], energy[[0, 0]], rtol=rtol, atol=1e-3)


def check_layers(name, samples):
    """Every layer has a row per sample, and the last is what `embed` gives by default."""
    layers = models.layers_of(name)
    (batch,) = models.embed_layers(name, samples)
    assert tuple(batch.rows) == layers
    for layer, rows in batch.rows.items():
        assert len(rows) == len(samples), layer
        assert np.ptp(rows, axis=0).max() > 0, layer
    np.testing.assert_allclose(batch.rows[layers[-1]], rows_of(name, samples)[0], rtol=1e-5)
    return layers
