from __future__ import annotations

import pytest

from consilience.study.analyses import imbalance_plane

II = [[0.1, 0.2, 0.3], [0.4, 0.1, 0.5], [0.6, 0.7, 0.1]]
CKNNA = [[1, 0.9, 0.8], [0.9, 1, 0.7], [0.8, 0.7, 1]]


@pytest.fixture
def matrix(scores_of, matrix_of):
    return matrix_of(
        scores_of(II, label="ii[k=50]", metric="information_imbalance"),
        scores_of(CKNNA),
        scores_of([1.0, 2.0, 3.0], label="twonn"),
    )


def test_every_pair_has_both_directions_and_its_colours(matrix):
    found = imbalance_plane(
        matrix,
        "ii[k=50]",
        ["cknna"],
        training_data=["MPtrj", "MPtrj", ""],
        architectures={"m0": "GNN", "m1": "transformer", "m2": "GNN"},
    ).to_json()
    assert found["label"] == "ii[k=50]"
    assert [(p["a"], p["b"]) for p in found["points"]] == [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
    first, second, _ = found["points"]
    assert (first["x_to_y"], first["y_to_x"]) == (0.2, 0.4)
    assert first["color"] == {"cknna": 0.9}
    assert (first["same_data"], first["same_architecture"]) == (True, False)
    assert (second["same_data"], second["same_architecture"]) == (None, True)


def test_two_unknown_models_are_not_the_same(matrix):
    found = imbalance_plane(matrix, "ii[k=50]", training_data=["", "", None])
    assert {point.same_data for point in found.points} == {None}


def test_only_a_directed_score_has_a_plane(matrix):
    with pytest.raises(ValueError, match="not a directed score"):
        imbalance_plane(matrix, "cknna")
    with pytest.raises(ValueError, match="single models"):
        imbalance_plane(matrix, "ii[k=50]", ["twonn"])
    with pytest.raises(KeyError, match="did you mean 'cknna'"):
        imbalance_plane(matrix, "ii[k=50]", ["cknn"])


def test_one_model_has_no_plane(scores_of, matrix_of):
    matrix = matrix_of(scores_of([[0.1]], label="ii", kind="directed"))
    with pytest.raises(ValueError, match="got 1 model"):
        imbalance_plane(matrix, "ii")
