"""Intrinsic-dimension correlation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from consilience._evaluate import terms_of
from consilience._validate import check_integer
from consilience.inference.laws import Drawn
from consilience.inference.relabel import permutations
from consilience.metrics._dimension import (
    filled,
    joint_information,
    ratios_of_two,
    twonn_fit,
    twonn_fit_influence,
)
from consilience.metrics._registry import (
    Ahead,
    Dependence,
    Score,
    metric,
    models_in,
)
from consilience.metrics._rows import RowSettings
from consilience.needs import JointNeed, View
from consilience.terms import Floats, Indices

ZSCORE = View("zscore")
DISCARD = 0.1
DRAWS_AT_A_TIME = 8  # relabelled copies of a set held at once


class IdCorrelation(NamedTuple):
    """I_d correlation and its permutation p-value (None if no permutations were asked for)."""

    value: float
    p_value: float | None


@dataclass(frozen=True)
class IdCorrelationSettings(RowSettings):
    """Settings of `id_correlation` in `compare`; permutations cost a sweep each."""

    dependence: ClassVar[Dependence] = "subsets"
    relabels_rows: ClassVar[bool] = True

    permutations: int = 0
    least_samples = 4

    def __post_init__(self) -> None:
        check_integer(self.permutations, "permutations", 0)
        super().__post_init__()

    @property
    def seeded(self) -> bool:
        """Return True: the seed says which permutations too, and has always been stated."""
        return True

    def needs(self) -> tuple[JointNeed]:
        """Return the terms the formula reads; a set joined to itself gives its own ratios."""
        return (JointNeed(ZSCORE, self.rows, self.seed),)

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b."""
        value = joint_information(*(self._joint(terms, *pair) for pair in ((a, a), (b, b), (a, b))))
        details = self.found(terms, a, b)
        if self.permutations == 0:
            return Score(value, details=details)
        orders = permutations(terms.n_samples, self.seed, 0, self.permutations)
        p_value = Drawn(self.draws(terms, a, b, orders)).upper(value)
        return Score(value, details={"p_value": p_value} | details)

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield the dimensions of all models and pairs."""
        pairs = [*((m, m) for m in models_in(cells)), *cells]
        for a, b in dict.fromkeys(pairs):
            yield Ahead(partial(self._joint, terms, a, b), of_graphs=False)

    def _joint(self, terms: Any, a: int, b: int) -> float:
        """Return the dimension of the joint space of a and b; of a alone if they are the same."""
        (need,) = self.needs()
        name = terms.name(a) if a == b else f"{terms.name(a)} with {terms.name(b)}"
        return terms.derived(  # type: ignore[no-any-return]
            (a,) if a == b else (a, b),
            "joint dimension",
            lambda: _dimension(terms.joint(a, b, need), name),
        )

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b; a sweep over all pairs each."""
        i_x, i_y = (self._joint(terms, m, m) for m in (a, b))
        names = f"{terms.name(a)} with {terms.name(b)}"
        X, Y = terms.values(a, ZSCORE), terms.values(b, ZSCORE)
        rows = terms.rows(self.needs()[0])
        found = []
        for first in range(0, len(orders), DRAWS_AT_A_TIME):
            sets = [X, *(Y[order, :] for order in orders[first : first + DRAWS_AT_A_TIME])]
            pairs = [(0, s) for s in range(1, len(sets))]
            for nearest in terms.ops.joint_nearest(sets, pairs, rows=rows):
                found.append(joint_information(i_x, i_y, _dimension(nearest, names)))
        return np.array(found)

    def among(self, n_samples: int, n_all: int) -> IdCorrelationSettings:
        """Return the settings that ask the same of fewer samples, of all their rows."""
        return replace(self, rows=None)

    def influence(self, terms: Any, a: int, b: int) -> Floats:
        """Return what each sample adds through the three dimensions, to first order."""
        (joint,) = self.needs()

        def own(m: int) -> tuple[float, Floats]:
            def make() -> tuple[float, Floats]:
                return _with_influence(terms.joint(m, m, joint), terms.name(m))

            return terms.derived((m,), "dimension", make)  # type: ignore[no-any-return]

        (i_x, x), (i_y, y) = own(a), own(b)
        names = f"{terms.name(a)} with {terms.name(b)}"
        i_xy, xy = _with_influence(terms.joint(a, b, joint), names)
        larger, most = (x, i_x) if i_x >= i_y else (y, i_y)
        return (x + y - xy) / most - joint_information(i_x, i_y, i_xy) / most * larger


def _with_influence(nearest: Floats, name: str) -> tuple[float, Floats]:
    """Return the dimension, and what each sample adds to it."""
    ratios, usable = ratios_of_two(nearest[:, 0], nearest[:, 1], name)
    influence = filled(twonn_fit_influence(ratios, DISCARD), usable)
    return twonn_fit(ratios, DISCARD), influence


def _dimension(nearest: Floats, name: str) -> float:
    ratios, _ = ratios_of_two(nearest[:, 0], nearest[:, 1], name)
    return twonn_fit(ratios, DISCARD)


@metric(
    IdCorrelationSettings,
    invariant_to={"translation", "feature_scaling", "sample_order"},
)
def id_correlation(
    X: Any,
    Y: Any,
    *,
    permutations: int = 100,
    rows: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    device: str = "auto",
    n_threads: int | None = None,
) -> IdCorrelation:
    r"""Intrinsic-dimension correlation: how much smaller is the joint space than it could be?

    .. math:: \frac{I_X + I_Y - I_{XY}}{\max(I_X, I_Y)}

    with I the TwoNN dimension, of columns scaled to variance 1 and, for XY, side by side.

    Parameters
    ----------
    X, Y : arrays of shape (n_samples, n_features_x) and (n_samples, n_features_y)
        Row i of X and row i of Y come from the same sample.
    permutations : int
        Relabellings of Y for the p-value; each costs a sweep over all pairs of samples.
    rows : int, optional
        Neighbours, among all samples, of a seeded sample of so many rows alone.
    seed : int
        Of the relabellings and the rows.
    backend, n_threads : how to run; no result depends on the number of threads.
    device : "auto" (where the arrays are), "cuda" (on the GPU: they are brought there) or "cpu".

    Returns
    -------
    value : float
        About 1 if each set determines the other, about min(I_X, I_Y) / max(I_X, I_Y) if only
        the larger determines the smaller, about 0 if they are independent; as dimensions are
        estimates, values outside [0, 1] occur.
    p_value : float or None
        (1 + #{permuted I_XY not above the observed}) / (permutations + 1).

    Raises
    ------
    ValueError
        If fewer than 3 samples have two neighbours at different, positive distances.

    Notes
    -----
    Squared joint distances are sums of the sets' own, so joint neighbours of all pairs of
    models come from one sweep.

    References
    ----------
    [basile2025]_

    Examples
    --------
    >>> import numpy as np, consilience as cs
    >>> X = np.random.default_rng(0).standard_normal((400, 2))
    >>> cs.id_correlation(X, np.tanh(X), permutations=20).p_value < 0.05
    True
    """
    settings = IdCorrelationSettings(permutations, rows=rows, seed=seed)
    terms = terms_of(
        (("X", X), ("Y", Y)),
        settings.needs(),
        [(0, 1)],
        backend=backend,
        device=device,
        n_threads=n_threads,
    )
    settings.check(terms)
    result = settings.score(terms, 0, 1)
    return IdCorrelation(result.value, result.details.get("p_value"))
