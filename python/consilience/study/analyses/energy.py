"""Performance of a potential: its energy error beyond what the composition explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def energy_mae(truth_ev: ArrayLike, predicted_ev: ArrayLike, compositions: ArrayLike) -> float:
    r"""Mean absolute energy error in eV/atom, less linear composition models.

    Potentials are trained to different references, so that their total energies differ by an
    amount per element. With C the element counts, truth and predictions are each replaced by
    what a least-squares fit :math:`E \approx C\mu` leaves of them, per atom:

    .. math:: \mathrm{MAE} = \frac1n \sum_i \frac{\lvert
       (E_i - C_i\mu) - (\hat E_i - C_i\hat\mu) \rvert}{N_i},\quad N_i = \sum_e C_{ie}

    Parameters
    ----------
    truth_ev, predicted_ev : array of shape (n_samples,)
        Total energies in eV.
    compositions : array of shape (n_samples, n_elements)
        Atoms of each element in each sample. Elements that never vary on their own make the
        counts rank deficient; the residuals are unique all the same.

    Returns
    -------
    float
        0 for a prediction that differs from the truth by a constant per element.

    Raises
    ------
    ValueError
        On different numbers of samples, a value that is not finite, a sample without atoms, or
        no more samples than independent elements, which any energies would fit.

    References
    ----------
    [edamadaka2025]_

    Examples
    --------
    >>> counts = [[1, 0], [0, 1], [1, 1], [2, 1]]
    >>> energy_mae([1.0, 2.0, 3.0, 4.0], [6.0, 5.0, 11.0, 17.0], counts)
    0.0
    """
    truth, predicted = _energies(truth_ev, "truth_ev"), _energies(predicted_ev, "predicted_ev")
    counts = np.asarray(compositions, dtype=np.float64)
    if counts.ndim != 2 or not len(truth) == len(predicted) == len(counts):
        raise ValueError(
            "`truth_ev`, `predicted_ev` and the rows of `compositions` must be of the same "
            f"samples, got {truth.shape}, {predicted.shape} and {counts.shape}"
        )
    if not np.isfinite(counts).all() or bool(np.any(counts < 0)):
        raise ValueError("`compositions` must be counts of atoms, none negative")
    n_atoms = counts.sum(axis=1)
    if bool(np.any(n_atoms == 0)):
        raise ValueError(f"sample {int(np.argmin(n_atoms))} of `compositions` has no atoms")
    rank = int(np.linalg.matrix_rank(counts))
    if len(truth) <= rank:
        raise ValueError(
            f"{len(truth)} samples are fitted exactly by the composition model of {rank} "
            "independent elements; energy_mae needs more samples"
        )
    error = _residuals(truth, counts) - _residuals(predicted, counts)
    # What rounding leaves of an exact fit is no error.
    noise = 64 * np.finfo(np.float64).eps * max(np.abs(truth).max(), np.abs(predicted).max())
    error[np.abs(error) <= noise] = 0.0
    return float(np.mean(np.abs(error) / n_atoms))


def _energies(values: ArrayLike, name: str) -> NDArray[np.float64]:
    energies = np.asarray(values, dtype=np.float64)
    if energies.ndim != 1:
        raise ValueError(f"`{name}` must have one energy per sample, got shape {energies.shape}")
    bad = np.flatnonzero(~np.isfinite(energies))
    if len(bad):
        raise ValueError(
            f"`{name}` must be finite, got {energies[bad[0]]} for sample {bad[0]}; leave it out"
        )
    return energies


def _residuals(energies: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    fit, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    return np.asarray(energies - counts @ fit)
