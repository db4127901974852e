"""Tables of the page: what a cell shows, what it sorts by, how it is aligned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from consilience.report.answers.pairs import mean_with_others
from consilience.report.glossary import title_of
from consilience.report.subject import Subject
from consilience.report.text import MISSING, plain

# the order of the paper's Table 1, then whatever else is known
FIRST = ("modality", "family", "architecture", "embedding", "training_data", "theory")
THEN = ("parameters", "training_size", "width", "license", "weights")
HIDDEN = frozenset({"name", "model", "baseline", "summary", "n_samples", "seconds"})
HEADS = {"license": "licence", "embedding": "embedding type", "theory": "level of theory"}


def models_table(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Return one row per model of any part, with what is said of it and what was measured."""
    facts: dict[str, dict[str, Any]] = {}
    homes: dict[str, list[str]] = {}
    for subject in subjects:
        for name in subject.names:
            facts.setdefault(name, dict(subject.facts.get(name, {})))
            homes.setdefault(name, []).append(subject.part.title)
    for subject in subjects:
        for name, width in zip(subject.names, subject.part.matrix.dims, strict=True):
            facts[name]["width"] = width
    known = dict.fromkeys((*FIRST, *THEN, *(key for one in facts.values() for key in one)))
    shown = [
        key
        for key in known
        if key not in HIDDEN and any(one.get(key) is not None for one in facts.values())
    ]
    measured = {} if len(subjects) > 1 else _measured(subjects[0])
    rows: list[dict[str, Any]] = []
    for name, one in facts.items():
        row: dict[str, Any] = {"model": name}
        if len(subjects) > 1:
            row["in"] = homes[name]
        row.update({HEADS.get(key, key): one.get(key) for key in shown})
        row.update({head: column.get(name) for head, column in measured.items()})
        rows.append(row)
    made = table(rows)
    for cells, (name, one) in zip(made["rows"], facts.items(), strict=True):
        cells[0]["note"] = plain(one["summary"]) if one.get("summary") else ""
        cells[0]["baseline"] = any(_is_baseline(subject, name) for subject in subjects)
    return made


def runs_table(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Return one row per run of any part."""
    several = len(subjects) > 1
    return table(
        [
            ({"part": subject.part.title} if several else {}) | dict(run)
            for subject in subjects
            for run in subject.part.runs
        ]
    )


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return any mappings as a table whose columns are all their keys."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = [_column([row.get(key) for row in rows]) for key in keys]
    heads = [
        {"text": str(key).replace("_", " "), "number": bool(column) and column[0]["number"]}
        for key, column in zip(keys, columns, strict=True)
    ]
    return {"columns": heads, "rows": [list(row) for row in zip(*columns, strict=True)]}


def _measured(subject: Subject) -> dict[str, dict[str, Any]]:
    """Return columns that come from the matrix: head → name → number."""
    matrix, columns = subject.part.matrix, {}
    for label in subject.cast.single:
        scores = matrix.scores[label]
        head = title_of(scores).replace("Intrinsic dimension, ", "dimension, ")
        columns[head] = {n: float(v) for n, v in zip(matrix.names, scores.values, strict=True)}
    if subject.headline is not None and len(subject.real) > 1:
        means = mean_with_others(subject.headline, subject.real)
        columns[f"mean {title_of(subject.headline)}"] = {
            subject.names[i]: float(mean) for i, mean in zip(subject.real, means, strict=True)
        }
    return columns


def _is_baseline(subject: Subject, name: str) -> bool:
    return subject.facts.get(name, {}).get("baseline") is True


def _column(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the cells of one column."""
    values = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    known = [value for value in values if value is not None]
    if not known or not all(_is_number(value) for value in known):
        return [
            {"text": plain(v), "value": "" if v is None else plain(v), "number": False}
            for v in values
        ]
    whole = all(isinstance(value, int | np.integer) for value in known)
    # one precision for the column, so that its digits stand in line
    largest = max(abs(float(value)) for value in known)
    style = ",.0f" if whole else ",.1f" if largest >= 2.0 else ".2f" if largest > 0.1 else ".2g"
    return [
        {
            "text": MISSING if v is None else format(v, style).replace("-", "−"),
            "value": "" if v is None else repr(float(v)),
            "number": True,
        }
        for v in values
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
