"""The plane of information imbalance: what each of two models knows of the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from consilience.study.analyses._facts import ByName, by_name, same
from consilience.study.analyses._json import Result
from consilience.study.analyses._pairs import pair_values
from consilience.study.score_matrix import ScoreMatrix


@dataclass(frozen=True)
class PlanePoint(Result):
    """A pair of models.

    x_to_y, y_to_x : the directed score from a to b, and back.
    color : score of the pair under other metrics, by label.
    same_data, same_architecture : None where it is not known of both.
    """

    a: str
    b: str
    x_to_y: float
    y_to_x: float
    color: dict[str, float]
    same_data: bool | None
    same_architecture: bool | None


@dataclass(frozen=True)
class Plane(Result):
    """All pairs of models under a directed score."""

    label: str
    points: tuple[PlanePoint, ...]


def imbalance_plane(
    matrix: ScoreMatrix,
    label: str,
    colours: Sequence[str] = (),
    *,
    training_data: ByName = None,
    architectures: ByName = None,
) -> Plane:
    """Information imbalance of every pair, one way against the other.

    Near (0, 0) both models hold the same information, near (1, 1) neither predicts the other;
    off the diagonal one holds what the other has and more.

    Parameters
    ----------
    matrix : ScoreMatrix
    label : str
        A directed score, for example "information_imbalance[k=50]".
    colours : sequence of str
        Labels of scores of pairs to colour by; the mean of both directions if they differ.
    training_data, architectures : mapping from name or sequence, optional
        None or "" is unknown, which is never the same as another unknown.

    Returns
    -------
    Plane
        One point per unordered pair.

    Raises
    ------
    ValueError
        If the score is not directed, a colour is not of pairs, or there are fewer than two models.
    KeyError
        If the matrix has no such label.
    """
    values = matrix[label]
    scores = matrix.scores[label]
    if scores.kind != "directed":
        raise ValueError(f"{label!r} is not a directed score, it has no plane")
    names = matrix.names
    if len(names) < 2:
        raise ValueError(f"{label}: a plane needs pairs, got {len(names)} model")
    shades = {}
    for colour in colours:
        matrix[colour]
        shades[colour] = pair_values(matrix.scores[colour])
    data, data_known = same(by_name(training_data, names, "training_data"))
    kind, kind_known = same(by_name(architectures, names, "architectures"))
    return Plane(
        label,
        tuple(
            PlanePoint(
                names[a],
                names[b],
                float(values[a, b]),
                float(values[b, a]),
                {colour: float(shade[a, b]) for colour, shade in shades.items()},
                bool(data[a, b]) if data_known[a, b] else None,
                bool(kind[a, b]) if kind_known[a, b] else None,
            )
            for a, b in itertools.combinations(range(len(names)), 2)
        ),
    )
