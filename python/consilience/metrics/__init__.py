"""One file per metric; importing the package registers them."""

from consilience.metrics._presets import PRESETS
from consilience.metrics._registry import METRICS
from consilience.metrics.cca import cca
from consilience.metrics.cka import cka
from consilience.metrics.cknna import cknna
from consilience.metrics.cycle_knn import cycle_knn
from consilience.metrics.dimension_mle import dimension_mle
from consilience.metrics.distance_correlation import distance_correlation
from consilience.metrics.edit_knn import edit_knn
from consilience.metrics.gride import gride
from consilience.metrics.hsic import hsic
from consilience.metrics.id_correlation import id_correlation
from consilience.metrics.information_imbalance import information_imbalance
from consilience.metrics.jaccard_knn import jaccard_knn
from consilience.metrics.lcs_knn import lcs_knn
from consilience.metrics.linear_regression_r2 import linear_regression_r2
from consilience.metrics.mutual_knn import mutual_knn
from consilience.metrics.procrustes import procrustes
from consilience.metrics.pwcca import pwcca
from consilience.metrics.rsa import rsa
from consilience.metrics.svcca import svcca
from consilience.metrics.twonn import twonn

__all__ = [
    "METRICS",
    "PRESETS",
    "cca",
    "cka",
    "cknna",
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
    "mutual_knn",
    "procrustes",
    "pwcca",
    "rsa",
    "svcca",
    "twonn",
]
