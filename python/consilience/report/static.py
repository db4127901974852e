"""Static figures: SVG and PNG files drawn with Matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from consilience.report.figure import Figure
from consilience.report.palette import GREY, Look

INK, RULE, FAINT = "#1b2230", "#c9c4b8", "#e9e6df"
DPI = 110
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a model's name is no formula
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "consilience",
    "savefig.dpi": DPI,
}


def save(figure: Figure, folder: Path) -> list[Path]:
    """Draw a figure, write `key`.svg and `key`.png and return their paths."""
    if figure.draw is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{figure.key}.svg", folder / f"{figure.key}.png"]
    with _styled():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas(figsize=figure.size, layout="constrained")
        figure.draw(canvas)
        # no date, so that the same numbers make the same file
        canvas.savefig(paths[0], metadata={"Date": None})
        _save_small(canvas, paths[1])
    return paths


def _save_small(canvas: Any, path: Path) -> None:
    """Write a PNG of 256 colours: a third of the bytes, and no eye tells the difference."""
    from PIL import Image  # comes with Matplotlib

    drawn = BytesIO()
    canvas.savefig(drawn, format="png")
    with Image.open(drawn) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


@contextmanager
def _styled() -> Iterator[None]:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "static figures need matplotlib: pip install 'consilience[report]'"
        ) from error
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # a name may hold letters that the font lacks; they are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        # a hundred long names leave no room; the figure is drawn all the same
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        yield


def heat(
    axes: Any,
    values: Any,
    *,
    rows: list[str],
    columns: list[str],
    label: str,
    reverse: bool = False,
    numbers: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw a labelled heat map; nan cells stay empty."""
    import numpy as np

    shown = np.ma.masked_invalid(np.asarray(values, dtype=float))
    low, high = limits or (None, None)
    mesh = axes.pcolormesh(
        shown, cmap="cividis_r" if reverse else "cividis", vmin=low, vmax=high, rasterized=True
    )
    axes.set_xticks([i + 0.5 for i in range(len(columns))], columns, rotation=90)
    axes.set_yticks([i + 0.5 for i in range(len(rows))], rows)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(mesh, ax=axes, shrink=0.6, label=label, pad=0.02).outline.set_visible(
        False
    )
    if numbers:
        _write_numbers(axes, mesh, shown)


def _write_numbers(axes: Any, mesh: Any, shown: Any) -> None:
    for (i, j), value in _cells(shown):
        red, green, blue, _ = mesh.cmap(mesh.norm(value))
        bright = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
        text = f"{value:.2f}".replace("-", "−")
        color = INK if bright else "white"
        axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=7, color=color)


def _cells(shown: Any) -> Iterator[tuple[tuple[int, int], float]]:
    import numpy as np

    for place, value in np.ndenumerate(shown):
        if value is not np.ma.masked and np.isfinite(value):
            yield (place[0], place[1]), float(value)


def key(axes: Any, looks: dict[str, Look], title: str = "") -> None:
    """Draw a legend of marks at the right of the axes."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=look["marker"], color=look["color"], label=name)
        for name, look in looks.items()
    ]
    axes.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def bar(low: list[Any], middle: list[Any], high: list[Any]) -> list[list[float]]:
    """Return the two arms of error bars; an unknown end has no arm."""
    pairs = list(zip(low, middle, high, strict=True))
    down = [max(0.0, m - a) if a is not None else 0.0 for a, m, _ in pairs]
    up = [max(0.0, b - m) if b is not None else 0.0 for _, m, b in pairs]
    return [down, up]


__all__ = ["GREY", "INK", "RULE", "bar", "heat", "key", "save"]
