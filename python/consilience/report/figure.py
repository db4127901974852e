"""What a figure of the page is: a table of numbers, and two ways to draw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Table = dict[str, list[Any]]


@dataclass(frozen=True)
class Figure:
    """One picture.

    Attributes
    ----------
    key : str
        File name of its SVG, PNG and CSV; unique within its part.
    kind : str
        Name of the drawer in `js/` that draws it on the page.
    name : str
        What a switch between the figures of an exhibit calls it.
    caption : str
        Plain text.
    table : dict of str to list
        Column → one entry per row: every number that the figure shows.
    more : dict
        What a drawing needs beside the table: words, order, lines. JSON-able.
    draw : callable, optional
        Draws the static figure on an empty `matplotlib.figure.Figure`.
    size : (float, float)
        Width and height of the static figure in inches.
    rows_on_page : int, optional
        The page holds at most so many rows, evenly spread; the CSV file holds all.
    """

    key: str
    kind: str
    name: str
    caption: str
    table: Table
    more: dict[str, Any] = field(default_factory=dict)
    draw: Callable[[Any], None] | None = None
    size: tuple[float, float] = (7.0, 5.0)
    rows_on_page: int | None = None


@dataclass(frozen=True)
class Exhibit:
    """A section with one figure, or several behind a switch."""

    key: str
    title: str
    short: str
    lede: str
    figures: tuple[Figure, ...]
    switch: str = "Show"


def columns(records: list[dict[str, Any]], names: tuple[str, ...]) -> Table:
    """Return records as a table; a key that a record lacks is None."""
    return {name: [record.get(name) for record in records] for name in names}


def rows(table: Table) -> list[tuple[Any, ...]]:
    """Return the rows of a table."""
    return list(zip(*table.values(), strict=True))
