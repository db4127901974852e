"""What a comparison returns: every score of every pair, with its null and its error."""

from __future__ import annotations

import difflib
import hashlib
import html
import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consilience._files import write_durably

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Kind = Literal["pair", "directed", "single"]

KINDS = ("pair", "directed", "single")
FORMAT = "consilience.score_matrix"
VERSION = 1
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
)


@dataclass(frozen=True, eq=False)
class Scores:
    """One metric, with one choice of settings, over all models.

    Parameters
    ----------
    label : str
        Name of this column of the study, for example ``"information_imbalance[k=50]"``.
    metric : str
        Registered name of the metric, for example ``"information_imbalance"``.
    kind : {"pair", "directed", "single"}
        "pair": one score for two models. "directed": a score from one model to another.
        "single": a score of one model alone, such as an intrinsic dimension.
    settings : dict
        The options the metric ran with. JSON-able.
    bounds : (float, float)
        Lowest and highest value the metric can take; may be infinite.
    symmetric : bool
        True if the score of (a, b) is the score of (b, a) by definition.
    values : array of shape (n_models, n_models), or (n_models,) for "single"
        ``values[a, b]`` compares a with b, or goes from a to b. The diagonal is the model
        with itself. Finite.
    null_mean, null_std, std_error : arrays shaped like `values`, optional
        Mean and standard deviation of the score over relabellings of one model's samples, and
        the standard error of the score. nan where the quantity is not defined.
    details : dict of arrays shaped like `values`
        Further numbers of each cell, for example ``"p_value"``. nan where not defined.

    Notes
    -----
    All arrays are kept as read-only float64 copies.
    """

    label: str
    metric: str
    kind: Kind
    settings: dict[str, Any]
    bounds: tuple[float, float]
    symmetric: bool
    values: Array
    null_mean: Array | None = None
    null_std: Array | None = None
    std_error: Array | None = None
    details: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.label}: `kind` must be one of {KINDS}, got {self.kind!r}")
        low, high = (float(bound) for bound in self.bounds)
        if not low <= high:
            raise ValueError(f"{self.label}: `bounds` must be (low, high), got {self.bounds}")
        values = _frozen_array(self.values, f"{self.label}: `values`")
        _check_shape_for_kind(values, self.kind, self.label)
        _check_finite(values, self.label)
        object.__setattr__(self, "bounds", (low, high))
        object.__setattr__(self, "values", values)
        for name in ("null_mean", "null_std", "std_error"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self._shaped(getattr(self, name), name))
        details = {name: self._shaped(array, name) for name, array in self.details.items()}
        object.__setattr__(self, "details", details)
        for name in ("null_std", "std_error"):
            array = getattr(self, name)
            if array is not None and bool(np.any(array < 0)):
                raise ValueError(f"{self.label}: `{name}` must not be negative")

    def _shaped(self, array: ArrayLike, name: str) -> Array:
        result = _frozen_array(array, f"{self.label}: `{name}`")
        if result.shape != self.values.shape:
            raise ValueError(
                f"{self.label}: `{name}` must have the shape of `values`, "
                f"{self.values.shape}, got {result.shape}"
            )
        return result

    def z(self) -> Array | None:
        """Return (values - null_mean) / null_std, nan where the null has no spread, or None."""
        if self.null_mean is None or self.null_std is None:
            return None
        result = np.full(self.values.shape, np.nan)
        defined = (self.null_std > 0) & np.isfinite(self.null_mean)
        np.divide(self.values - self.null_mean, self.null_std, out=result, where=defined)
        return result

    def interval(self, level: float = 0.95) -> tuple[Array, Array] | None:
        """Return the normal interval of each score, clipped to the bounds, or None."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"`level` must lie strictly between 0 and 1, got {level}")
        if self.std_error is None:
            return None
        reach = NormalDist().inv_cdf(0.5 + level / 2.0) * self.std_error
        low, high = self.bounds
        # clip keeps nan, so an undefined error stays an undefined interval
        return np.clip(self.values - reach, low, high), np.clip(self.values + reach, low, high)

    def cells(self) -> list[tuple[int, int]]:
        """Return the (a, b) that carry information: each pair once, or in both directions.

        A "single" score has cells (a, a). The diagonal of the others is left out.
        """
        n_models = len(self.values)
        if self.kind == "single":
            return [(a, a) for a in range(n_models)]
        if self.kind == "pair" and self.symmetric:
            return list(itertools.combinations(range(n_models), 2))
        return list(itertools.permutations(range(n_models), 2))

    def at(self, array: Array | None, a: int, b: int) -> float:
        """Return the entry of `array` for cell (a, b); nan if there is no array."""
        if array is None:
            return math.nan
        return float(array[a] if self.kind == "single" else array[a, b])


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
        z, interval = scores.z(), scores.interval()
        low, high = interval if interval is not None else (None, None)
        for a, b in scores.cells():
            numbers = (
                scores.at(array, a, b)
                for array in (scores.values, scores.null_mean, scores.null_std, z, low, high)
            )
            model_b = None if scores.kind == "single" else self.names[b]
            yield dict(zip(COLUMNS, (label, self.names[a], model_b, *numbers), strict=True))

    def to_dataframe(self) -> pd.DataFrame:
        """Return the scores in long form, one row per cell; needs pandas.

        Columns: metric, model_a, model_b, score, null_mean, null_std, z, ci_low, ci_high.
        The interval is at 95 %. `model_b` is None for scores of single models; the diagonal
        of the others is left out.
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
            "scores": [_encode_scores(scores) for scores in self.scores.values()],
            "provenance": self.provenance,
        }
        try:
            text = _dumps(body)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"`settings` and `provenance` must be JSON-able to be saved: {error}"
            ) from None
        head = f'{{"format":"{FORMAT}","version":{VERSION},"sha256":"{_digest(text)}",\n"body":'
        return write_atomically(path, f"{head}{text}}}\n")

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
        body = _read_body(path)
        try:
            scores = [_decode_scores(entry) for entry in body["scores"]]
            return cls(
                names=tuple(body["names"]),
                n_samples=body["n_samples"],
                dims=tuple(body["dims"]),
                scores={entry.label: entry for entry in scores},
                provenance=body["provenance"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
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


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write `text` as UTF-8 so that `path` holds all of it or what it held before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode())
    return path


def _frozen_array(array: ArrayLike, name: str) -> Array:
    try:
        result = np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers ({error})") from None
    result.setflags(write=False)
    return result


def _check_shape_for_kind(values: Array, kind: str, label: str) -> None:
    square = values.ndim == 2 and values.shape[0] == values.shape[1]
    if kind == "single" and values.ndim != 1:
        raise ValueError(f"{label}: `values` must be (n_models,), got {values.shape}")
    if kind != "single" and not square:
        raise ValueError(f"{label}: `values` must be (n_models, n_models), got {values.shape}")


def _check_finite(values: Array, label: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{label}: `values` must be finite, got {values[place]} at {place}; "
            f"an undefined score must raise where it is computed"
        )


def _check_names(names: tuple[str, ...]) -> None:
    if not names:
        raise ValueError("`names` must hold at least one model")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a model's name must be a str, got {type(name).__name__}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"`names` must differ, got {twice[0]!r} more than once")


def _dumps(body: Mapping[str, Any]) -> str:
    # one spelling per content, so that the digest of what was read equals the one written
    return json.dumps(
        body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    )


def _plain(value: object) -> Any:
    """Return the JSON-able equal of what NumPy and pathlib put into settings."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _encode_numbers(numbers: Any) -> Any:
    """Return nested lists; nan becomes None and the infinities words, as JSON has neither."""
    if isinstance(numbers, list | tuple):
        return [_encode_numbers(number) for number in numbers]
    if math.isnan(numbers):
        return None
    return numbers if math.isfinite(numbers) else str(numbers)


def _decode_numbers(numbers: Any) -> Any:
    if isinstance(numbers, list):
        return [_decode_numbers(number) for number in numbers]
    if numbers is None:
        return math.nan
    if numbers in ("inf", "-inf") or (
        isinstance(numbers, int | float) and not isinstance(numbers, bool)
    ):
        return float(numbers)
    raise ValueError(f"{numbers!r} stands where a number should")


def _encode_scores(scores: Scores) -> dict[str, Any]:
    def encode(array: Array | None) -> Any:
        return None if array is None else _encode_numbers(array.tolist())

    return {
        "label": scores.label,
        "metric": scores.metric,
        "kind": scores.kind,
        "settings": scores.settings,
        "bounds": _encode_numbers(scores.bounds),
        "symmetric": scores.symmetric,
        "values": encode(scores.values),
        "null_mean": encode(scores.null_mean),
        "null_std": encode(scores.null_std),
        "std_error": encode(scores.std_error),
        "details": {name: encode(array) for name, array in scores.details.items()},
    }


def _decode_scores(entry: dict[str, Any]) -> Scores:
    def decode(numbers: Any) -> Any:
        return None if numbers is None else _decode_numbers(numbers)

    low, high = decode(entry["bounds"])
    return Scores(
        label=entry["label"],
        metric=entry["metric"],
        kind=entry["kind"],
        settings=entry["settings"],
        bounds=(low, high),
        symmetric=entry["symmetric"],
        values=decode(entry["values"]),
        null_mean=decode(entry["null_mean"]),
        null_std=decode(entry["null_std"]),
        std_error=decode(entry["std_error"]),
        details={name: decode(numbers) for name, numbers in entry["details"].items()},
    )


def _read_body(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a whole JSON file ({error}): it is damaged, "
            f"or was not written by ScoreMatrix.save"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a score matrix: ScoreMatrix.save did not write it")
    version = content.get("version")
    if not isinstance(version, int):
        raise ValueError(f"{path} is a damaged score matrix (no version); make it again")
    if version > VERSION:
        raise ValueError(
            f"{path} is a score matrix of format {version}, and this consilience reads "
            f"formats up to {VERSION}: upgrade consilience to read it"
        )
    body = content.get("body")
    if not isinstance(body, dict) or _digest(_dumps(body)) != content.get("sha256"):
        raise ValueError(
            f"{path} is a damaged score matrix (its content does not match its checksum); "
            f"make it again"
        )
    return body


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
