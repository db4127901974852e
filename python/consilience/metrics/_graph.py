"""What the metrics of neighbours share: how neighbours are found, and what that leaves unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from consilience._validate import check_choice, check_integer
from consilience.metrics._registry import Dependence, Null, Score
from consilience.metrics._rows import RowSettings
from consilience.needs import Distance, EdgeNeed, GraphNeed, Method, Need, Normalize, RankNeed, View
from consilience.terms import Recall, mean

GraphDistance = Literal["l2", "cosine", "ip"]
METHODS = ("exact", "approx")


@dataclass(frozen=True, kw_only=True)
class SearchSettings(RowSettings):
    """How neighbours are found, for a metric that is a mean over rows or nearly one.

    neighbors : all of them, or all but a few by a faster search whose recall is measured
    rows : exact neighbours of a seeded sample of so many rows alone, among all samples
    seed : of the search, and of the sample
    """

    why_exact: ClassVar[str | None] = None  # if it takes no neighbors="approx"

    neighbors: Method = "exact"

    def __post_init__(self) -> None:
        check_choice(self.neighbors, "neighbors", METHODS)
        if self.neighbors == "approx" and self.why_exact is not None:
            raise ValueError(f'{type(self).__name__} takes no neighbors="approx": {self.why_exact}')
        super().__post_init__()
        if self.rows is not None and self.neighbors == "approx":
            raise ValueError('`rows` have exact neighbours: leave `rows` or neighbors="approx" out')

    def search(self, view: View, distance: Distance, k: int) -> GraphNeed:
        """Return the graph asked for, found as these settings say."""
        return GraphNeed(view, distance, k, self.neighbors, self.rows, self.seed)

    def found(self, terms: Any, a: int, b: int | None = None) -> dict[str, float]:
        """Return what is known of the search: recall of approximate lists, error of some rows.

        No recall is given where a search that might have missed some was exact, as of few samples.
        """
        details: dict[str, float] = {}
        if self.neighbors == "approx":
            graph = graph_of(self.needs()[0])
            sides = ((a, ""),) if b is None else ((a, "_a"), (b, "_b"))
            recalls = [(side, terms.graph(model, graph).recall) for model, side in sides]
            if any(recall is not None for _, recall in recalls):
                for side, recall in recalls:
                    details |= _recall(recall, side)
        return details | super().found(terms, a, b)

    def mean_over_rows(self, terms: Any, a: int, b: int, null: Null | None = None) -> Score:
        """Return the mean of what the rows add as a score."""
        rows = self.influence(terms, a, b)
        assert rows is not None
        return Score(mean(rows), null, self.found(terms, a, b))

    @property
    def seeded(self) -> bool:
        """Return whether the seed matters."""
        return self.rows is not None or self.neighbors == "approx"

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings by name, without a search that is exact and of all rows."""
        chosen = super().settings
        if self.neighbors == "exact":
            del chosen["neighbors"]
        return chosen


def graph_of(need: Need) -> Any:
    """Return the graph that a need is about."""
    return need.graph if isinstance(need, (EdgeNeed, RankNeed)) else need


def _recall(recall: Recall | None, side: str) -> Mapping[str, float]:
    """Return the recall of a model's lists; exact ones miss nothing."""
    if recall is None:
        recall = Recall(1.0, 1.0, 1.0, 0, 1.0)
    return {
        f"recall{side}": recall.estimate,
        f"recall_low{side}": recall.low,
        f"recall_high{side}": recall.high,
    }


@dataclass(frozen=True)
class GraphSettings(SearchSettings):
    """k neighbours by a distance, on normalised rows."""

    dependence: ClassVar[Dependence] = "lists"

    k: int = 10
    normalize: Normalize = "l2"
    distance: GraphDistance = "ip"

    def __post_init__(self) -> None:
        check_integer(self.k, "k", 1)
        check_choice(self.distance, "distance", ["l2", "cosine", "ip"])
        super().__post_init__()

    @property
    def quick_draws(self) -> bool:  # type: ignore[override]
        """Return whether a relabelling needs no more than a look at the lists of all rows."""
        return self.rows is None

    @cached_property
    def graph(self) -> GraphNeed:
        """Return the graph asked for; cosine is l2 on rows of length 1."""
        if self.distance == "cosine":
            return self.search(View(self.normalize, unit_rows=True), "l2", self.k)
        return self.search(View(self.normalize), self.distance, self.k)

    def needs(self) -> tuple[GraphNeed, ...]:
        """Return the terms the formula reads."""
        return (self.graph,)

    def among(self, n_samples: int, n_all: int) -> Self:
        """Return the settings that ask the same of fewer samples."""
        return replace(self, k=proportional(self.k, n_samples, n_all))


def proportional(k: int, n_samples: int, n_all: int) -> int:
    """Return the k that keeps its share of the samples, at least 1, halves rounded up."""
    return max(1, (2 * k * n_samples + n_all) // (2 * n_all))
