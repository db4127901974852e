"""Does alignment with the best model rise with performance?"""

from __future__ import annotations

from consilience.report.answers.answer import Answer
from consilience.report.subject import Subject
from consilience.report.words import correlation_text, direction

VERDICTS = {
    "up": "Alignment rises with performance {where}.",
    "down": "Alignment falls with performance {where}.",
    "open": "No evidence {where} that alignment changes with performance.",
}
LEADS = {
    "up": "The better a model performs, the closer it comes to the best.",
    "down": "The better a model performs, the further it lies from the best.",
    "open": "No evidence that alignment changes with performance.",
}


def answer(subject: Subject) -> Answer | None:
    """Judge by the interval of the rank correlation, turned so that up means better."""
    found = subject.analysis("convergence")
    if not found:
        return None
    headline = subject.cast.headline
    one = next((entry for entry in found if entry["label"] == headline), found[0])
    correlation = one.get("correlation") or {}
    low, high = correlation.get("low"), correlation.get("high")
    if one.get("lower_is_better", True) and low is not None and high is not None:
        low, high = -high, -low
    verdict = direction(low, high)
    text = (
        f"{subject.title(one['label'])} with {one['best']} against {one['performance_label']}: "
        f"{correlation_text(correlation)}."
    )
    if correlation.get("rho") is not None and one.get("lower_is_better", True):
        text += " Less error is better: ρ < 0 means that better models align more."
    return Answer(verdict, LEADS[verdict], text)
