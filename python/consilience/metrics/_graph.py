"""What the neighbour-graph metrics share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from consilience._validate import check_choice, check_integer
from consilience.metrics._registry import Dependence, MetricSettings, Null, Score
from consilience.needs import GraphNeed, Normalize, View
from consilience.terms import Floats

GraphDistance = Literal["l2", "cosine", "ip"]


@dataclass(frozen=True)
class GraphSettings(MetricSettings):
    """k neighbours by a distance, on normalised rows."""

    quick_draws: ClassVar[bool] = True
    dependence: ClassVar[Dependence] = "lists"

    k: int = 10
    normalize: Normalize = "l2"
    distance: GraphDistance = "ip"

    def __post_init__(self) -> None:
        check_integer(self.k, "k", 1)
        check_choice(self.distance, "distance", ["l2", "cosine", "ip"])

    @property
    def graph(self) -> GraphNeed:
        """Return the graph asked for; cosine is l2 on rows of length 1."""
        if self.distance == "cosine":
            return GraphNeed(View(self.normalize, unit_rows=True), "l2", self.k)
        return GraphNeed(View(self.normalize), self.distance, self.k)

    def needs(self) -> tuple[GraphNeed, ...]:
        """Return the terms the formula reads."""
        return (self.graph,)

    def among(self, n_samples: int, n_all: int) -> Self:
        """Return the settings that ask the same of fewer samples."""
        return replace(self, k=proportional(self.k, n_samples, n_all))


def proportional(k: int, n_samples: int, n_all: int) -> int:
    """Return the k that keeps its share of the samples, at least 1, halves rounded up."""
    return max(1, (2 * k * n_samples + n_all) // (2 * n_all))


def mean_over_rows(rows: Floats, null: Null | None = None) -> Score:
    """Return the mean of the rows as a score."""
    return Score(float(rows.mean()), null)
