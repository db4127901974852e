import csv

import pytest

from consilience.report import write_tables
from consilience.report.tables import file_stems
from consilience.study.score_matrix import COLUMNS


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_there_is_one_file_per_metric_and_one_of_everything(matrix, tmp_path):
    written = write_tables(matrix, tmp_path / "tables")
    assert [path.name for path in written] == [
        "cknna.csv",
        "distance_correlation.csv",
        "distance_correlation-unbiased.csv",
        "information_imbalance-k=50.csv",
        "id_correlation.csv",
        "twonn.csv",
        "dimension_mle.csv",
        "scores_long.csv",
    ]
    assert sorted(written) == sorted((tmp_path / "tables").iterdir())


def test_a_matrix_file_holds_every_digit(matrix, tmp_path):
    write_tables(matrix, tmp_path)
    head, *rows = rows_of(tmp_path / "cknna.csv")
    assert head == ["", *matrix.names]
    for name, row, values in zip(matrix.names, rows, matrix["cknna"], strict=True):
        assert row[0] == name
        assert [float(field) for field in row[1:]] == values.tolist()


def test_a_single_metric_is_a_list(matrix, tmp_path):
    write_tables(matrix, tmp_path)
    assert rows_of(tmp_path / "twonn.csv")[:2] == [["model", "score"], ["Alpha", "4.0"]]


def test_the_long_file_has_nulls_intervals_and_details(matrix, tmp_path):
    head, *rows = rows_of(write_tables(matrix, tmp_path)[-1])
    assert tuple(head) == COLUMNS
    assert len(rows) == 4 * 6 + 12 + 2 * 4
    found = {(r[0], r[1], r[2]): dict(zip(head, r, strict=True)) for r in rows}
    first = found["cknna", "Alpha", "Beta"]
    assert float(first["z"]) == pytest.approx(75.0)
    assert float(first["ci_low"]) == pytest.approx(0.7804, abs=1e-4)
    assert first["p"] == ""
    assert found["id_correlation", "Alpha", "Beta"]["p"] == "0.01"
    assert found["twonn", "Gamma", ""]["null_mean"] == ""


def test_file_names_are_plain_and_differ():
    labels = ["a/b", "a\\b", "A b", "../x", "[", "scores_long"]
    stems = file_stems(labels)
    assert stems == {
        "a/b": "a-b",
        "a\\b": "a-b-2",
        "A b": "A-b-3",
        "../x": "x",
        "[": "metric",
        "scores_long": "scores_long-2",
    }


def test_names_with_commas_and_quotes_are_read_back(make_matrix, tmp_path):
    names = ("a,b", 'c"d', "e\nf", "g")
    write_tables(make_matrix(names), tmp_path)
    assert rows_of(tmp_path / "cknna.csv")[0] == ["", *names]
