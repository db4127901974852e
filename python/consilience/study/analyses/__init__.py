"""What a study finds: pure functions of scores and facts. Each result has `to_json()`."""

from consilience.study.analyses._rank import Correlation, spearman, spearman_of_pairs
from consilience.study.analyses.condensed import Condensed, condensed
from consilience.study.analyses.convergence import Convergence, convergence
from consilience.study.analyses.dimension import Dimensions, dimension
from consilience.study.analyses.energy import energy_mae
from consilience.study.analyses.layers import Layers, layers
from consilience.study.analyses.locality import Locality, locality
from consilience.study.analyses.maps import Map, model_map, sample_map
from consilience.study.analyses.partition import Partition, explain
from consilience.study.analyses.plane import Plane, imbalance_plane
from consilience.study.analyses.recommendation import Recommendation, recommendation
from consilience.study.analyses.regimes import Regimes, compare_regimes
from consilience.study.analyses.tree import Tree, profile_distances, tree

__all__ = [
    "Condensed",
    "Convergence",
    "Correlation",
    "Dimensions",
    "Layers",
    "Locality",
    "Map",
    "Partition",
    "Plane",
    "Recommendation",
    "Regimes",
    "Tree",
    "compare_regimes",
    "condensed",
    "convergence",
    "dimension",
    "energy_mae",
    "explain",
    "imbalance_plane",
    "layers",
    "locality",
    "model_map",
    "profile_distances",
    "recommendation",
    "sample_map",
    "spearman",
    "spearman_of_pairs",
    "tree",
]
