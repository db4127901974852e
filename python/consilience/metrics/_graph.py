"""What the neighbour-graph metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from consilience._validate import check_choice, check_integer
from consilience.metrics._registry import MetricSettings, Null, Score
from consilience.needs import GraphNeed, Normalize, View
from consilience.terms import Floats

GraphDistance = Literal["l2", "cosine", "ip"]


@dataclass(frozen=True)
class GraphSettings(MetricSettings):
    """k neighbours by a distance, on normalised rows."""

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


def mean_over_rows(rows: Floats, null: Null | None = None) -> Score:
    """Return the mean with its row standard error.

    Rows are treated as independent draws; that neighbours are shared makes it approximate.
    """
    n = len(rows)
    return Score(float(rows.mean()), null, float(rows.std(ddof=1) / np.sqrt(n)))
