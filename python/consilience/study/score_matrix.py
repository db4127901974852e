"""What a comparison returns: every score of every pair, with its null and its error."""

from __future__ import annotations

import difflib
import html
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.study._score_file import (
    decode_scores,
    encode_scores,
    file_text,
    read_body,
    write_atomically,
)
from consilience.study.scores import KINDS, Array, Kind, Scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "KINDS", "Array", "Kind", "ScoreMatrix", "Scores", "load", "write_atomically"]

COLUMNS = (
    "metric",
    "model_a",
    "model_b",
    "score",
    "null_mean",
    "null_std",
    "z",
    "ci_low",
    "ci_high",
    "p",
    "q",
    "calibrated",
)


@dataclass(frozen=True, eq=False)
class ScoreMatrix:
    """Scores of every pair of models under every metric asked for.

    Parameters
    ----------
    names : tuple of str
        The models, in the order of every array's rows and columns.
    n_samples : int
        Samples that every model has embedded.
    dims : tuple of int
        Embedding width (n_features) of each model.
    scores : dict of str to Scores
        Label to scores, in the order asked for.
    provenance : dict
        What made this matrix: version, backend, time, ... JSON-able.

    Examples
    --------
    >>> cosine = Scores("cosine", "cosine", "pair", {}, (-1, 1), True, [[1, 0.5], [0.5, 1]])
    >>> m = ScoreMatrix(("A", "B"), 100, (8, 16), {"cosine": cosine})
    >>> float(m["cosine"][0, 1])
    0.5
    >>> list(m.pairs("cosine"))
    [('A', 'B', 0.5)]
    """

    names: tuple[str, ...]
    n_samples: int
    dims: tuple[int, ...]
    scores: dict[str, Scores]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "dims", tuple(int(d) for d in self.dims))
        object.__setattr__(self, "n_samples", int(self.n_samples))
        object.__setattr__(self, "scores", dict(self.scores))
        _check_names(self.names)
        if len(self.dims) != len(self.names):
            raise ValueError(
                f"`dims` must have one width per model, {len(self.names)}, got {len(self.dims)}"
            )
        if self.n_samples < 1:
            raise ValueError(f"`n_samples` must be at least 1, got {self.n_samples}")
        for label, scores in self.scores.items():
            if scores.label != label:
                raise ValueError(f"scores {scores.label!r} are filed under {label!r}")
            if len(scores.values) != len(self.names):
                raise ValueError(
                    f"{label}: there are {len(self.names)} models, "
                    f"but `values` has {len(scores.values)} rows"
                )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The labels, in the order asked for."""
        return tuple(self.scores)

    def __getitem__(self, label: str) -> Array:
        return self._find(label).values

    def __contains__(self, label: object) -> bool:
        return label in self.scores

    def _find(self, label: str) -> Scores:
        if label in self.scores:
            return self.scores[label]
        if not self.scores:
            raise KeyError(f"no metric {label!r}: this matrix holds no scores")
        nearest = difflib.get_close_matches(str(label), list(self.scores), n=1, cutoff=0.0)
        raise KeyError(
            f"no metric {label!r} in this matrix, did you mean {nearest[0]!r}? "
            f"It holds: {', '.join(self.scores)}"
        )

    def z(self, label: str) -> Array | None:
        """Return (score - null mean) / null standard deviation, or None without a null.

        Entries are nan where the null is not defined or has no spread.
        """
        return self._find(label).z()

    def p(self, label: str) -> Array | None:
        """Return the one-sided p-values against relabelled samples, or None without a null."""
        return self._find(label).p_value

    def q(self, label: str) -> Array | None:
        """Return the p-values adjusted for the number of cells (Benjamini-Hochberg), or None."""
        return self._find(label).q_value()

    def calibrated(self, label: str) -> Array | None:
        """Return the scores as shares of what chance leaves to reach, or None without a null."""
        return self._find(label).calibrated

    def subset(self, names: Sequence[str]) -> ScoreMatrix:
        """Return the scores among some of the models, in the order of `names`.

        Raises
        ------
        KeyError
            If a name is not in this matrix.
        ValueError
            If a name is given twice, or none is.
        """
        unknown = [name for name in names if name not in self.names]
        if unknown:
            nearest = difflib.get_close_matches(str(unknown[0]), self.names, n=1, cutoff=0.0)
            raise KeyError(f"no model {unknown[0]!r} in this matrix, did you mean {nearest[0]!r}?")
        positions = [self.names.index(name) for name in names]
        return ScoreMatrix(
            names=tuple(names),
            n_samples=self.n_samples,
            dims=tuple(self.dims[a] for a in positions),
            scores={label: scores.subset(positions) for label, scores in self.scores.items()},
            provenance=self.provenance,
        )

    def interval(self, label: str, level: float = 0.95) -> tuple[Array, Array] | None:
        """Return the (low, high) arrays of the normal interval, or None without an error.

        The interval is score ± quantile · standard error, clipped to the metric's bounds.
        """
        return self._find(label).interval(level)

    def pairs(self, label: str) -> Iterator[tuple[str, str, float]]:
        """Yield (model a, model b, score), without the diagonal.

        Each unordered pair comes once for a symmetric metric, both ways for the others.
        """
        scores = self._find(label)
        if scores.kind == "single":
            raise ValueError(
                f"{label!r} is a score of single models, it has no pairs: "
                f"use m[{label!r}], in the order of m.names"
            )
        for a, b in scores.cells():
            yield self.names[a], self.names[b], float(scores.values[a, b])

    def records(self, label: str) -> Iterator[dict[str, Any]]:
        """Yield one mapping per cell, with the columns of `to_dataframe`."""
        scores = self._find(label)
        low, high = scores.interval() or (None, None)
        null = (scores.null_mean, scores.null_std, scores.z())
        chance = (scores.p_value, scores.q_value(), scores.calibrated)
        arrays = (scores.values, *null, low, high, *chance)
        for a, b in scores.cells():
            numbers = (scores.at(array, a, b) for array in arrays)
            model_b = None if scores.kind == "single" else self.names[b]
            yield dict(zip(COLUMNS, (label, self.names[a], model_b, *numbers), strict=True))

    def to_dataframe(self) -> pd.DataFrame:
        """Return the scores in long form, one row per cell; needs pandas.

        Columns: metric, model_a, model_b, score, null_mean, null_std, z, ci_low, ci_high, p,
        q, calibrated. The interval is at 95 %; q is p adjusted over the cells of the metric.
        `model_b` is None for scores of single models; the diagonal of the others is left out.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: pip install pandas") from error
        rows = [record for label in self.scores for record in self.records(label)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the matrix as JSON and return its path.

        Every float64 is read back with the same bits. The file appears whole or not at all.
        """
        body = {
            "names": list(self.names),
            "n_samples": self.n_samples,
            "dims": list(self.dims),
            "scores": [encode_scores(scores) for scores in self.scores.values()],
            "provenance": self.provenance,
        }
        try:
            text = file_text(body)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"`settings` and `provenance` must be JSON-able to be saved: {error}"
            ) from None
        return write_atomically(path, text)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScoreMatrix:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a score matrix, is damaged, or is of a newer format.
        """
        path = Path(path)
        body = read_body(path)
        try:
            scores = [decode_scores(entry) for entry in body["scores"]]
            return cls(
                names=tuple(body["names"]),
                n_samples=body["n_samples"],
                dims=tuple(body["dims"]),
                scores={entry.label: entry for entry in scores},
                provenance=body["provenance"],
            )
        except (
            *(KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError),
        ) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{path} is a damaged score matrix ({reason}); make it again"
            ) from error

    def __repr__(self) -> str:
        lines = [self._headline()]
        if self.scores:
            width = max(len("metric"), *(len(label) for label in self.scores))
            heads = f"{'low':>8} {'median':>8} {'high':>8}  highest"
            lines.append(f"  {'metric':<{width}}  {heads}")
            lines += [
                f"  {label:<{width}}  {_summary(scores, self.names)}"
                for label, scores in self.scores.items()
            ]
        return "\n".join(lines)

    def _headline(self) -> str:
        return (
            f"ScoreMatrix: {len(self.names)} models, {self.n_samples} samples, "
            f"{len(self.scores)} metrics"
        )

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{html.escape(self._headline())}</strong></p>"]
        for position, (label, scores) in enumerate(self.scores.items()):
            is_open = " open" if position == 0 else ""
            parts.append(
                f"<details{is_open}><summary>{html.escape(label)}</summary>"
                f"{_html_table(scores, self.names)}</details>"
            )
        return "".join(parts)


def load(path: str | os.PathLike[str]) -> ScoreMatrix:
    """Read a score matrix from the file that `ScoreMatrix.save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    ScoreMatrix

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a score matrix, is damaged, or is of a newer format.
    """
    return ScoreMatrix.load(path)


def _check_names(names: tuple[str, ...]) -> None:
    if not names:
        raise ValueError("`names` must hold at least one model")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a model's name must be a str, got {type(name).__name__}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"`names` must differ, got {twice[0]!r} more than once")


def _summary(scores: Scores, names: tuple[str, ...]) -> str:
    """Return low, median, high and the cell of the highest score."""
    cells = scores.cells()
    if not cells:
        return f"{'':>8} {'':>8} {'':>8}  (a single model)"
    numbers = np.array([scores.at(scores.values, a, b) for a, b in cells])
    a, b = cells[int(numbers.argmax())]
    link = "→" if scores.kind == "directed" else "~"
    where = names[a] if scores.kind == "single" else f"{names[a]} {link} {names[b]}"
    low, median, high = numbers.min(), float(np.median(numbers)), numbers.max()
    return f"{low:8.4g} {median:8.4g} {high:8.4g}  {where}"


def _html_table(scores: Scores, names: tuple[str, ...]) -> str:
    heads = [html.escape(name) for name in names]
    columns = ["score"] if scores.kind == "single" else heads
    top = "".join(f"<th>{head}</th>" for head in columns)
    rows = "".join(
        f"<tr><th>{head}</th>"
        + "".join(f"<td>{number:.4g}</td>" for number in np.atleast_1d(row))
        + "</tr>"
        for head, row in zip(heads, scores.values, strict=True)
    )
    return f"<table><thead><tr><th></th>{top}</tr></thead><tbody>{rows}</tbody></table>"
