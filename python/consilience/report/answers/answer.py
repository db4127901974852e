"""A question, what each part answers, and one headline over all parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consilience.report.words import listed, opening


@dataclass(frozen=True)
class Answer:
    """What one part says: a verdict, its own headline, the numbers. Plain text."""

    verdict: str
    lead: str
    text: str


@dataclass(frozen=True)
class Line:
    """The numbers of one part; `part` is empty where the study has only one."""

    part: str
    text: str


@dataclass(frozen=True)
class Finding:
    """A sentence to remember, and the numbers behind it. Plain text, not HTML."""

    question: str
    lead: str
    lines: tuple[Line, ...]


def combine(
    question: str,
    answers: Sequence[tuple[str, Answer]],
    verdicts: Mapping[str, str],
    *,
    n_parts: int,
) -> Finding:
    """Return the finding of some parts.

    A verdict of `verdicts` is a sentence with the place ``{where}``, filled with the names of
    the parts that share it. A study of one part has that part's own headline.
    """
    if n_parts == 1:
        ((_, one),) = answers
        return Finding(question, one.lead, (Line("", one.text),))
    sentences = []
    for verdict, sentence in verdicts.items():
        where = [opening(title) for title, one in answers if one.verdict == verdict]
        if where:
            told = sentence.format(where=f"in {listed(where)}")
            sentences.append(told[0].upper() + told[1:])
    lines = tuple(Line(title, one.text) for title, one in answers)
    return Finding(question, " ".join(sentences), lines)
