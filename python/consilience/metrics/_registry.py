"""The list of metrics and what is claimed of each; tests, docs and the planner read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np

from consilience._relabelled import Relabelled
from consilience._validate import check_choice, check_k
from consilience.inference.laws import Law, PearsonThree
from consilience.needs import EdgeNeed, GraphNeed, Need, RankNeed
from consilience.terms import Floats, Indices
from consilience.views import check_view

Kind = Literal["pair", "directed", "single"]
# How the rows that a score is made of hang together; see `MetricSettings.influence`.
Dependence = Literal["none", "lists", "subsets"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Null:
    """Mean and standard deviation of the score over relabellings of the samples.

    std is None where it has no closed form here.
    """

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class Score:
    """A score and what is known of it.

    null : under random relabelling of one model's samples; exact, but to first order for biased
        distance correlation, and for `information_imbalance` of more than 512 samples.
    """

    value: float
    null: Null | None = None
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ahead:
    """Work on the host that scores would ask for: a term, made once whoever asks first.

    of_graphs : whether graphs, their edge values and the sets themselves are all it reads
    """

    run: Callable[[], object]
    of_graphs: bool = True


def fitted(score: Score, skewness: float) -> PearsonThree | None:
    """Return the law with the moments of a score's null, where large is close."""
    if score.null is None or score.null.std is None:
        return None
    return PearsonThree(score.null.mean, score.null.std, skewness)


def models_in(cells: Iterable[tuple[int, ...]]) -> list[int]:
    """Return the models that some cells are about."""
    return sorted({m for cell in cells for m in cell})


class Metric(Protocol):
    """A metric with its settings chosen: a formula over terms."""

    def needs(self) -> tuple[Need, ...]:
        """Return the terms the formula reads."""

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b (a alone, for a metric of one set)."""


class MetricSettings:
    """What all metrics share.

    Checks of the settings against the data, and what a null and an error ask of a metric,
    answered for those that have nothing to say.

    lower_is_closer : whether identical sets have the lowest score.
    quick_draws : whether a relabelling costs O(n k), and not a pass over rows or pairs of rows.
    splits_at_once : whether `influence` takes the terms of several splits at once (`Halves`), and
        returns (n_splits, n).
    dependence : of the rows of `influence`: "none"; "lists", through neighbours that the lists of
        a graph show; "subsets", to be seen only by scoring subsets of the samples.
    """

    least_samples = 2
    lower_is_closer: ClassVar[bool] = False
    quick_draws: ClassVar[bool] = False
    splits_at_once: ClassVar[bool] = False
    dependence: ClassVar[Dependence] = "none"

    @property
    def need(self) -> Need:
        """Return the term the formula reads, of a metric that reads one."""
        raise NotImplementedError

    def needs(self) -> tuple[Need, ...]:
        """Return the terms the formula reads."""
        return (self.need,)

    def ahead(self, terms: Any, cells: Sequence[tuple[int, ...]], *, law: bool) -> Iterator[Ahead]:
        """Yield what the scores of these cells, and their laws if wanted, take long to make."""
        yield from ()

    def law(self, terms: Any, a: int, b: int, score: Score) -> Law | None:
        """Return the fitted law of the score's closeness under relabelling, if there is one."""
        return None

    def draws(self, terms: Any, a: int, b: int, orders: Indices) -> Floats:
        """Return the score of a and each relabelled b, (n_draws,)."""
        return np.array(
            [self.score(Relabelled(terms, b, order), a, b).value for order in orders]  # type: ignore[attr-defined]
        )

    def best(self, terms: Any, a: int, b: int) -> float:
        """Return the closest score there can be, that of identical sets as a rule."""
        return 1.0

    def influence(self, terms: Any, a: int, b: int) -> Floats | None:
        """Return what each row adds to the score, up to a constant, (n,).

        To first order the score moves as its mean; None where none is known.
        """
        return None

    def pair_error(self, terms: Any, a: int, b: int, score: Score) -> float | None:
        """Return the standard error of a score that is, to first order, a mean over pairs."""
        return None

    @property
    def unit(self) -> float:
        """Return what a score is counted in: scores of fewer samples compare in units."""
        return 1.0

    def among(self, n_samples: int, n_all: int) -> Self:
        """Return the settings that ask the same of fewer samples: k in proportion."""
        return self

    def check(self, terms: Any) -> None:
        """Raise unless the terms' samples suffice."""
        n = terms.n_samples
        if n < self.least_samples:
            raise ValueError(
                f"{type(self).__name__} needs at least {self.least_samples} samples, "
                f"got n_samples={n}"
            )
        for need in self.needs():
            graph = need.graph if isinstance(need, (EdgeNeed, RankNeed)) else need
            check_view(graph.view)
            if isinstance(graph, GraphNeed):
                check_k(graph.k, n)
                check_choice(graph.distance, "distance", ["l2", "ip"])

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Registered:
    """A metric and its claims, each of which tests/metrics/test_common.py checks."""

    name: str
    kind: Kind
    bounds: tuple[float, float]
    symmetric: bool
    invariant_to: frozenset[str]
    null: str
    summary: str
    settings_type: Callable[..., Any]
    function: Callable[..., Any]


METRICS: dict[str, Registered] = {}


def metric(
    settings_type: Callable[..., Any],
    *,
    kind: Kind = "pair",
    bounds: tuple[float, float] = (-math.inf, math.inf),
    symmetric: bool = True,
    invariant_to: set[str],
    null: str = "none",
) -> Callable[[F], F]:
    """Register a public function as a metric and state what holds for it.

    bounds : least and largest value there can be.
    invariant_to : of translation, rotation, isotropic_scaling, feature_scaling, sample_order.
    null : what is known of the score under relabelling: its moments in "closed form"; "mean
        only"; no moments, but cheap "draws"; or "none", where draws must be asked for.
    """

    def register(function: F) -> F:
        summary = (function.__doc__ or "").strip().partition("\n")[0]
        METRICS[function.__name__] = Registered(
            function.__name__,
            kind,
            bounds,
            symmetric,
            frozenset(invariant_to),
            null,
            summary,
            settings_type,
            function,
        )
        return function

    return register
