"""The closest and the furthest pair, the most central model, the largest asymmetry."""

from __future__ import annotations

import numpy as np

from consilience.report.answers.answer import Answer
from consilience.report.glossary import title_of
from consilience.report.parts import lower_is_closer
from consilience.report.subject import Subject
from consilience.report.text import deviations, number
from consilience.report.words import interval_text
from consilience.study.score_matrix import Scores

STANDS_OUT = 3.0  # standard deviations of the null


def extremes(subject: Subject) -> Answer | None:
    """Name the closest and the furthest pair of real models under the headline metric."""
    scores = subject.headline
    if scores is None or len(subject.real) < 2:
        return None
    real = [cell for cell in scores.cells() if not subject.cast.baselines.intersection(cell)]
    ranked = sorted(real, key=lambda cell: -scores.values[cell] * _sign(scores))
    names = subject.names
    (a, b), (c, d) = ranked[0], ranked[-1]
    text = f"{title_of(scores)} {_with_evidence(scores, a, b)}."
    if len(ranked) > 1:
        text += f" The least alike, {names[c]} and {names[d]}: {_with_evidence(scores, c, d)}."
    if subject.cast.baselines:
        text += f" {_baseline_sentence(subject, scores)}"
    return Answer("", f"{names[a]} and {names[b]} are the most alike.", text)


def company(subject: Subject) -> Answer | None:
    """Name the models that are most and least like all the others."""
    scores, real = subject.headline, subject.real
    if scores is None or len(real) < 3:
        return None
    means = mean_with_others(scores, real)
    best, worst = _ends(means * _sign(scores))
    names = subject.names
    return Answer(
        "",
        f"{names[real[best]]} is most like the others, {names[real[worst]]} least.",
        f"Mean {title_of(scores)} with the {len(real) - 1} other models: "
        f"{number(means[best])} against {number(means[worst])}.",
    )


def bias(subject: Subject) -> Answer | None:
    """Contrast plain and unbiased distance correlation, on the scale of the plain one.

    The unbiased estimator is of the square, so its root is compared; below 0 there is none,
    and 0 stands in.
    """
    matrix = subject.part.matrix
    both = [one for one in matrix.scores.values() if one.metric == "distance_correlation"]
    plain = next((one for one in both if one.settings.get("unbiased") is not True), None)
    unbiased = next((one for one in both if one.settings.get("unbiased") is True), None)
    if plain is None or unbiased is None or len(matrix.names) < 2:
        return None
    cells = plain.cells()
    p = np.array([plain.values[cell] for cell in cells])
    u = np.sqrt(np.maximum([unbiased.values[cell] for cell in cells], 0.0))
    text = (
        f"Over all pairs the plain estimator runs from {number(p.min())} to "
        f"{number(p.max())}, the root of the unbiased one from {number(u.min())} to "
        f"{number(u.max())}."
    )
    touched = [i for i, c in enumerate(cells) if subject.cast.baselines.intersection(c)]
    if touched:
        text += (
            f" With a baseline they average {number(float(p[touched].mean()))} and "
            f"{number(float(u[touched].mean()))}."
        )
    gap = float(np.median(p - u))
    side = "above" if gap >= 0 else "below"
    lead = (
        f"Plain distance correlation reads {number(abs(gap))} {side} the unbiased one "
        "at the median."
    )
    return Answer("", lead, text)


def asymmetry(subject: Subject) -> Answer | None:
    """Name the pair whose two directions differ most under the first directed metric."""
    real = subject.real
    if not subject.cast.directed or len(real) < 2:
        return None
    scores = subject.part.matrix.scores[subject.cast.directed[0]]
    gain = (scores.values.T - scores.values) * (1 if lower_is_closer(scores) else -1)
    inside = np.full(gain.shape, -np.inf)
    inside[np.ix_(real, real)] = gain[np.ix_(real, real)]
    np.fill_diagonal(inside, -np.inf)
    a, b = (int(i) for i in np.unravel_index(int(inside.argmax()), inside.shape))
    if inside[a, b] <= 0:
        return None
    names = subject.names
    return Answer(
        "",
        f"{names[a]} tells more about {names[b]} than the reverse.",
        f"{title_of(scores)}: {number(scores.values[a, b])} from {names[a]} to {names[b]}, "
        f"{number(scores.values[b, a])} back: the largest asymmetry of all pairs.",
    )


def mean_with_others(scores: Scores, models: list[int]) -> np.ndarray:
    """Return each model's mean score with the other `models`, both directions averaged."""
    inside = scores.values[np.ix_(models, models)]
    inside = (inside + inside.T) / 2.0
    return np.asarray((inside.sum(axis=1) - np.diagonal(inside)) / (len(models) - 1))


def _sign(scores: Scores) -> int:
    return -1 if lower_is_closer(scores) else 1


def _ends(values: np.ndarray) -> tuple[int, int]:
    return int(values.argmax()), int(values.argmin())


def _with_evidence(scores: Scores, a: int, b: int) -> str:
    """Return "0.71 (95 % interval 0.69 to 0.73; chance 0.05 ± 0.004, z = 12)"."""
    evidence = []
    interval = scores.interval()
    if interval is not None and np.isfinite(interval[0][a, b]):
        evidence.append(interval_text(interval[0][a, b], interval[1][a, b]))
    z = scores.z()
    if z is not None and np.isfinite(z[a, b]):
        mean, std = scores.at(scores.null_mean, a, b), scores.at(scores.null_std, a, b)
        evidence.append(
            f"chance {number(mean)} ± {number(std)}, z\u00a0=\u00a0{deviations(z[a, b])}"
        )
    elif scores.null_mean is not None and np.isfinite(scores.null_mean[a, b]):
        evidence.append(f"chance {number(scores.null_mean[a, b])}")
    score = number(scores.values[a, b])
    return f"{score} ({'; '.join(evidence)})" if evidence else score


def _baseline_sentence(subject: Subject, scores: Scores) -> str:
    cells = [c for c in scores.cells() if subject.cast.baselines.intersection(c)]
    values = [float(scores.values[c]) for c in cells]
    return f"Pairs with a baseline score {number(min(values))} to {number(max(values))}."
