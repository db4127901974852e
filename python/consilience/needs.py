"""What a metric may ask for. Needs are compared and merged, so that each term is made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Normalize = Literal["none", "l2", "max", "zscore"]
Distance = Literal["l2", "ip"]
PairFunction = Literal["distance", "squared", "rbf"]
Method = Literal["exact", "approx"]


@dataclass(frozen=True)
class View:
    """How an embedding is prepared before an op; see consilience.views."""

    normalize: Normalize = "none"
    clip_quantile: float | None = None
    unit_rows: bool = False


# The rows as they are.
PLAIN = View()


@dataclass(frozen=True)
class GraphNeed:
    """k nearest neighbours of every sample, or of a seeded sample of them.

    method : whether the search may miss some;  rows : how many samples have lists, all if None;
    seed : of the search, and of the sample, which is the same for all models
    """

    view: View
    distance: Distance
    k: int
    method: Method = "exact"
    rows: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class EdgeNeed:
    """Inner products along the edges of a graph, row-centred or plain."""

    graph: GraphNeed
    centered: bool


@dataclass(frozen=True)
class MomentNeed:
    """Cross-moments of two sets."""

    view: View


@dataclass(frozen=True)
class PairNeed:
    """Sums over all pairs of samples of a function of their distance.

    rows, seed : of a seeded sample of so many rows with all samples alone, as of graphs
    """

    view: View
    function: PairFunction = "distance"
    bandwidth: float | Literal["median"] = "median"
    bandwidth_factor: float = 1.0
    rows: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class SampleNeed:
    """Distances of all pairs of samples, or of a seeded sample of them."""

    view: View


@dataclass(frozen=True)
class JointNeed:
    """Two nearest distances in the joint space of two sets, of all samples or of some rows."""

    view: View
    rows: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class RankNeed:
    """Ranks, in one set, of the first k neighbours in another."""

    graph: GraphNeed


Need = GraphNeed | EdgeNeed | MomentNeed | PairNeed | SampleNeed | JointNeed | RankNeed
