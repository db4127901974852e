from __future__ import annotations

import pytest

from consilience.study.analyses import dimension


@pytest.fixture
def matrix(scores_of, matrix_of):
    return matrix_of(
        scores_of([3.0, 4.0], label="mle[k=50]", metric="dimension_mle", settings={"k": 50}),
        scores_of([1.0, 2.0], label="twonn"),
        scores_of([5.0, 6.0], label="gride", settings={"n1": 8, "n2": 16}),
        scores_of([[1, 0.5], [0.5, 1]]),
    )


def test_methods_are_in_order_of_k(matrix):
    found = dimension(matrix, ["mle[k=50]", "twonn", "gride"], ["invariant", ""]).to_json()
    assert found["methods"] == [
        {"label": "twonn", "title": "TwoNN", "k": 2},
        {"label": "gride", "title": "Gride, 8 and 16", "k": 16},
        {"label": "mle[k=50]", "title": "Maximum likelihood, k = 50", "k": 50},
    ]
    assert found["models"] == [
        {"name": "m0", "embedding": "invariant", "values": [1.0, 5.0, 3.0]},
        {"name": "m1", "embedding": None, "values": [2.0, 6.0, 4.0]},
    ]


def test_only_scores_of_single_models_are_dimensions(matrix):
    with pytest.raises(ValueError, match="score of pairs"):
        dimension(matrix, ["cknna"])
    with pytest.raises(ValueError, match="`labels` is empty"):
        dimension(matrix, [])
    with pytest.raises(KeyError, match="no metric"):
        dimension(matrix, ["mle"])
