"""A finished study: what the report, the notebook and the tables read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consilience._files import check_file_name, naming, sha256_of, write_durably
from consilience.study.score_matrix import ScoreMatrix

RESULT = "result.json"
FORMAT = "consilience.study"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Part:
    """One dataset, the models that embedded it, and all that was found there.

    Attributes
    ----------
    name, title, description : str
        `name` is also the file name of the part's results.
    dataset : dict
        Facts of the samples: name, n, seed, citation, licence, package.
    matrix : ScoreMatrix
    models : tuple of dict
        Facts of each model, in the order of `matrix.names`; at least "name" and "baseline".
    runs : tuple of dict
        One per model asked for, whether it ran or not: "model", "seconds", "status".
    analyses : dict
        JSON-able results by the name of the analysis; absent where it was not possible.
    notes : tuple of str
        What a reader must know, for example why a model is missing.
    answers : dict
        Digests of the samples, the embeddings and the plan that this part comes from.
    """

    name: str
    title: str
    description: str
    dataset: dict[str, Any]
    matrix: ScoreMatrix
    models: tuple[dict[str, Any], ...] = ()
    runs: tuple[dict[str, Any], ...] = ()
    analyses: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    answers: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = tuple(model["name"] for model in self.models)
        if found != self.matrix.names:
            raise ValueError(
                f"part {self.name!r}: facts are of models {found}, scores of {self.matrix.names}"
            )

    def save(self, folder: str | Path) -> Path:
        """Write ``NAME.matrix.json``, then ``NAME.part.json``, and return the latter."""
        folder = Path(folder)
        check_file_name(self.name, "the name of a part")
        matrix = self.matrix.save(folder / f"{self.name}.matrix.json")
        keys = ("name", "title", "description", "dataset", "models", "runs", "analyses", "notes")
        body = {key: getattr(self, key) for key in (*keys, "answers")}
        body["matrix_sha256"] = sha256_of(matrix)
        return _write(folder / f"{self.name}.part.json", body)

    @classmethod
    def load(cls, folder: str | Path, name: str) -> Part:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no part of this name.
        ValueError
            If a file is damaged, the two do not belong together, or the name is that of no file.
        """
        folder = Path(folder)
        check_file_name(name, "the name of a part")
        path = folder / f"{name}.part.json"
        body = _read(path)
        try:
            if body.pop("matrix_sha256") != sha256_of(folder / f"{name}.matrix.json"):
                raise ValueError(f"{name}.matrix.json is not the one that belongs to it")
            matrix = ScoreMatrix.load(folder / f"{name}.matrix.json")
            lists = {key: tuple(body[key]) for key in ("models", "runs", "notes")}
            return cls(**{**body, **lists, "matrix": matrix})
        except (KeyError, TypeError, ValueError, AttributeError, FileNotFoundError) as error:
            raise ValueError(f"{path} is damaged ({error}); run the study again") from error


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A finished study of one or more parts.

    Attributes
    ----------
    title, description : str
    parts : tuple of Part
    analyses : dict
        Results across parts, such as "regimes"; JSON-able.
    provenance : dict
        What made the study: version, time, machine, the plan itself.
    """

    title: str
    description: str
    parts: tuple[Part, ...]
    analyses: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a study needs at least one part")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"the parts of a study need different names, got {names}")

    def part(self, name: str | None = None) -> Part:
        """Return the part called `name`; the first by default."""
        if name is None:
            return self.parts[0]
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(f"no part {name!r}, only {', '.join(part.name for part in self.parts)}")

    def save(self, folder: str | Path) -> Path:
        """Write the parts, then ``result.json``, and return the latter."""
        folder = Path(folder)
        for part in self.parts:
            part.save(folder)
        body = {
            "title": self.title,
            "description": self.description,
            "parts": [part.name for part in self.parts],
            "analyses": self.analyses,
            "provenance": self.provenance,
        }
        return _write(folder / RESULT, body)

    @classmethod
    def load(cls, folder: str | Path) -> StudyResult:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            If there is no finished study in `folder`.
        ValueError
            If a file is damaged or of a newer format.
        """
        folder = Path(folder)
        body = _read(folder / RESULT)
        try:
            parts = tuple(Part.load(folder, name) for name in body.pop("parts"))
            return cls(parts=parts, **body)
        except (KeyError, TypeError, ValueError, AttributeError, FileNotFoundError) as error:
            raise ValueError(
                f"{folder / RESULT} is damaged ({error}); run the study again"
            ) from error


def _write(path: Path, body: Mapping[str, Any]) -> Path:
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    try:
        head["sha256"] = _digest(body)
        text = json.dumps({**head, **body}, ensure_ascii=False, allow_nan=False, indent=1)
    except (TypeError, ValueError) as error:
        raise type(error)(f"a study's facts and analyses must be JSON-able: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, f"{text}\n".encode(errors="backslashreplace"))
    return path


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: no study was finished there; "
            "make one with `consilience study run study.yaml`"
        )
    try:
        with naming(path):
            text = path.read_text(encoding="utf-8")
        body = json.loads(text)
        head = (body.pop("format"), body.pop("version"))
        written = body.pop("sha256", None)  # absent before there were checksums
        if written is not None and written != _digest(body):
            raise ValueError("its content does not match its checksum")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); run the study again") from error
    if head[0] != FORMAT or type(head[1]) is not int or not 1 <= head[1] <= VERSION:
        raise ValueError(f"{path} is of format {head}, this version reads {(FORMAT, VERSION)}")
    return dict(body)


def _digest(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a body, the same before it is written and after it was read."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
