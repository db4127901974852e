"""One self-contained HTML page from a finished study."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from consilience.report.findings import STANDS_OUT, findings, mean_with_others
from consilience.report.glossary import entry_for, title_of
from consilience.report.parts import Cast, cast, lower_is_closer
from consilience.report.payload import chance_text, payload, settings_text
from consilience.report.text import MISSING, bound_text, counted, number, plain
from consilience.study.score_matrix import ScoreMatrix, Scores, write_atomically

MOST_ROWS = 1000  # pairs that the page lists; more make a browser slow
HIDDEN_KEYS = frozenset({"name", "model", "baseline"})


def write_report(
    matrix: ScoreMatrix,
    path: str | os.PathLike[str],
    *,
    title: str,
    models: Sequence[Mapping[str, Any]] = (),
    runs: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Write one HTML page that shows a finished study, and return its path.

    Parameters
    ----------
    matrix : ScoreMatrix
    path : str or path-like
        The page appears whole or not at all.
    title : str
    models : sequence of mappings, optional
        One per model. ``"name"`` is the name in `matrix`; ``"baseline": True`` keeps a random
        baseline out of the findings about models; every other key becomes a column.
    runs : sequence of mappings, optional
        Facts of each run, such as model, seconds, version, status. Every key becomes a column.
    notes : sequence of str, optional
        Paragraphs of plain text.

    Returns
    -------
    Path

    Raises
    ------
    ImportError
        If plotly or jinja2 is missing.

    Notes
    -----
    The page holds all it needs (about 5 MB for up to 20 models, most of it plotly.js) and a
    policy that forbids the browser to load anything else. It computes no score: every number
    on it is one of `matrix`, or the mean, extreme, difference or root of some of them.
    """
    parts = cast(matrix, models)
    page = _template().render(
        title=title,
        style=_read("style.css"),
        script=_read("page.js"),
        plotly=_plotly_js(),
        payload=payload(matrix, parts),
        matrix=matrix,
        parts=parts,
        asked=_asked(matrix, parts),
        findings=findings(matrix, parts),
        squares=[matrix.scores[label] for label in (*parts.pair, *parts.directed)],
        pairs=_pair_table(matrix, parts),
        models=_model_table(matrix, parts, models),
        runs=_table(runs),
        facts=_facts(matrix.provenance),
        methods=[_method(scores) for scores in matrix.scores.values()],
        notes=[notes] if isinstance(notes, str) else list(notes),
        title_of=title_of,
        subscripts=subscripts,
    )
    return write_atomically(path, page)


def _read(name: str) -> str:
    return resources.files("consilience.report").joinpath(name).read_text(encoding="utf-8")


def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("a report needs jinja2: pip install 'consilience[report]'") from error
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("page.html.j2"))


def _plotly_js() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("a report needs plotly: pip install 'consilience[report]'") from error
    return str(get_plotlyjs())


def _asked(matrix: ScoreMatrix, parts: Cast) -> list[tuple[str, str]]:
    """Return the numbers of the headline, each with its noun."""
    n_models = len(matrix.names)
    counts = [
        (matrix.n_samples, "sample"),
        (n_models, "model"),
        (n_models * (n_models - 1) // 2, "pair"),
        (len(matrix.metrics), "metric"),
    ]
    asked = []
    for count, noun in counts:
        figure, _, word = counted(count, noun).partition(" ")
        asked.append((figure, word))
    return asked


def _pair_table(matrix: ScoreMatrix, parts: Cast) -> dict[str, Any]:
    """Return one row per pair; a metric with a direction has a column for each way."""
    columns = []
    for label in (*parts.pair, *parts.directed):
        scores = matrix.scores[label]
        forth, back = _cells(scores), _cells(scores, turned=True)
        if scores.kind == "pair" and scores.symmetric:
            columns.append((title_of(scores), forth))
        else:
            columns.append((f"{title_of(scores)}, A\u00a0→\u00a0B", forth))
            columns.append((f"{title_of(scores)}, B\u00a0→\u00a0A", back))
    n_models = len(matrix.names)
    pairs = [(a, b) for a in range(n_models) for b in range(a + 1, n_models) if columns]
    if parts.headline is not None:
        scores = matrix.scores[parts.headline]
        pairs.sort(key=lambda pair: -scores.values[pair])
        if lower_is_closer(scores):
            pairs.reverse()
    rows = [
        {
            "a": matrix.names[a],
            "b": matrix.names[b],
            "cells": [cell(a, b) for _, cell in columns],
        }
        for a, b in pairs[:MOST_ROWS]
    ]
    left_out = max(0, len(pairs) - MOST_ROWS)
    return {"columns": [head for head, _ in columns], "rows": rows, "left_out": left_out}


def _cells(scores: Scores, *, turned: bool = False) -> Callable[[int, int], dict[str, Any]]:
    """Return what makes the cell of a pair from its place; `turned` takes (b, a)."""
    interval, z = scores.interval(), scores.z()
    beyond = -1.0 if lower_is_closer(scores) else 1.0
    spans_one = abs(scores.bounds[1]) <= 1

    def cell(a: int, b: int) -> dict[str, Any]:
        place = (b, a) if turned else (a, b)
        value = float(scores.values[place])
        spread = ""
        if interval is not None and np.isfinite(interval[0][place]):
            spread = f"{number(interval[0][place])} to {number(interval[1][place])}"
        known = z is not None and np.isfinite(z[place])
        return {
            "value": repr(value),
            "text": number(value),
            "interval": spread,
            "by_chance": known and z is not None and z[place] * beyond <= STANDS_OUT,
            "bar": round(100.0 * min(1.0, max(0.0, value))) if spans_one else 0,
        }

    return cell


def _model_table(
    matrix: ScoreMatrix, parts: Cast, models: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what is said of the models, with their width and mean alignment."""
    said: dict[str, Mapping[str, Any]] = {name: {} for name in matrix.names}
    for position, model in enumerate(models):
        if "name" not in model:
            raise ValueError(f'`models[{position}]` has no "name", got keys {list(model)}')
        said[str(model["name"])] = model
    measured = _measured(matrix, parts)
    rows = [
        {"model": name}
        | {key: value for key, value in model.items() if key not in HIDDEN_KEYS}
        | {head: column.get(name) for head, column in measured.items()}
        for name, model in said.items()
    ]
    return _table(rows)


def _measured(matrix: ScoreMatrix, parts: Cast) -> dict[str, dict[str, Any]]:
    """Return columns of the models table that come from the matrix: head → name → number."""
    names = matrix.names
    columns: dict[str, dict[str, Any]] = {"width": dict(zip(names, matrix.dims, strict=True))}
    for label in parts.single:
        scores = matrix.scores[label]
        head = title_of(scores).replace("Intrinsic dimension, ", "dimension, ")
        columns[head] = {name: float(v) for name, v in zip(names, scores.values, strict=True)}
    real = [i for i in range(len(names)) if i not in parts.baselines]
    if parts.headline is not None and len(real) > 1:
        scores = matrix.scores[parts.headline]
        means = mean_with_others(scores, real)
        named = {names[i]: float(mean) for i, mean in zip(real, means, strict=True)}
        columns[f"mean {title_of(scores)}"] = named
    return columns


def _table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return any mappings as a table whose columns are all their keys."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = [_column([row.get(key) for row in rows]) for key in keys]
    heads = [
        {"text": str(key).replace("_", " "), "number": bool(column) and column[0]["number"]}
        for key, column in zip(keys, columns, strict=True)
    ]
    return {"columns": heads, "rows": list(zip(*columns, strict=True))}


def _column(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the cells of one column: what is shown, what it sorts by, how it is aligned."""
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


def subscripts(formula: str) -> Any:
    """Return a formula as safe HTML in which ``a_ij`` is a with the subscript ij."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"_(\w+|\*)", r"<sub>\1</sub>", str(escape(formula))))


def _facts(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(key).replace("_", " "), plain(value)) for key, value in provenance.items()]


def _method(scores: Scores) -> dict[str, Any]:
    entry = entry_for(scores)
    low, high = (bound_text(bound) for bound in scores.bounds)
    return {
        "title": title_of(scores),
        "label": scores.label,
        "entry": entry,
        "settings": settings_text(scores),
        "chance": chance_text(scores),
        "bounds": f"{low} to {high}",
        "in_switch": scores.kind != "single",
    }
