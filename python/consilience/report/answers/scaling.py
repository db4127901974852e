"""Does alignment with the best model rise with size or with the amount of training data?"""

from __future__ import annotations

from consilience.report.answers.answer import Answer
from consilience.report.subject import Subject
from consilience.report.words import correlation_text, direction

VERDICTS = {
    "up": "Larger models align more with the best {where}.",
    "down": "Larger models align less with the best {where}.",
    "open": "No evidence {where} that size matters.",
}
LEADS = {
    "up": "Larger models align more with the best.",
    "down": "Larger models align less with the best.",
    "open": "No evidence that size matters.",
}


def answer(subject: Subject) -> Answer | None:
    """Judge by the interval of the rank correlation with the number of parameters."""
    found = subject.analysis("convergence")
    trends = found[0].get("trends") if found else None
    size = (trends or {}).get("parameters")
    if not trends or not size or size.get("rho") is None:
        return None
    verdict = direction(size.get("low"), size.get("high"))
    text = f"Alignment against parameters: {correlation_text(size)}."
    data = trends.get("training_size")
    if data and data.get("rho") is not None:
        text += f" Against the amount of training data: {correlation_text(data)}."
    return Answer(verdict, LEADS[verdict], text)
