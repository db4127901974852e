"""The folder of a study: its page, its figures and its tables."""

import csv
import dataclasses
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from consilience.report import figures, write_study
from consilience.report.static import save
from consilience.report.subject import Subject

for package in ("jinja2", "plotly", "matplotlib"):
    pytest.importorskip(package, reason=f"a study is shown with {package}")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def exhibits_of(part):
    return {one.key: one for one in figures.of_part(Subject(part))}


@pytest.fixture(scope="module")
def folder(large, tmp_path_factory):
    """The smallest part of the large study on disk."""
    made = tmp_path_factory.mktemp("study")
    page = write_study(dataclasses.replace(large, parts=large.parts[2:]), made)
    assert page == made / "report.html"
    return made


def test_every_figure_is_there_as_svg_png_and_csv(large, folder):
    found = [one for exhibit in exhibits_of(large.parts[2]).values() for one in exhibit.figures]
    assert len(found) > 15
    for figure in found:
        drawing = (folder / "figures" / "proteins" / f"{figure.key}.svg").read_text("utf-8")
        assert ElementTree.fromstring(drawing).tag.endswith("svg")
        image = (folder / "figures" / "proteins" / f"{figure.key}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        head, *rows = rows_of(folder / "tables" / "proteins" / f"{figure.key}.csv")
        assert head == list(figure.table)
        assert len(rows) == len(next(iter(figure.table.values())))


def test_matrices_models_and_the_tree_are_there(large, folder):
    part = large.parts[2]
    assert (folder / "proteins.nwk").read_text("utf-8").startswith("('proteinmpnn-vanilla':0.1,")
    head, *rows = rows_of(folder / "tables" / "models.csv")
    assert [row[0] for row in rows] == list(part.matrix.names)
    facts = dict(zip(head, rows[0], strict=True))
    assert (facts["modality"], facts["family"]) == ("structure", "ProteinMPNN")
    assert float(facts["parameters"]) == 1_660_000
    first = rows_of(folder / "tables" / "proteins" / "cknna.csv")[1]
    assert [float(one) for one in first[1:]] == part.matrix["cknna"][0].tolist()


def test_the_figures_across_parts_are_there(folder):
    tables = list((folder / "tables" / "across").iterdir())
    assert [path.name for path in tables] == ["regimes-1-cknna.csv"]
    assert (folder / "figures" / "across" / "regimes-1-cknna.svg").exists()


def test_a_page_of_three_parts_stays_small(large):
    from consilience.report.page import render

    assert len(render(large).encode()) < 4_000_000


def test_every_analysis_of_the_study_has_its_section(large):
    assert list(exhibits_of(large.parts[0])) == [
        "matrix",
        "groups",
        "convergence",
        "explained",
        "direction",
        "locality",
        "dimensions",
        "tree",
        "samples",
        "map",
        "layers",
        "stand-ins",
    ]
    assert [one.key for one in figures.across(large)] == ["regimes"]


def test_what_was_not_possible_is_left_out(large):
    part = dataclasses.replace(large.parts[0], analyses={})
    # what the matrix itself holds is drawn without an analysis
    assert list(exhibits_of(part)) == ["matrix", "direction", "dimensions"]
    assert figures.across(dataclasses.replace(large, analyses={})) == []


def test_the_best_model_is_no_point_of_convergence(large):
    part = large.parts[0]
    figure = exhibits_of(part)["convergence"].figures[0]
    found = part.analyses["convergence"][0]
    assert found["best"] not in figure.table["name"]
    assert len(figure.table["name"]) == 19
    assert "ρ\u00a0=\u00a0−0.81" in figure.caption
    assert "p\u00a0=\u00a00.004" in figure.caption


def test_a_pair_stands_in_the_plane_with_its_better_direction_first(large):
    table = exhibits_of(large.parts[0])["direction"].figures[0].table
    assert all(low <= high for low, high in zip(table["a_to_b"], table["b_to_a"], strict=True))
    scores = large.parts[0].matrix.scores["information_imbalance[k=50]"].values
    names = large.parts[0].matrix.names
    a, b = names.index(table["model_a"][7]), names.index(table["model_b"][7])
    assert (scores[a, b], scores[b, a]) == (table["a_to_b"][7], table["b_to_a"][7])


def test_names_of_leaves_point_away_from_the_tree():
    from consilience.report.figures.tree import leaf_places

    nodes = [
        {"id": 0, "name": "up", "x": 1.0, "y": 2.0},
        {"id": 1, "name": "left", "x": 0.0, "y": 1.0},
        {"id": 2, "name": None, "x": 1.0, "y": 1.0},
    ]
    edges = [{"from": 2, "to": 0, "length": 1.0}, {"from": 1, "to": 2, "length": 1.0}]
    assert {one["name"]: one["angle"] for one in leaf_places({"nodes": nodes, "edges": edges})} == {
        "up": 90.0,
        "left": 180.0,
    }


def test_the_page_holds_a_share_of_many_samples_and_the_file_all(large):
    from consilience.report.payload import payload

    subject = Subject(large.parts[0])
    exhibit = exhibits_of(large.parts[0])["samples"]
    thinned = dataclasses.replace(exhibit.figures[0], rows_on_page=100)
    shown = dataclasses.replace(exhibit, figures=(thinned,))
    data = payload([subject], [[shown]], [])["parts"][0]["exhibits"][0]["figures"][0]
    assert len(thinned.table["x"]) == 2400
    assert len(data["table"]["x"]) == 100


def test_figures_of_the_same_numbers_are_the_same_bytes(large, tmp_path):
    figure = exhibits_of(large.parts[2])["tree"].figures[0]
    first, second = save(figure, tmp_path / "a")[0], save(figure, tmp_path / "b")[0]
    assert first.read_bytes() == second.read_bytes()


def test_names_that_look_like_markup_are_drawn_as_they_are(make_matrix, make_study, tmp_path):
    names = ("$a_b$", "<b>", "_hidden", "模型")
    result = make_study(matrix=make_matrix(names), models=[{"name": name} for name in names])
    write_study(result, tmp_path)
    drawing = (tmp_path / "figures" / "molecules" / "matrix-cknna.svg").read_text("utf-8")
    texts = [one.text for one in ElementTree.fromstring(drawing).iter() if one.text]
    assert set(names) <= set(texts)


def test_parts_whose_names_are_no_file_names_keep_apart(make_study, tmp_path):
    write_study(make_study(parts=("A/B", "A\\B")), tmp_path)
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["a-b", "a-b-2"]


def test_without_matplotlib_the_remedy_is_named(make_study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'consilience\[report\]'"):
        write_study(make_study(), tmp_path)
    assert not (tmp_path / "report.html").exists()
