"""Evidence in words that claim no more than the numbers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consilience.report.text import number


def p_text(p: float) -> str:
    """Return "p = 0.03", or a bound where the digits say nothing; it breaks over no line."""
    if p < 1e-15:
        return "p\u00a0<\u00a010⁻¹⁵"
    text = f"{p:.1e}".replace("-", "−") if p < 0.001 else f"{p:.3f}"
    return f"p\u00a0=\u00a0{text}"


def interval_text(low: float, high: float) -> str:
    """Return "95 % interval 0.1 to 0.3"."""
    return f"95\u00a0% interval {number(low)} to {number(high)}"


def correlation_text(found: Mapping[str, Any] | None) -> str:
    """Return "ρ = −0.81 (95 % interval −0.95 to −0.50; p = 0.004; n = 12)"."""
    if not found or found.get("rho") is None:
        count = (found or {}).get("n", 0)
        reason = (found or {}).get("reason") or "too few models to say"
        return f"not known: {reason} (n = {count})"
    evidence = []
    if found.get("low") is not None:
        evidence.append(interval_text(found["low"], found["high"]))
    if found.get("p") is not None:
        evidence.append(p_text(found["p"]))
    evidence.append(f"n\u00a0=\u00a0{found['n']}")
    return f"ρ\u00a0=\u00a0{number(found['rho'])} ({'; '.join(evidence)})"


def direction(low: float | None, high: float | None) -> str:
    """Return "up", "down", or "open" where the interval spans zero or is not known."""
    if low is None or high is None:
        return "open"
    return "up" if low > 0 else "down" if high < 0 else "open"


def opening(title: str) -> str:
    """Return a title as it stands inside a sentence: "small molecules", but "QM9"."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"; with semicolons where a word has commas itself."""
    if len(words) < 2:
        return "".join(words)
    if any("," in word for word in words):
        return "; ".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
