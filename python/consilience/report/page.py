"""One self-contained HTML page from a finished study."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from consilience.report import assets, figures
from consilience.report.figure import Exhibit
from consilience.report.figures.matrix import leading_labels
from consilience.report.findings import Finding, details, findings
from consilience.report.glossary import Entry, entry_for, title_of
from consilience.report.grid import models_table, runs_table
from consilience.report.payload import chance_text, payload, settings_text
from consilience.report.subject import Subject
from consilience.report.text import bound_text, counted, plain, spelled_out
from consilience.study.result import Part, StudyResult
from consilience.study.score_matrix import ScoreMatrix, Scores, write_atomically

WIDE = 16  # models from which the matrix takes the whole width


def write_report(
    matrix: ScoreMatrix,
    path: str | os.PathLike[str],
    *,
    title: str,
    models: Sequence[Mapping[str, Any]] = (),
    runs: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Write one HTML page that shows the scores of one set of models, and return its path.

    Parameters
    ----------
    matrix : ScoreMatrix
    path : str or path-like
        The page appears whole or not at all.
    title : str
    models : sequence of mappings, optional
        One per model. ``"name"`` is the name in `matrix`; ``"baseline": True`` keeps a random
        baseline out of the findings about models; every other key becomes a column. A model
        that `matrix` lacks is listed with the runs.
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
    ValueError
        If facts of a model have no name.

    Notes
    -----
    The page holds all it needs (about 2 MB, most of it plotly.js) and a policy that forbids
    the browser to load anything else. It computes no score: every number on it is one of
    `matrix`, or the mean, median, extreme, difference or root of some of them. A study with
    its analyses is shown by `write_study`.
    """
    for position, model in enumerate(models):
        if "name" not in model:
            raise ValueError(f'`models[{position}]` has no "name", got keys {list(model)}')
    said = {str(model["name"]): dict(model) for model in models}
    failed = [
        {"model": name, **{key: value for key, value in model.items() if key != "name"}}
        for name, model in said.items()
        if name not in matrix.names
    ]
    part = Part(
        name="study",
        title="Study",
        description="",
        dataset={},
        matrix=matrix,
        models=tuple({"baseline": False, **said.get(n, {}), "name": n} for n in matrix.names),
        runs=(*(dict(run) for run in runs), *failed),
        notes=(notes,) if isinstance(notes, str) else tuple(notes),
    )
    result = StudyResult(title, "", (part,), provenance=dict(matrix.provenance))
    return write_atomically(path, render(result))


def render(result: StudyResult) -> str:
    """Return the page of a study as HTML."""
    result = spelled_out(result)
    subjects = [Subject(part) for part in result.parts]
    exhibits = [figures.of_part(subject) for subject in subjects]
    across = figures.across(result)
    environment = assets.templates(title_of=title_of, subscripts=subscripts)
    plotly, script = assets.plotly_js(), assets.script()
    return str(
        environment.get_template("page.html.j2").render(
            result=result,
            views=[_view(one, found) for one, found in zip(subjects, exhibits, strict=True)],
            across=across,
            asked=_asked(subjects),
            findings=_findings(result, subjects),
            models=models_table(subjects),
            runs=runs_table(subjects),
            methods=_methods(subjects),
            facts=_facts(result.provenance),
            payload=payload(subjects, exhibits, across),
            style=assets.style(),
            script=script,
            plotly=assets.packed(plotly),
            policy=assets.policy(script, plotly),
        )
    )


def _findings(result: StudyResult, subjects: Sequence[Subject]) -> list[Finding]:
    """Return the findings at the top; with one part, what is said of its models too."""
    found = findings(result, subjects)
    return [*found, *details(subjects[0])] if len(subjects) == 1 else found


def _view(subject: Subject, exhibits: list[Exhibit]) -> dict[str, Any]:
    """Return what the templates show of one part."""
    matrix = subject.part.matrix
    labels = (*subject.cast.pair, *subject.cast.directed)
    leading = leading_labels(subject)
    return {
        "part": subject.part,
        "exhibits": exhibits,
        "squares": [matrix.scores[label] for label in leading] if len(matrix.names) > 1 else [],
        "variants": [matrix.scores[label] for label in labels if label not in leading],
        "wide": len(matrix.names) > WIDE,
        "headline": subject.cast.headline or (labels[0] if labels else None),
        "dataset": _facts(subject.part.dataset),
        "details": details(subject),
        "count": (f"{counted(matrix.n_samples, 'sample')}, {counted(len(matrix.names), 'model')}"),
    }


def _asked(subjects: Sequence[Subject]) -> list[tuple[str, str]]:
    """Return the numbers of the headline, each with its noun."""
    matrices = [subject.part.matrix for subject in subjects]
    counts = [
        (len({name for matrix in matrices for name in matrix.names}), "model"),
        (sum(matrix.n_samples for matrix in matrices), "sample"),
        (sum(len(matrix.names) * (len(matrix.names) - 1) // 2 for matrix in matrices), "pair"),
        (len({label for matrix in matrices for label in matrix.metrics}), "metric"),
    ]
    if len(subjects) > 1:
        counts.insert(2, (len(subjects), "data set"))
    asked = []
    for count, noun in counts:
        figure, _, word = counted(count, noun).partition(" ")
        asked.append((figure, word))
    return asked


def _methods(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    """Return one entry per metric, with the settings and the chance of each of its labels."""
    found: dict[Entry, dict[str, list[tuple[str, Scores]]]] = {}
    for subject in subjects:
        for label, scores in subject.part.matrix.scores.items():
            labels = found.setdefault(entry_for(scores), {})
            labels.setdefault(label, []).append((subject.part.title, scores))
    return [_method(entry, labels) for entry, labels in found.items()]


def _method(entry: Entry, labels: dict[str, list[tuple[str, Scores]]]) -> dict[str, Any]:
    first = next(iter(labels.values()))[0][1]
    low, high = (bound_text(bound) for bound in first.bounds)
    several = len(labels) > 1
    settings, chance = [], []
    for found in labels.values():
        setting = title_of(found[0][1]).removeprefix(entry.title).strip(", ")
        where = f"{setting}: " if several and setting else ""
        settings += _merged([(title, settings_text(scores)) for title, scores in found], "")
        chance += _merged([(title, chance_text(scores)) for title, scores in found], where)
    return {
        "title": entry.title,
        "labels": list(labels),
        "entry": entry,
        "settings": list(dict.fromkeys(settings)),
        "chance": chance,
        "bounds": f"{low} to {high}",
    }


def _merged(told: list[tuple[str, str]], where: str) -> list[str]:
    """Return one text where all parts say the same, else one per part that says anything."""
    texts = dict.fromkeys(text for _, text in told)
    if len(texts) == 1:
        return [f"{where}{text}" for text in texts if text]
    return [f"{title}: {where}{text}" for title, text in told if text]


def subscripts(formula: str) -> Any:
    """Return a formula as safe HTML in which ``a_ij`` is a with the subscript ij."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"_(\w+|\*)", r"<sub>\1</sub>", str(escape(formula))))


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(key).replace("_", " "), plain(value)) for key, value in facts.items()]
