"""Names, titles and facts that try to be markup, formulas, paths or more than one line."""

from __future__ import annotations

import csv
import dataclasses
import re
from xml.etree import ElementTree

import pytest

from consilience.report import write_report, write_study, write_tables
from consilience.report.tables import file_stems, write_table
from consilience.study.analyses._neighbor_joining import neighbor_joining, newick
from report.synthetic import study

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    "a\x00b\x1b[31m\u2028\u2029\ud800",
    '"><svg onload="alert(1)">' + "n" * 300,
    "x'; (a,b):1\n\r\t[&&NHX]",
    "$\\frac{1}{0}$ {{ 7 * 7 }} {% raw %}",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study of which every name and text is hostile, and the folder that it was written to."""
    whole = study()
    part = whole.parts[2]
    names = dict(zip(part.matrix.names, HOSTILE, strict=False))

    def rename(value):
        if isinstance(value, dict):
            return {key: rename(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [rename(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    matrix = dataclasses.replace(part.matrix, names=tuple(rename(list(part.matrix.names))))
    models = tuple({**rename(dict(one)), "family": HOSTILE[1], "summary": HOSTILE[0],
                    "modality": HOSTILE[4]} for one in part.models)  # fmt: skip
    renamed = dataclasses.replace(
        part,
        name=HOSTILE[2],
        title=HOSTILE[0],
        description=HOSTILE[3],
        dataset={HOSTILE[1]: HOSTILE[5]},
        matrix=matrix,
        models=models,
        runs=({HOSTILE[0]: HOSTILE[1]},),
        analyses=rename(part.analyses),
        notes=HOSTILE,
    )
    folder = tmp_path_factory.mktemp("hostile") / "study"
    result = dataclasses.replace(whole, title=HOSTILE[0], description=HOSTILE[4], parts=(renamed,))
    write_study(result, folder)
    return folder, matrix


def test_nothing_is_written_outside_the_folder(written):
    folder, _ = written
    assert list(folder.parent.iterdir()) == [folder]
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) > 20
    for path in paths:
        assert re.fullmatch(r"[A-Za-z0-9_=.-]+", path.name), path
        assert len(path.name) < 140


def test_the_page_holds_no_tag_of_a_name(written):
    page = (written[0] / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 3
    assert not re.search(r"<img|<svg on|\sonerror=\"", page)
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", page)
    assert "{{ 7 * 7 }}" in page  # a name is never a template


def test_figures_are_whole_and_run_nothing(written):
    figures = sorted(written[0].rglob("*.svg"))
    assert len(figures) > 5
    texts = []
    for path in figures:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        for element in root.iter():
            tag = element.tag.rpartition("}")[2]
            assert tag not in {"script", "foreignObject", "iframe", "a"}, path
            assert not any(key.startswith("on") for key in element.attrib), path
            texts.append("".join(element.itertext()))
    assert any("onerror" in text for text in texts)


def test_no_cell_of_a_table_is_a_formula(written):
    tables = sorted(written[0].rglob("*.csv"))
    assert len(tables) > 10
    apostrophes = 0
    for path in tables:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    if cell.lstrip(" ")[:1] in tuple("=+@-\t\r\n"):
                        float(cell)  # a negative number and nothing else
                    apostrophes += cell.startswith("'=cmd")
    assert apostrophes > 5


def test_the_tree_is_one_line_of_quoted_names(written):
    (tree,) = [path.read_text(encoding="utf-8") for path in written[0].glob("*.nwk")]
    assert tree.endswith(";\n")
    assert tree.count("\n") == 1
    assert "'x''; (a,b):1" in tree or "'" in tree
    outside = re.sub(r"'(?:[^']|'')*'", "name", tree)
    assert re.fullmatch(r"[A-Za-z0-9_.(),:;e+-]+\n", outside)
    assert outside.count("(") == outside.count(")")


def test_a_label_of_a_tree_can_be_read_back():
    distances = [[0.0, 2.0, 3.0], [2.0, 0.0, 4.0], [3.0, 4.0, 0.0]]
    names = ("it's", "a,(b):c;", "line\nbreak")
    tree = newick(neighbor_joining(distances), names)
    quoted = [name[1:-1].replace("''", "'") for name in re.findall(r"'(?:[^']|'')*'", tree)]
    assert sorted(quoted) == sorted(["it's", "a,(b):c;", "line\ufffdbreak"])


def test_formulas_in_names_are_text_and_numbers_stay_numbers(tmp_path):
    table = {"name": ["=1+1", " +x", "-a", "@b", "\tc", "plain-name", ""],
             "=head": [-1.5, 2.0, -0.0, 1e-300, float("nan"), None, -7]}  # fmt: skip
    with write_table(table, tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head == ["name", "'=head"]
    texts, numbers = zip(*rows, strict=True)
    assert texts == ("'=1+1", "' +x", "'-a", "'@b", "'\tc", "plain-name", "")
    assert numbers == ("-1.5", "2.0", "-0.0", "1e-300", "", "", "-7")


def test_long_labels_make_file_names_that_a_system_takes(make_matrix, tmp_path):
    stems = file_stems(["a" * 500, "a" * 499, "../" * 200 + "x"])
    assert len(set(stems.values())) == 3
    assert max(map(len, stems.values())) < 140
    page = write_report(make_matrix(), tmp_path / "r.html", title="t" * 5000)
    assert page.is_file()
    assert len(write_tables(make_matrix(HOSTILE[:4]), tmp_path / "tables")) > 5
