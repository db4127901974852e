"""The file of a score matrix: JSON with a format, a version and a checksum."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from consilience._files import naming, write_durably
from consilience.study.scores import Array, Scores

FORMAT = "consilience.score_matrix"
# 2 added p_value and calibrated.
VERSION = 2


def file_text(body: Mapping[str, Any]) -> str:
    """Return the whole file for a body."""
    text = dumps(body)
    return (
        f'{{"format":"{FORMAT}","version":{VERSION},"sha256":"{digest(text)}",\n"body":{text}}}\n'
    )


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write `text` as UTF-8 so that `path` holds all of it or what it held before."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode())
    return path


def dumps(body: Mapping[str, Any]) -> str:
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


def digest(text: str) -> str:
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


def encode_scores(scores: Scores) -> dict[str, Any]:
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
        "p_value": encode(scores.p_value),
        "calibrated": encode(scores.calibrated),
        "details": {name: encode(array) for name, array in scores.details.items()},
    }


def decode_scores(entry: dict[str, Any]) -> Scores:
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
        p_value=decode(entry.get("p_value")),  # unknown to version 1
        calibrated=decode(entry.get("calibrated")),
        details={name: decode(numbers) for name, numbers in entry["details"].items()},
    )


def _digest_of(body: dict[str, Any]) -> str | None:
    """Return the digest of a body, or None if `save` cannot have written it."""
    try:
        return digest(dumps(body))
    except (ValueError, RecursionError):  # NaN, or nested too deeply
        return None


def read_body(path: Path) -> dict[str, Any]:
    try:
        with naming(path):
            text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a whole JSON file ({error}): it is damaged, "
            f"or was not written by ScoreMatrix.save"
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is not a score matrix: ScoreMatrix.save did not write it")
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise ValueError(f"{path} is a damaged score matrix (no version); make it again")
    if version > VERSION:
        raise ValueError(
            f"{path} is a score matrix of format {version}, and this consilience reads "
            f"formats up to {VERSION}: upgrade consilience to read it"
        )
    body = content.get("body")
    if not isinstance(body, dict) or _digest_of(body) != content.get("sha256"):
        raise ValueError(
            f"{path} is a damaged score matrix (its content does not match its checksum); "
            f"make it again"
        )
    return body
