import math

import numpy as np
import pytest

from consilience.study.result import Part, StudyResult
from consilience.study.score_matrix import ScoreMatrix, Scores

NAN = math.nan
NAMES = ("Alpha", "Beta", "Gamma", "Noise")


def with_null(mean, std, n_models=4):
    """A constant null, undefined on the diagonal."""
    own = np.eye(n_models, dtype=bool)
    return {
        "null_mean": np.where(own, NAN, mean),
        "null_std": np.where(own, NAN, std),
    }


def symmetric(upper, n_models=4):
    """A score matrix with ones on the diagonal from its upper triangle, row by row."""
    values = np.eye(n_models)
    values[np.triu_indices(n_models, 1)] = upper
    return np.maximum(values, values.T) if min(upper) >= 0 else values + np.triu(values, 1).T


@pytest.fixture
def make_matrix():
    """A study whose answers are known: Alpha ~ Beta, Gamma apart, Noise at chance."""

    def make(names=NAMES):
        cknna = symmetric([0.8, 0.4, 0.05, 0.3, 0.06, 0.04])
        plain = symmetric([0.9, 0.7, 0.5, 0.65, 0.5, 0.5])
        unbiased = symmetric([0.8, 0.45, 0.03, 0.4, 0.02, 0.0])
        imbalance = np.array(
            [
                [0.1, 0.2, 0.3, 1.0],
                [0.2, 0.1, 0.5, 1.0],
                [0.8, 0.6, 0.1, 1.0],
                [0.9, 0.9, 0.9, 0.1],
            ]
        )
        error = np.where(np.eye(4, dtype=bool), NAN, 0.01)
        scores = [
            Scores(
                "cknna",
                "cknna",
                "pair",
                {"k": 25, "variant": "paper"},
                (0, 1),
                True,
                cknna,
                std_error=error,
                **with_null(0.05, 0.01),
            ),
            Scores(
                "distance_correlation",
                "distance_correlation",
                "pair",
                {"unbiased": False},
                (0, 1),
                True,
                plain,
            ),
            Scores(
                "distance_correlation[unbiased]",
                "distance_correlation",
                "pair",
                {"unbiased": True},
                (-1, 1),
                True,
                unbiased,
            ),
            Scores(
                "information_imbalance[k=50]",
                "information_imbalance",
                "directed",
                {"k": 50},
                (0, 2),
                False,
                imbalance,
            ),
            Scores(
                "id_correlation",
                "id_correlation",
                "pair",
                {"permutations": 100},
                (-math.inf, 1),
                True,
                cknna,
                p_value=np.where(np.eye(4, dtype=bool), NAN, 0.01),
            ),
            Scores("twonn", "twonn", "single", {}, (0, math.inf), True, [4.0, 5.5, 9.0, 30.0]),
            Scores(
                "dimension_mle",
                "dimension_mle",
                "single",
                {"k": 50},
                (0, math.inf),
                True,
                [3.5, 5.0, 8.0, 25.0],
                std_error=[0.1, 0.1, 0.1, NAN],
            ),
        ]
        return ScoreMatrix(
            names,
            1234,
            (64, 128, 256, 32),
            {s.label: s for s in scores},
            {"version": "0.1.0", "backend": "native"},
        )

    return make


@pytest.fixture
def matrix(make_matrix):
    return make_matrix()


@pytest.fixture
def models():
    """Facts of the models; Noise is the random baseline."""
    return [
        {"name": "Alpha", "modality": "3D", "parameters": 412_525, "licence": "MIT"},
        {"name": "Beta", "modality": "graph", "parameters": 10_000_000},
        {"name": "Gamma", "modality": "language", "parameters": None},
        {"name": "Noise", "modality": "none", "baseline": True},
    ]


@pytest.fixture
def make_study(matrix, models):
    """One part or more around the matrix whose answers are known."""

    def make(analyses=None, *, parts=("Molecules",), across=None, matrix=matrix, models=models):
        made = tuple(
            Part(
                name=title.lower(),
                title=title,
                description="",
                dataset={"name": title},
                matrix=matrix,
                models=tuple({"baseline": False, **model} for model in models),
                analyses=dict(analyses or {}),
            )
            for title in parts
        )
        return StudyResult("A study", "What was asked.", made, dict(across or {}))

    return make


@pytest.fixture(scope="session")
def large():
    """A study of three parts that looks like a real one."""
    from report.synthetic import study

    return study()
