"""Scores that an earlier comparison already holds, so that only new pairs are scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.study._score_file import dumps
from consilience.study.score_matrix import ScoreMatrix
from consilience.study.scores import OPTIONAL, Array, Scores


@dataclass(frozen=True)
class Known:
    """The scores of an earlier matrix, by the places of its models in the new one.

    places : for each model of the new matrix, its place in the earlier one, or None.
    """

    scores: Mapping[str, Scores]
    places: tuple[int | None, ...]

    def holds(self, label: str, cell: tuple[int, ...]) -> bool:
        """Return whether the score of this cell need not be computed."""
        return label in self.scores and all(self.places[m] is not None for m in cell)

    def fill(self, label: str, name: str, array: Array) -> None:
        """Copy what is known of `name` (a field of `Scores`, or a detail) into `array`."""
        old = self.scores.get(label)
        if old is None:
            return
        known = getattr(old, name) if name in ("values", *OPTIONAL) else old.details.get(name)
        if known is None:
            return
        new = [m for m, place in enumerate(self.places) if place is not None]
        at = [place for place in self.places if place is not None]
        if old.kind == "single":
            array[new] = known[at]
        else:
            array[np.ix_(new, new)] = known[np.ix_(at, at)]

    def details(self, label: str) -> tuple[str, ...]:
        """Return the names of the details that are known."""
        return tuple(self.scores[label].details) if label in self.scores else ()


def known_scores(
    previous: ScoreMatrix | None,
    dims: Mapping[str, int],
    n_samples: int,
    settings: Mapping[str, tuple[str, Mapping[str, Any]]],
    inference: Mapping[str, Any],
) -> Known:
    """Return what of `previous` answers the new request.

    A column counts if metric, label and settings are the same, and null and intervals were
    asked for alike; a model if its name and width are.

    dims : width of each model, by name;  settings : (metric, settings) of each label

    Raises
    ------
    ValueError
        If the earlier matrix is of another number of samples.
    """
    if previous is None:
        return Known({}, (None,) * len(dims))
    if previous.n_samples != n_samples:
        raise ValueError(
            f"`previous` is of {previous.n_samples} samples, the models have {n_samples}; "
            "scores of other samples cannot be taken over: compare without `previous`"
        )
    widths = dict(zip(previous.names, previous.dims, strict=True))
    places = tuple(
        previous.names.index(name) if widths.get(name) == width else None
        for name, width in dims.items()
    )
    if previous.provenance.get("inference") != dict(inference):
        return Known({}, places)
    scores = {
        label: old
        for label, old in previous.scores.items()
        if label in settings
        and old.metric == settings[label][0]
        and _plain(old.settings) == _plain(settings[label][1])
    }
    return Known(scores, places)


def _plain(settings: Mapping[str, Any]) -> Any:
    """Return settings as a file keeps them."""
    return json.loads(dumps(dict(settings)))
