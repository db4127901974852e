"""The public functions that take embeddings, with options that two dozen samples allow."""

PAIRS = {
    "cknna": {"k": 5},
    "mutual_knn": {"k": 5},
    "jaccard_knn": {"k": 5},
    "cycle_knn": {"k": 5},
    "lcs_knn": {"k": 5},
    "edit_knn": {"k": 5},
    "cka": {},
    "hsic": {},
    "cca": {},
    "svcca": {},
    "pwcca": {},
    "procrustes": {},
    "linear_regression_r2": {},
    "distance_correlation": {},
    "rsa": {},
    "information_imbalance": {"k": 1},
    "id_correlation": {"permutations": 0},
}
SINGLES = {
    "twonn": {},
    "dimension_mle": {"k": 5},
    "gride": {},
    "neighbors": {"k": 5},
    "preprocess": {},
}
EVERY = {**PAIRS, **SINGLES}
