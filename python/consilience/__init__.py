"""Consilience: how far do AI models agree about the world?"""

from importlib.metadata import version

from consilience.accumulate import Moments, StreamingHSIC
from consilience.metrics import (
    cca,
    cka,
    cknna,
    cycle_knn,
    dimension_mle,
    distance_correlation,
    edit_knn,
    gride,
    hsic,
    id_correlation,
    information_imbalance,
    jaccard_knn,
    lcs_knn,
    linear_regression_r2,
    mutual_knn,
    procrustes,
    pwcca,
    rsa,
    svcca,
    twonn,
)
from consilience.neighbors import neighbors
from consilience.study.compare import compare
from consilience.study.score_matrix import ScoreMatrix, Scores, load
from consilience.study.study import Study
from consilience.views import preprocess

__version__ = version("consilience")

__all__ = [
    "Moments",
    "ScoreMatrix",
    "Scores",
    "StreamingHSIC",
    "Study",
    "__version__",
    "cca",
    "cka",
    "cknna",
    "compare",
    "cycle_knn",
    "dimension_mle",
    "distance_correlation",
    "edit_knn",
    "gride",
    "hsic",
    "id_correlation",
    "information_imbalance",
    "jaccard_knn",
    "lcs_knn",
    "linear_regression_r2",
    "load",
    "mutual_knn",
    "neighbors",
    "preprocess",
    "procrustes",
    "pwcca",
    "rsa",
    "svcca",
    "twonn",
]
