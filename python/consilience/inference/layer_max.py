"""Two models layer by layer: each pair of layers, and the best one, against chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience._evaluate import metric_with, terms_of
from consilience._validate import check_integer
from consilience.inference.laws import ALPHA, Drawn, calibrated
from consilience.inference.relabel import permutations
from consilience.terms import Floats


@dataclass(frozen=True, eq=False)
class LayerMax:
    """Every layer of A with every layer of B, and the best pair judged as the best of many.

    values, calibrated, p_value : (n_layers_a, n_layers_b)
        Scores, and each one against its own null.
    best : (int, int), the closest pair of layers
    best_calibrated, best_p : float
        Against the null of the closest pair: in every relabelling the best of all pairs.
    threshold : float, what that best reaches by chance in 5 % of relabellings
    null : (n_draws,), the best of all pairs in every relabelling
    """

    values: Floats
    calibrated: Floats
    p_value: Floats
    best: tuple[int, int]
    best_calibrated: float
    best_p: float
    threshold: float
    null: Floats


def layer_max(
    a_layers: Sequence[Any],
    b_layers: Sequence[Any],
    metric: str = "cknna",
    settings: Mapping[str, Any] | None = None,
    *,
    draws: int = 200,
    seed: int = 0,
    alpha: float = ALPHA,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> LayerMax:
    r"""Compare all layers of two models, and account for choosing the best pair.

    One relabelling of the samples is shared by all layers of B; the closest of all pairs under
    it is a draw of the null of the closest pair. Pairs of layers that look alike are then not
    counted as many chances.

    Parameters
    ----------
    a_layers, b_layers : lists of arrays of shape (n_samples, n_features)
        Row i of every array comes from the same sample.
    metric : str
        Name of a metric of two sets.
    settings : mapping, optional
        Settings of the metric, for example ``{"k": 10}``.
    draws, seed : int
        Relabellings, and which.
    alpha : float
        Share of relabellings that count as chance.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    LayerMax

    Raises
    ------
    ValueError
        On no layers, different n_samples, or a metric of one set.

    Notes
    -----
    Neighbour graphs are made once a layer and relabelled, never made again: O(n_samples · k) a
    pair and draw. Other metrics cost what a pair costs, for every pair and draw.

    References
    ----------
    [groger2026]_

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((60, 4))
    >>> noise = np.random.default_rng(1).standard_normal((60, 4))
    >>> found = layer_max([noise, X], [X + 0.1 * noise], "mutual_knn", {"k": 5}, draws=99)
    >>> found.best, found.best_p
    ((1, 0), 0.01)
    """
    check_integer(draws, "draws", 1)
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"`alpha` must lie strictly between 0 and 1, got {alpha}")
    registered, chosen = metric_with(metric, settings or {})
    if registered.kind == "single":
        raise ValueError(f"`metric` must compare two sets, and {metric!r} is of one")
    if len(a_layers) == 0 or len(b_layers) == 0:
        raise ValueError("`a_layers` and `b_layers` must hold at least one layer each")
    named = [(f"a_layers[{i}]", X) for i, X in enumerate(a_layers)]
    named += [(f"b_layers[{j}]", X) for j, X in enumerate(b_layers)]
    shape = (len(a_layers), len(b_layers))
    pairs = [(i, len(a_layers) + j) for i in range(shape[0]) for j in range(shape[1])]
    terms = terms_of(
        named,
        chosen.needs(),
        pairs,
        backend=backend,
        device=device,
        n_threads=n_threads,
        nulls=False,
    )
    chosen.check(terms)
    sign = -1.0 if chosen.lower_is_closer else 1.0
    orders = permutations(terms.n_samples, seed, 0, draws)
    values, highest, null, laws = [], [], np.full(draws, -np.inf), []
    for pair in pairs:
        values.append(float(chosen.score(terms, *pair).value))
        highest.append(sign * float(chosen.best(terms, *pair)))
        law = Drawn(sign * chosen.draws(terms, *pair, orders))
        null = np.maximum(null, law.draws)
        laws.append(law)
    close = [sign * value for value in values]
    at = int(np.argmax(close))
    cells = list(zip(laws, close, highest, strict=True))
    of_best = Drawn(null)
    return LayerMax(
        values=np.reshape(values, shape),
        calibrated=np.reshape([calibrated(*cell, alpha) for cell in cells], shape),
        p_value=np.reshape([law.upper(c) for law, c, _ in cells], shape),
        best=(at // shape[1], at % shape[1]),
        best_calibrated=calibrated(of_best, close[at], highest[at], alpha),
        best_p=of_best.upper(close[at]),
        threshold=sign * of_best.threshold(close[at], alpha),
        null=sign * null,
    )
