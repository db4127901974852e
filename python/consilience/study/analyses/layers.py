"""Two models layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consilience._evaluate import Terms, terms_of
from consilience._validate import check_choice
from consilience.metrics import METRICS
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import LOWER_IS_CLOSER
from consilience.study.analyses._relabel import beyond, null_scores

Floats = NDArray[np.float64]
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class BestLayers(Result):
    """The pair of layers with the highest score, and what is left of it after the search.

    calibrated : (value - tau) / (1 - tau), at least 0, tau the 95 % quantile of the highest
        score over all pairs of layers if the samples of one model are relabelled.
    p : how often that highest score is at least `value`.
    """

    layer_a: str
    layer_b: str
    value: float
    calibrated: float | None
    p: float | None


@dataclass(frozen=True)
class Layers(Result):
    """Scores of every layer of one model with every layer of another.

    Attributes
    ----------
    a, b, label : str
    layers_a, layers_b : tuple of str
    values : (n_layers_a, n_layers_b) tuples of float
    calibrated : like `values`, or None
        Each beyond its own null.
    best : BestLayers
    n_permutations : int
        0 if nothing is calibrated.
    """

    a: str
    b: str
    label: str
    layers_a: tuple[str, ...]
    layers_b: tuple[str, ...]
    values: Rows
    calibrated: Rows | None
    best: BestLayers
    n_permutations: int = 0


def layers(
    a_layers: Mapping[str, Any],
    b_layers: Mapping[str, Any],
    metric: str = "cknna",
    settings: Mapping[str, Any] | None = None,
    *,
    a: str = "A",
    b: str = "B",
    label: str | None = None,
    n_permutations: int = 200,
    alpha: float = 0.05,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
    max_memory: int | None = None,
) -> Layers:
    r"""Score every layer of one model with every layer of another.

    The terms of each layer are made once for all pairs. The best of many pairs is high by
    selection alone: it is calibrated by relabelling the samples of model b, the same way for
    all of its layers, and taking the highest score over all pairs each time [groger2026]_.

    Parameters
    ----------
    a_layers, b_layers : mapping from layer to array of shape (n_samples, n_features)
        Row i of every array comes from the same sample.
    metric : str
        Of pairs, larger where models agree more, for example "cknna", "mutual_knn" or "cka".
    settings : mapping, optional
        Of the metric.
    a, b : str
        The models' names.
    label : str, optional
        The metric's name if not given.
    n_permutations : int
        Relabellings; 0 for no calibration.
    alpha, seed : how to calibrate
    backend, device, n_threads, max_memory : how to run

    Returns
    -------
    Layers

    Raises
    ------
    ValueError
        Without layers, on different n_samples, or for a metric that is not a pair's alignment.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).standard_normal((2, 60, 4))
    >>> found = layers({"1": X}, {"1": Y, "2": 2 * X}, "mutual_knn", {"k": 5}, n_permutations=0)
    >>> found.best.layer_b, found.best.value
    ('2', 1.0)
    """
    check_choice(metric, "metric", METRICS)
    registered = METRICS[metric]
    if registered.kind != "pair" or metric in LOWER_IS_CLOSER:
        raise ValueError(f"{metric!r} is not an alignment of pairs; layers need one, such as cknna")
    for which, given in (("a_layers", a_layers), ("b_layers", b_layers)):
        if not given:
            raise ValueError(f"`{which}` is empty: give at least one layer")
    if n_permutations < 0 or not 0.0 < alpha < 1.0:
        raise ValueError(
            "`n_permutations` must not be negative and `alpha` lie between 0 and 1, "
            f"got {n_permutations} and {alpha}"
        )
    chosen = registered.settings_type(**(settings or {}))
    arrays = [(f"{a}: {name}", X) for name, X in a_layers.items()]
    arrays += [(f"{b}: {name}", X) for name, X in b_layers.items()]
    terms = terms_of(
        arrays,
        chosen.needs(),
        [(i, len(a_layers) + j) for i in range(len(a_layers)) for j in range(len(b_layers))],
        backend=backend,
        device=device,
        n_threads=n_threads,
        max_memory=max_memory,
        nulls=False,
    )
    chosen.check(terms)
    values = np.array([chosen.score(terms, *pair).value for pair in terms.pairs])
    values = values.reshape(len(a_layers), len(b_layers))
    i, j = np.unravel_index(int(values.argmax()), values.shape)
    calibrated, best, p = _calibrated(
        chosen,
        terms,
        values,
        registered.bounds[1],
        n_permutations=n_permutations,
        alpha=alpha,
        seed=seed,
    )
    layers_a, layers_b = tuple(a_layers), tuple(b_layers)
    return Layers(
        a,
        b,
        label or metric,
        layers_a,
        layers_b,
        _rows(values),
        None if calibrated is None else _rows(calibrated),
        BestLayers(layers_a[i], layers_b[j], float(values[i, j]), best, p),
        n_permutations,
    )


def _rows(values: Floats) -> Rows:
    return tuple(tuple(row) for row in values.tolist())


def _calibrated(
    chosen: Any,
    terms: Terms,
    values: Floats,
    most: float,
    *,
    n_permutations: int,
    alpha: float,
    seed: int,
) -> tuple[Floats | None, float | None, float | None]:
    """Return (calibrated cells, calibrated best, p of the best), None where not asked for."""
    if n_permutations == 0:
        return None, None, None
    moved = frozenset(j for _, j in terms.pairs)
    null = np.array(list(null_scores(chosen, terms, moved, n_permutations, seed)))
    best, p = beyond(float(values.max()), null.max(axis=1), most, alpha)
    if best is None:
        return None, None, p
    cells = [
        beyond(float(value), null[:, at], most, alpha)[0] for at, value in enumerate(values.flat)
    ]
    return np.array(cells, dtype=np.float64).reshape(values.shape), best, p
