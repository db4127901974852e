"""A log-log figure as SVG text: the same bytes for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 250, 34, 46
COLORS = (
    "#1b6ca8",
    "#d1495b",
    "#2e8b57",
    "#8a5a9e",
    "#c98a1b",
    "#4a4e57",
    "#20a39e",
    "#7a3b1d",
    "#5b7db1",
)


@dataclass(frozen=True)
class Series:
    """Points of one name; `line` joins them, `marks` shows them."""

    name: str
    points: Sequence[tuple[float, float]]
    line: bool = False
    marks: bool = True


def log_log(series: Sequence[Series], *, x: str, y: str, title: str) -> str:
    """Return a figure with decades as grid lines, and the names at the right."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    points = [point for one in series for point in one.points]
    if not points:
        parts.append(f'<text x="{LEFT}" y="80">not measured yet</text></svg>')
        return "\n".join(parts) + "\n"
    spans = [decades([point[axis] for point in points]) for axis in range(2)]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(point: tuple[float, float]) -> tuple[float, float]:
        shares = [
            (math.log10(value) - low) / (high - low)
            for value, (low, high) in zip(point, spans, strict=True)
        ]
        return LEFT + shares[0] * (right - LEFT), bottom - shares[1] * (bottom - TOP)

    for power in range(spans[0][0], spans[0][1] + 1):
        at, _ = place((10.0**power, 10.0 ** spans[1][0]))
        parts.append(f'<path d="M{at:.1f} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{label(power)}</text>'
        )
    for power in range(spans[1][0], spans[1][1] + 1):
        _, at = place((10.0 ** spans[0][0], 10.0**power))
        parts.append(f'<path d="M{LEFT} {at:.1f}H{right}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label(power)}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(x)}</text>"
    )
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="14" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:.0f})">{escape(y)}</text>'
    )
    for number, one in enumerate(series):
        color = COLORS[number % len(COLORS)]
        placed = [place(point) for point in one.points]
        if one.line:
            path = "L".join(f"{a:.1f} {b:.1f}" for a, b in placed)
            parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        if one.marks:
            mark = f'r="4" fill="{color}"/>'
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" {mark}' for a, b in placed]
        at = TOP + 12 + 18 * number
        parts.append(f'<circle cx="{right + 18}" cy="{at - 4}" r="4" fill="{color}"/>')
        parts.append(f'<text x="{right + 28}" y="{at}">{escape(one.name)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around the values, at least one decade."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def label(power: int) -> str:
    """Return a power of ten as people write it."""
    if 0 <= power <= 6:
        return f"{10**power:,}"
    return f"{10.0**power:g}" if -3 <= power < 0 else f"1e{power}"
