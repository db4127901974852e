"""Named lists of metrics with their settings."""

from __future__ import annotations

from typing import Any

Preset = list[tuple[str, str, dict[str, Any]]]

# (label, metric, settings). "matter" follows arXiv:2512.03750, "prh" minyoungg/platonic-rep.
# The former divides rows by their largest entry. Under inner products long rows then become
# everyone's neighbours in some models (on QM9, SevenNet-0 scores below a random set), so CKNNA is
# given on rows of length 1 too, and first.
PRESETS: dict[str, Preset] = {
    "matter": [
        ("cknna", "cknna", {"k": 25, "variant": "paper", "normalize": "l2"}),
        ("cknna[normalize=max]", "cknna", {"k": 25, "variant": "paper", "normalize": "max"}),
        ("distance_correlation", "distance_correlation", {"unbiased": False}),
        ("distance_correlation[unbiased]", "distance_correlation", {"unbiased": True}),
        ("information_imbalance[k=50]", "information_imbalance", {"k": 50}),
        ("information_imbalance[k=200]", "information_imbalance", {"k": 200}),
        ("information_imbalance[k=500]", "information_imbalance", {"k": 500}),
        ("id_correlation", "id_correlation", {"permutations": 0}),
        ("twonn", "twonn", {"method": "fit"}),
        ("dimension_mle", "dimension_mle", {"k": 50}),
    ],
    "prh": [
        ("mutual_knn", "mutual_knn", {"k": 10}),
        ("cycle_knn", "cycle_knn", {"k": 10}),
        ("lcs_knn", "lcs_knn", {"k": 10}),
        ("edit_knn", "edit_knn", {"k": 10}),
        ("cknna[prh-code]", "cknna", {"k": 10, "variant": "prh-code", "eps": 1e-6}),
        ("cka", "cka", {"normalize": "l2"}),
        ("cka[debiased]", "cka", {"normalize": "l2", "debiased": True}),
        (
            "cka[rbf]",
            "cka",
            {"kernel": "rbf", "bandwidth": 1.0, "normalize": "l2"},
        ),
        ("svcca", "svcca", {"dims": 10, "normalize": "l2"}),
    ],
}
