"""Colours and marks that tell categories apart without colour vision (Okabe and Ito 2008)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SCALE = "cividis"  # perceptually uniform, the same to a reader who cannot tell red from green
GREY = "#8a8f98"

# name: colour, Plotly symbol, Matplotlib marker
MODALITIES = {
    "3D": ("#0072B2", "circle", "o"),
    "graph": ("#009E73", "square", "s"),
    "string": ("#E69F00", "diamond", "D"),
    "language": ("#D55E00", "triangle-up", "^"),
    "sequence": ("#56B4E9", "triangle-down", "v"),
    "structure": ("#CC79A7", "pentagon", "p"),
    "baseline": (GREY, "x", "X"),
}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = (
    ("circle", "o"),
    ("square", "s"),
    ("diamond", "D"),
    ("triangle-up", "^"),
    ("star", "*"),
    ("cross", "P"),
)
Look = dict[str, str]


def looks(values: Iterable[Any]) -> dict[str, Look]:
    """Return a colour and a mark for each value, in order of appearance; baselines are grey."""
    found: dict[str, Look] = {}
    used = 0
    for value in values:
        name = word(value)
        if name in found:
            continue
        if name in MODALITIES:
            color, symbol, marker = MODALITIES[name]
        else:
            color = COLORS[used % len(COLORS)]
            symbol, marker = SYMBOLS[(used // len(COLORS) + used) % len(SYMBOLS)]
            used += 1
        found[name] = {"color": color, "symbol": symbol, "marker": marker}
    return found


def word(value: Any) -> str:
    """Return a category as text."""
    return "unknown" if value is None else str(value)
