"""Between which models does the intrinsic dimension range?"""

from __future__ import annotations

from consilience.report.answers.answer import Answer
from consilience.report.glossary import title_of
from consilience.report.subject import Subject
from consilience.report.text import dimension
from consilience.study.score_matrix import Scores

METRICS = frozenset({"twonn", "dimension_mle", "gride"})
VERDICTS = {
    "low": "The samples fill far fewer dimensions than the embeddings offer {where}.",
    "other": "Some embeddings offer few more dimensions than the samples fill {where}.",
}
FAR = 0.5  # of the width


def answer(subject: Subject) -> Answer | None:
    """Say the lowest and highest estimate of each estimator, baselines apart."""
    matrix, real = subject.part.matrix, subject.real
    labels = [one for one in subject.cast.single if matrix.scores[one].metric in METRICS]
    if not labels or len(real) < 2:
        return None
    widths = [matrix.dims[i] for i in real]
    sentences = []
    for label in labels:
        values = matrix.scores[label].values[real]
        low, high = int(values.argmin()), int(values.argmax())
        names = [subject.names[i] for i in real]
        sentences.append(
            f"By {_estimator(matrix.scores[label])} {dimension(float(values[low]))} "
            f"({names[low]}) to {dimension(float(values[high]))} ({names[high]})."
        )
    sentences.append(f"The embeddings are {min(widths):,} to {max(widths):,} columns wide.")
    first = matrix.scores[labels[0]].values[real]
    lead = (
        f"The same samples fill {dimension(float(first.min()))} to "
        f"{dimension(float(first.max()))} dimensions."
    )
    small = all(value < FAR * width for value, width in zip(first, widths, strict=True))
    return Answer("low" if small else "other", lead, " ".join(sentences))


def _estimator(scores: Scores) -> str:
    return title_of(scores).removeprefix("Intrinsic dimension, ")
