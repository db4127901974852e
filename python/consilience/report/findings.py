"""What a study shows, in sentences made from its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consilience.report.glossary import title_of
from consilience.report.parts import Cast, lower_is_closer
from consilience.report.text import counted, deviations, dimension, number
from consilience.study.score_matrix import ScoreMatrix, Scores

STANDS_OUT = 3.0  # standard deviations of the null


@dataclass(frozen=True)
class Finding:
    """A sentence to remember, and the numbers behind it. Plain text, not HTML."""

    lead: str
    text: str


def findings(matrix: ScoreMatrix, parts: Cast) -> list[Finding]:
    """Return up to six findings; those whose metrics the study lacks are left out."""
    makers = (most_alike, least_alike, company, dimensions, bias, asymmetry)
    found = (maker(matrix, parts) for maker in makers)
    return [finding for finding in found if finding is not None]


def most_alike(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Name the closest pair of real models under the headline metric."""
    cells = _ranked_cells(matrix, parts)
    if not cells or parts.headline is None:
        return None
    a, b = cells[0]
    scores = matrix.scores[parts.headline]
    return Finding(
        f"{matrix.names[a]} and {matrix.names[b]} are the most alike.",
        f"{title_of(scores)} {_with_evidence(scores, a, b)}.",
    )


def least_alike(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Name the furthest pair of real models, and say how many pairs beat chance."""
    cells = _ranked_cells(matrix, parts)
    if len(cells) < 2 or parts.headline is None:
        return None
    a, b = cells[-1]
    scores = matrix.scores[parts.headline]
    sentences = [f"{title_of(scores)} {_with_evidence(scores, a, b)}."]
    z = scores.z()
    if z is not None:
        defined = [z[c] for c in cells if np.isfinite(z[c])]
        beyond = sum(value * _sign(scores) > STANDS_OUT for value in defined)
        share = f"All {beyond}" if beyond == len(defined) else f"{beyond} of {len(defined)}"
        if defined:
            sentences.append(
                f"{share} pairs lie more than {STANDS_OUT:.0f} standard deviations beyond chance."
            )
    if parts.baselines:
        sentences.append(_baseline_sentence(matrix, parts, scores))
    lead = f"{matrix.names[a]} and {matrix.names[b]} are the least alike."
    return Finding(lead, " ".join(sentences))


def company(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Name the models that are most and least like all the others."""
    real = _real_models(matrix, parts)
    if len(real) < 3 or parts.headline is None:
        return None
    scores = matrix.scores[parts.headline]
    means = mean_with_others(scores, real)
    best, worst = _extremes(means * _sign(scores))
    others = counted(len(real) - 1, "other model")
    return Finding(
        f"{matrix.names[real[best]]} is most like the others, {matrix.names[real[worst]]} least.",
        f"Mean {title_of(scores)} with the {others}: "
        f"{number(means[best])} against {number(means[worst])}.",
    )


def dimensions(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Say between which models the intrinsic dimension ranges, by each estimator."""
    labels = [label for label in parts.single if _is_dimension(matrix.scores[label])]
    real = _real_models(matrix, parts)
    if not labels or len(real) < 2:
        return None
    first = matrix.scores[labels[0]].values[real]
    high, low = _extremes(first)
    widths = [matrix.dims[i] for i in real]
    sentences = [
        f"By {_estimator(matrix.scores[labels[0]])} the lowest is {matrix.names[real[low]]} "
        f"and the highest {matrix.names[real[high]]}, "
        f"in embeddings {min(widths):,} to {max(widths):,} columns wide."
    ]
    for label in labels[1:]:
        values = matrix.scores[label].values[real]
        high, low = _extremes(values)
        sentences.append(
            f"By {_estimator(matrix.scores[label])} it is {dimension(values[low])} "
            f"({matrix.names[real[low]]}) to {dimension(values[high])} "
            f"({matrix.names[real[high]]})."
        )
    lead = (
        f"The same samples fill {dimension(float(first.min()))} to "
        f"{dimension(float(first.max()))} dimensions."
    )
    return Finding(lead, " ".join(sentences))


def bias(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Contrast plain and unbiased distance correlation, on the scale of the plain one.

    The unbiased estimator is of the square, so its root is compared; below 0 there is none,
    and 0 stands in.
    """
    labels = [s.label for s in matrix.scores.values() if s.metric == "distance_correlation"]
    flags = {label: matrix.scores[label].settings.get("unbiased") is True for label in labels}
    plain = next((label for label in labels if not flags[label]), None)
    unbiased = next((label for label in labels if flags[label]), None)
    if plain is None or unbiased is None or len(matrix.names) < 2:
        return None
    cells = matrix.scores[plain].cells()
    p = np.array([matrix[plain][cell] for cell in cells])
    u = np.sqrt(np.maximum([matrix[unbiased][cell] for cell in cells], 0.0))
    widest = int(np.argmax(p - u))
    a, b = cells[widest]
    sentences = [
        f"Over all pairs the plain estimator runs from {number(p.min())} to "
        f"{number(p.max())}, the root of the unbiased one from {number(u.min())} to "
        f"{number(u.max())}.",
        f"They differ most for {matrix.names[a]} and {matrix.names[b]}: "
        f"{number(p[widest])} and {number(u[widest])}.",
    ]
    touched = [i for i, c in enumerate(cells) if parts.baselines.intersection(c)]
    if touched:
        sentences.append(
            f"Against a random baseline, where nothing is shared, they average "
            f"{number(float(p[touched].mean()))} and {number(float(u[touched].mean()))}."
        )
    gap = float(np.median(p - u))
    side = "above" if gap >= 0 else "below"
    return Finding(
        f"Plain distance correlation reads {number(abs(gap))} {side} the unbiased one "
        f"at the median.",
        " ".join(sentences),
    )


def asymmetry(matrix: ScoreMatrix, parts: Cast) -> Finding | None:
    """Name the pair whose two directions differ most under the first directed metric."""
    real = _real_models(matrix, parts)
    if not parts.directed or len(real) < 2:
        return None
    scores = matrix.scores[parts.directed[0]]
    gain = (scores.values.T - scores.values) * (1 if lower_is_closer(scores) else -1)
    inside = np.full(gain.shape, -np.inf)
    inside[np.ix_(real, real)] = gain[np.ix_(real, real)]
    np.fill_diagonal(inside, -np.inf)
    a, b = (int(i) for i in np.unravel_index(int(inside.argmax()), inside.shape))
    if inside[a, b] <= 0:
        return None
    names = matrix.names
    return Finding(
        f"{names[a]} tells more about {names[b]} than the reverse.",
        f"{title_of(scores)}: {number(scores.values[a, b])} from {names[a]} to {names[b]}, "
        f"{number(scores.values[b, a])} back: the largest asymmetry of all pairs.",
    )


def mean_with_others(scores: Scores, models: list[int]) -> np.ndarray:
    """Return each model's mean score with the other `models`, both directions averaged."""
    inside = scores.values[np.ix_(models, models)]
    inside = (inside + inside.T) / 2.0
    return np.asarray((inside.sum(axis=1) - np.diagonal(inside)) / (len(models) - 1))


def _real_models(matrix: ScoreMatrix, parts: Cast) -> list[int]:
    return [i for i in range(len(matrix.names)) if i not in parts.baselines]


def _ranked_cells(matrix: ScoreMatrix, parts: Cast) -> list[tuple[int, int]]:
    """Return the cells of two real models, the most alike first."""
    if parts.headline is None:
        return []
    scores = matrix.scores[parts.headline]
    real = [cell for cell in scores.cells() if not parts.baselines.intersection(cell)]
    return sorted(real, key=lambda cell: -scores.values[cell] * _sign(scores))


def _sign(scores: Scores) -> int:
    return -1 if lower_is_closer(scores) else 1


def _extremes(values: np.ndarray) -> tuple[int, int]:
    return int(values.argmax()), int(values.argmin())


def _is_dimension(scores: Scores) -> bool:
    return scores.metric in {"twonn", "dimension_mle", "gride"}


def _estimator(scores: Scores) -> str:
    return title_of(scores).removeprefix("Intrinsic dimension, ")


def _with_evidence(scores: Scores, a: int, b: int) -> str:
    """Return "0.71 (95 % interval 0.69 to 0.73; chance 0.05 ± 0.004, z = 12)"."""
    evidence = []
    interval = scores.interval()
    if interval is not None and np.isfinite(interval[0][a, b]):
        low, high = number(interval[0][a, b]), number(interval[1][a, b])
        evidence.append(f"95 % interval {low} to {high}")
    z = scores.z()
    if z is not None and np.isfinite(z[a, b]):
        mean, std = scores.at(scores.null_mean, a, b), scores.at(scores.null_std, a, b)
        evidence.append(f"chance {number(mean)} ± {number(std)}, z = {deviations(z[a, b])}")
    elif scores.null_mean is not None and np.isfinite(scores.null_mean[a, b]):
        evidence.append(f"chance {number(scores.null_mean[a, b])}")
    score = number(scores.values[a, b])
    return f"{score} ({'; '.join(evidence)})" if evidence else score


def _baseline_sentence(matrix: ScoreMatrix, parts: Cast, scores: Scores) -> str:
    cells = [c for c in scores.cells() if parts.baselines.intersection(c)]
    values = [float(scores.values[c]) for c in cells]
    names = " and ".join(matrix.names[i] for i in sorted(parts.baselines))
    return f"Against {names}, models score {number(min(values))} to {number(max(values))}."
