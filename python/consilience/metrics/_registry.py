"""The list of metrics and what is claimed of each; tests, docs and the planner read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from consilience._validate import check_choice, check_k
from consilience.needs import EdgeNeed, GraphNeed, Need, RankNeed

Kind = Literal["pair", "directed", "single"]
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
        distance correlation.
    std_error : of the score as an estimate from these samples, where it is a mean over rows.
    """

    value: float
    null: Null | None = None
    std_error: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """A metric with its settings chosen: a formula over terms."""

    def needs(self) -> tuple[Need, ...]:
        """Return the terms the formula reads."""

    def score(self, terms: Any, a: int, b: int) -> Score:
        """Return the score of models a and b (a alone, for a metric of one set)."""


class MetricSettings:
    """What all metrics share: checks of the settings against the data."""

    least_samples = 2

    def check(self, terms: Any) -> None:
        """Raise unless the terms' samples suffice."""
        from consilience.views import check_view

        n = terms.n_samples
        if n < self.least_samples:
            raise ValueError(
                f"{type(self).__name__} needs at least {self.least_samples} samples, "
                f"got n_samples={n}"
            )
        for need in self.needs():  # type: ignore[attr-defined]
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
    null : "closed form", "mean only" or "none": what is known of the score under relabelling.
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
