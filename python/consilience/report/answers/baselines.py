"""Do trained models agree with each other more than baselines agree with them?"""

from __future__ import annotations

import numpy as np

from consilience.report.answers.answer import Answer
from consilience.report.parts import lower_is_closer
from consilience.report.subject import Subject
from consilience.report.text import number

VERDICTS = {
    "more": "Models agree more with each other than with any baseline {where}.",
    "across": "Across modalities, models agree no more than with the best baseline {where}.",
    "no more": "Models agree no more with each other than with the best baseline {where}.",
}
LEADS = {
    "more": "Models agree more with each other than with any baseline.",
    "across": "Across modalities, models agree no more than with the best baseline.",
    "no more": "Models agree no more with each other than with the best baseline.",
}


def answer(subject: Subject) -> Answer | None:
    """Contrast the median score among models with that between them and the best baseline.

    An untrained network or a fingerprint knows nothing of what models have learnt: agreement
    that it reaches is no evidence of learning, however far beyond chance.
    """
    scores, real = subject.headline, subject.real
    baselines = sorted(subject.cast.baselines)
    if scores is None or not baselines or len(real) < 2:
        return None
    sign = -1.0 if lower_is_closer(scores) else 1.0
    values = scores.values
    reached = {b: float(np.median([values[a, b] for a in real])) for b in baselines}
    best = max(reached, key=lambda b: sign * reached[b])
    kinds = [subject.modality(name) for name in subject.names]
    pairs = [(a, b) for i, a in enumerate(real) for b in real[i + 1 :]]
    everyone = float(np.median([values[pair] for pair in pairs]))
    across = [values[a, b] for a, b in pairs if kinds[a] != kinds[b]]
    least = [float(np.median(across))] if across else []
    verdict = "more"
    if sign * everyone <= sign * reached[best]:
        verdict = "no more"
    elif least and sign * least[0] <= sign * reached[best]:
        verdict = "across"
    title = subject.title(scores.label)
    text = f"Median {title} of {len(pairs)} pairs of models {number(everyone)}"
    if across:
        text += f", of the {len(across)} across modalities {number(least[0])}"
    text += f"; of {subject.names[best]} with the models {number(reached[best])}"
    others = [b for b in baselines if b != best]
    if others:
        low, high = sorted((min(reached[b] for b in others), max(reached[b] for b in others)))
        text += f", of the {len(others)} other baselines {number(low)} to {number(high)}"
    return Answer(verdict, LEADS[verdict], text + ".")
