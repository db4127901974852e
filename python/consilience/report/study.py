"""A finished study as a folder to look at, to print and to compute with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from consilience.report import figures
from consilience.report.figure import Exhibit, Figure
from consilience.report.grid import models_table
from consilience.report.page import render
from consilience.report.static import save
from consilience.report.subject import Subject
from consilience.report.tables import file_stems, write_table, write_tables
from consilience.report.text import spelled_out
from consilience.study.result import StudyResult
from consilience.study.score_matrix import write_atomically


def write_study(result: StudyResult, folder: str | os.PathLike[str]) -> Path:
    """Write the page of a study, its figures and its tables, and return the page's path.

    Parameters
    ----------
    result : StudyResult
    folder : str or path-like
        Made if it does not exist; what an earlier call wrote there is replaced.

    Returns
    -------
    Path
        ``report.html``, one page without a network. Beside it: ``figures/<part>/`` with every
        figure as SVG and PNG, ``tables/<part>/`` with the numbers of every figure and every
        matrix as CSV, ``tables/models.csv``, and ``<part>.nwk`` with the tree of models.

    Raises
    ------
    ImportError
        If plotly, jinja2 or matplotlib is missing.
    """
    folder = Path(folder)
    result = spelled_out(result)
    page = render(result)
    subjects = [Subject(part) for part in result.parts]
    stems = file_stems([subject.part.name for subject in subjects])
    for subject in subjects:
        name = stems[subject.part.name]
        _write_exhibits(figures.of_part(subject), folder, name)
        write_tables(subject.part.matrix, folder / "tables" / name)
        _write_tree(subject, folder / f"{name}.nwk")
    _write_exhibits(figures.across(result), folder, "across")
    write_table(_models(subjects), folder / "tables" / "models.csv")
    return write_atomically(folder / "report.html", page)


def _write_exhibits(exhibits: list[Exhibit], folder: Path, name: str) -> None:
    figures_of = [figure for exhibit in exhibits for figure in exhibit.figures]
    for figure, key in zip(figures_of, _keys(figures_of), strict=True):
        save(replace(figure, key=key), folder / "figures" / name)
        write_table(figure.table, folder / "tables" / name / f"{key}.csv")


def _keys(drawn: list[Figure]) -> list[str]:
    """Return a file name for each figure; two whose names look the same get numbers."""
    found: dict[str, str] = {}
    for figure in drawn:
        key, number = figure.key, 1
        while key.lower() in found:
            number += 1
            key = f"{figure.key}-{number}"
        found[key.lower()] = key
    return list(found.values())


def _write_tree(subject: Subject, path: Path) -> None:
    for found in subject.analysis("tree")[:1]:
        if found.get("newick"):
            write_atomically(path, found["newick"].strip() + "\n")


def _models(subjects: list[Subject]) -> dict[str, list[Any]]:
    """Return the models table with its numbers as numbers."""
    made = models_table(subjects)
    heads = [column["text"] for column in made["columns"]]
    table: dict[str, list[Any]] = {
        head: [row[place]["value"] for row in made["rows"]] for place, head in enumerate(heads)
    }
    return table | {"baseline": [row[0]["baseline"] for row in made["rows"]]}
