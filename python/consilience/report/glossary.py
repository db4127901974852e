"""What each metric means, in the words the page uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilience.study.score_matrix import Scores


@dataclass(frozen=True)
class Entry:
    """One metric for a reader: what it asks, its formula, how to read it, who defined it."""

    title: str
    asks: str
    formula: str = ""
    reading: str = ""
    source: str = ""


PRH = "Huh et al. 2024, arXiv:2405.07987"
MATTER = "arXiv:2512.03750"
KORNBLITH = "Kornblith et al. 2019, arXiv:1905.00414"

ENTRIES = {
    "cknna": Entry(
        "CKNNA",
        "Do two models see the same neighbourhoods, weighted by how strongly neighbours "
        "resemble each other? Kernel alignment restricted to samples that are among the "
        "k nearest neighbours in both models.",
        "Align(X, Y) / √(Align(X, X) · Align(Y, Y)),  Align(X, Y) = Σ α_ij K̄_ij L̄_ij",
        "1: the same local geometry. At the chance level: unrelated neighbourhoods.",
        f"{PRH}; {MATTER}",
    ),
    "mutual_knn": Entry(
        "Mutual k-NN",
        "The mean share of a sample's k nearest neighbours that both models agree on.",
        "mean_i |N_X(i) ∩ N_Y(i)| / k",
        "1: identical neighbour sets. Chance is k/(n − 1).",
        PRH,
    ),
    "jaccard_knn": Entry(
        "Jaccard k-NN",
        "Agreement of neighbour sets as intersection over union.",
        "mean_i |N_X(i) ∩ N_Y(i)| / |N_X(i) ∪ N_Y(i)|",
        "1: identical neighbour sets. 0: disjoint ones.",
    ),
    "cycle_knn": Entry(
        "Cycle k-NN",
        "How often a step to neighbours in one model and back in the other returns.",
        reading="1: every cycle closes.",
        source=PRH,
    ),
    "lcs_knn": Entry(
        "LCS k-NN",
        "Longest common subsequence of the two ordered neighbour lists, averaged over samples.",
        reading="Higher: more neighbours in the same order.",
        source=PRH,
    ),
    "edit_knn": Entry(
        "Edit k-NN",
        "Edit distance between the two ordered neighbour lists, as a similarity.",
        "1 − mean_i Levenshtein(N_X(i), N_Y(i)) / k",
        "1: identical ordered lists. 0: nothing in common.",
        PRH,
    ),
    "cka": Entry(
        "CKA",
        "Do two models agree on all pairwise similarities at once? The cosine of the two "
        "centred kernel matrices.",
        "HSIC(K, L) / √(HSIC(K, K) · HSIC(L, L))",
        "1: the same geometry up to rotation and scale.",
        KORNBLITH,
    ),
    "hsic": Entry(
        "HSIC",
        "Dependence of two embeddings, as the norm of a cross-covariance of their kernels.",
        reading="0: independent. Its scale depends on the embeddings.",
        source="Song et al. 2012, JMLR 13",
    ),
    "cca": Entry(
        "CCA",
        "Mean correlation of the best-matching linear directions of two embeddings.",
        reading="1: the smaller is a linear map of the larger.",
    ),
    "svcca": Entry(
        "SVCCA",
        "Mean canonical correlation after keeping the leading principal directions of each.",
        reading="1: the leading subspaces are linear maps of each other.",
        source="Raghu et al. 2017, arXiv:1706.05806",
    ),
    "pwcca": Entry(
        "PWCCA",
        "Canonical correlations weighted by how much of the first embedding each explains.",
        reading="1: the smaller is a linear map of the larger. Weighted by the first.",
        source="Morcos et al. 2018, arXiv:1806.05759",
    ),
    "procrustes": Entry(
        "Procrustes similarity",
        "How well one embedding can be rotated onto the other.",
        "‖XᵀY‖_* / (‖X‖_F ‖Y‖_F), columns centred",
        "1: equal up to rotation and scale.",
    ),
    "linear_regression_r2": Entry(
        "Linear regression R²",
        "The share of one embedding's variance that the other predicts linearly.",
        reading="1: predicted fully. 0: not at all.",
        source=KORNBLITH,
    ),
    "distance_correlation": Entry(
        "Distance correlation",
        "Do samples that lie far apart in one model lie far apart in the other? Correlation "
        "of all pairwise distances, sensitive to non-linear dependence on the global scale.",
        "√( dCov²(X, Y) / √(dVar²(X) · dVar²(Y)) )",
        "1: the same distances up to scale. Independent embeddings do not score 0: this "
        "estimator is biased upwards, more so for wide embeddings and few samples.",
        f"Székely et al. 2007; {MATTER}",
    ),
    "distance_correlation[unbiased]": Entry(
        "Distance correlation, unbiased",
        "The same question with U-centred distances, which removes the upward bias of the "
        "plain estimator.",
        "⟨A, B⟩ / √(⟨A, A⟩ · ⟨B, B⟩),  A and B U-centred distances, no root",
        "1: the same distances up to scale. 0 on average for independent embeddings; small "
        "negative values are noise. It estimates the square of the distance correlation: "
        "compare its root with the plain estimator.",
        "Székely and Rizzo 2014, arXiv:1310.2926",
    ),
    "rsa": Entry(
        "RSA",
        "Correlation of the two models' distance matrices.",
        reading="1: distances equal up to scale (Pearson) or in the same order (Spearman). "
        "0: unrelated.",
        source="Kriegeskorte et al. 2008",
    ),
    "information_imbalance": Entry(
        "Information imbalance",
        "How much of the column model's neighbourhoods does the row model predict? The rank, "
        "in the column model, of samples that are near in the row model.",
        "Δ(A → B) = 2/n · mean rank_B(i, j) over the k nearest j of i in A",
        "Near (k + 1)/n: A predicts B's neighbourhoods fully. Near 1: not at all. It is a "
        "directed quantity: A may contain B without being contained in it.",
        f"Glielmo et al. 2022, arXiv:2104.15079; {MATTER}",
    ),
    "id_correlation": Entry(
        "Intrinsic-dimension correlation",
        "Do the two embeddings together need fewer dimensions than their sum? If one is a "
        "function of the other, the joint space is no larger than the larger one.",
        "(I_X + I_Y − I_XY) / max(I_X, I_Y), each by TwoNN",
        "1: each determines the other. 0: independent.",
        f"Basile et al. 2024, arXiv:2406.15812; {MATTER}",
    ),
    "twonn": Entry(
        "Intrinsic dimension, TwoNN",
        "The number of directions in which the data really vary, from the ratio of the "
        "distances to the first and second neighbour.",
        "slope of −ln(1 − F) on ln(r₂/r₁)",
        "Usually far smaller than the width of the embedding.",
        "Facco et al. 2017, Sci. Rep. 7, 12140",
    ),
    "dimension_mle": Entry(
        "Intrinsic dimension, MLE",
        "The same quantity by maximum likelihood over the k nearest neighbours, hence on a "
        "coarser scale than TwoNN.",
        "1/d = mean over i of Σ_j ln(r_k / r_j) / (k − 1),  j < k",
        "Falls with k where the data are curved or few.",
        "Levina and Bickel 2004; MacKay and Ghahramani 2005",
    ),
    "gride": Entry(
        "Intrinsic dimension, Gride",
        "The same quantity from the ratio of distances to neighbours further out.",
        reading="Its course over the neighbour order shows the scale of the data.",
        source="Denti et al. 2022, Sci. Rep. 12, 20005",
    ),
}


def entry_for(scores: Scores) -> Entry:
    """Return the entry of a metric; an unlisted one speaks for itself through its summary."""
    variant = f"{scores.metric}[unbiased]"
    if scores.settings.get("unbiased") is True and variant in ENTRIES:
        return ENTRIES[variant]
    if scores.metric in ENTRIES:
        return ENTRIES[scores.metric]
    return Entry(scores.metric.replace("_", " "), _registered_summary(scores.metric))


def title_of(scores: Scores) -> str:
    """Return the metric's title with the settings that its label names."""
    title = entry_for(scores).title
    _, bracket, rest = scores.label.partition("[")
    shown = rest.rstrip("]") if bracket else ""
    if shown == "unbiased" and title.endswith("unbiased"):
        shown = ""
    return f"{title}, {shown}" if shown else title


def _registered_summary(metric: str) -> str:
    # a matrix may come from a newer program, whose metrics this one does not know
    from consilience.metrics import METRICS

    registered: Any = METRICS.get(metric)
    return str(registered.summary) if registered is not None else ""
