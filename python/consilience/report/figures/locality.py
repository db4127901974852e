"""Does the answer depend on how many neighbours are asked?"""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

from consilience.report.figure import Exhibit, Figure, Table
from consilience.report.static import GREY
from consilience.report.subject import Subject
from consilience.report.words import correlation_text

LEDE = (
    "A neighbour metric at small k asks about the closest samples, at large k about the whole "
    "cloud. Thin lines are pairs of models, thick lines their medians. Below: does the ranking "
    "of pairs stay the same?"
)
KINDS = {
    "within": ("same modality", "#0072B2"),
    "across": ("across modalities", "#D55E00"),
    "baseline": ("with a baseline", GREY),
}


def exhibits(subject: Subject) -> list[Exhibit]:
    """Return one exhibit with the curves of all pairs."""
    found = subject.analysis("locality")
    if not found or len(found[0].get("ks") or ()) < 2:
        return []
    figures = tuple(_figure(subject, one, place) for place, one in enumerate(found))
    return [Exhibit("locality", "Near and far", "Locality", LEDE, figures)]


def _figure(subject: Subject, found: dict[str, Any], place: int) -> Figure:
    ks = list(found["ks"])
    pairs = found["pairs"]
    table: Table = {
        "model_a": [one["a"] for one in pairs],
        "model_b": [one["b"] for one in pairs],
        "kind": [_kind(subject, one["a"], one["b"]) for one in pairs],
    }
    table |= {f"k={k}": [one["values"][i] for one in pairs] for i, k in enumerate(ks)}
    kinds = {key: look for key, look in KINDS.items() if key in table["kind"]}
    more: dict[str, Any] = {
        "ks": ks,
        "ranks": found.get("rank_correlation"),
        "title": found.get("title") or "CKNNA",
        "kinds": {key: {"name": name, "color": color} for key, (name, color) in kinds.items()},
        "medians": {key: _medians(table, ks, key) for key in kinds},
    }
    return Figure(
        key="locality" if not place else f"locality-{place + 1}",
        kind="locality",
        name=more["title"],
        caption=_caption(subject, found),
        table=table,
        more=more,
        draw=partial(_draw, table=table, more=more),
        size=(6.4, 5.2),
    )


def _kind(subject: Subject, a: str, b: str) -> str:
    first, second = subject.modality(a), subject.modality(b)
    if "baseline" in (first, second):
        return "baseline"
    return "within" if first == second else "across"


def _medians(table: Table, ks: list[int], kind: str) -> list[float | None]:
    found: list[float | None] = []
    for k in ks:
        column = zip(table["kind"], table[f"k={k}"], strict=True)
        values = [value for one, value in column if one == kind and value is not None]
        found.append(median(values) if values else None)
    return found


def _caption(subject: Subject, found: dict[str, Any]) -> str:
    text = f"{len(found['pairs']):,} pairs at {len(found['ks'])} values of k."
    if found.get("rank_correlation"):
        k = found.get("reference_k", 25)
        text += f" Below: Spearman correlation of the ranking of pairs with that at k = {k}."
    for label, one in (found.get("against") or {}).items():
        text += f" Over pairs, against {subject.title(label)}: {correlation_text(one)}."
    return text


def _draw(canvas: Any, *, table: Table, more: dict[str, Any]) -> None:
    upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ks = more["ks"]
    for i, kind in enumerate(table["kind"]):
        values = [table[f"k={k}"][i] for k in ks]
        upper.plot(ks, values, color=more["kinds"][kind]["color"], alpha=0.12, linewidth=0.6)
    for kind, look in more["kinds"].items():
        upper.plot(
            ks, more["medians"][kind], color=look["color"], linewidth=2.2, label=look["name"]
        )
    upper.set_ylabel(more["title"])
    upper.legend(loc="best")
    if more["ranks"]:
        lower.plot(ks, more["ranks"], "o-", color=KINDS["within"][1], markersize=4)
    lower.set_ylabel("ranking")
    lower.set_xlabel("k, number of neighbours")
    lower.set_xscale("log")
    for axes in (upper, lower):
        axes.grid(visible=True)
