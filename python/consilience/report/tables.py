"""The numbers of a study as CSV files."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from consilience.report.text import spelled_out
from consilience.study.score_matrix import COLUMNS, ScoreMatrix, Scores, write_atomically

FORMULA = tuple("=+-@\t\r\n")  # what makes a formula of a text in a spreadsheet
LONGEST_STEM = 120  # a file system takes 255 bytes


def write_tables(matrix: ScoreMatrix, folder: str | os.PathLike[str]) -> list[Path]:
    """Write one CSV per metric and one of everything, and return their paths.

    Parameters
    ----------
    matrix : ScoreMatrix
    folder : str or path-like
        Made if it does not exist.

    Returns
    -------
    list of Path
        One file per metric in matrix form (row model → column model; "model, score" for
        scores of single models), then ``scores_long.csv`` with the columns of
        `ScoreMatrix.to_dataframe` and one more per kind of detail, such as a p-value.

    Notes
    -----
    Numbers keep all digits of a float64. An undefined number is an empty field. A text that a
    spreadsheet would run as a formula has an apostrophe before it.
    """
    folder = Path(folder)
    stems = file_stems(matrix.metrics)
    written = [
        _write(folder / f"{stems[label]}.csv", _matrix_rows(matrix, matrix.scores[label]))
        for label in matrix.metrics
    ]
    return [*written, _write(folder / "scores_long.csv", _long_rows(matrix))]


def file_stems(labels: Sequence[str]) -> dict[str, str]:
    """Return a file name for each label: plain characters only, no two the same."""
    stems: dict[str, str] = {}
    taken = {"scores_long"}
    for label in labels:
        plain = stem_of(label) or "metric"
        stem, number = plain, 1
        # folded, because some file systems do not tell a from A
        while stem.lower() in taken:
            number += 1
            stem = f"{plain}-{number}"
        taken.add(stem.lower())
        stems[label] = stem
    return stems


def stem_of(label: str) -> str:
    """Return a label with plain characters only, fit to name a file."""
    return re.sub(r"[^A-Za-z0-9_=.]+", "-", label)[:LONGEST_STEM].strip("-.")


def write_table(table: Mapping[str, Sequence[Any]], path: Path) -> Path:
    """Write columns as a CSV file and return its path."""
    return _write(path, [tuple(table), *zip(*table.values(), strict=True)])


def _matrix_rows(matrix: ScoreMatrix, scores: Scores) -> Iterable[Sequence[Any]]:
    if scores.kind == "single":
        yield ("model", "score")
        for name, value in zip(matrix.names, scores.values, strict=True):
            yield (name, float(value))
        return
    yield ("", *matrix.names)
    for name, row in zip(matrix.names, scores.values, strict=True):
        yield (name, *(float(value) for value in row))


def _long_rows(matrix: ScoreMatrix) -> Iterable[Sequence[Any]]:
    extra = list(dict.fromkeys(name for s in matrix.scores.values() for name in s.details))
    yield (*COLUMNS, *extra)
    for label, scores in matrix.scores.items():
        for (a, b), record in zip(scores.cells(), matrix.records(label), strict=True):
            details = (scores.at(scores.details.get(name), a, b) for name in extra)
            yield (*record.values(), *details)


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([_field(value) for value in row])
    return write_atomically(path, spelled_out(text.getvalue()))


def _field(value: Any) -> Any:
    undefined = value is None or (isinstance(value, float) and math.isnan(value))
    if undefined:
        return ""
    return inert(value) if isinstance(value, str) else value


def inert(text: str) -> str:
    """Return a text that no spreadsheet runs: a formula gets an apostrophe before it."""
    return f"'{text}" if text.lstrip(" ")[:1] in FORMULA else text
