"""A plan is judged before anything runs, and says what is wrong and what is near."""

import json

import pytest

from consilience.study.plan import ModelPlan, StudyPlan, read_plan

STORES = [{"name": "a", "store": "stores/a"}, {"name": "b", "store": "stores/b"}]


def body(**part):
    return {"title": "T", "parts": {"p": {"models": STORES, **part}}}


def test_a_plan_survives_its_own_json():
    asked = body(
        data="qm9",
        n=50,
        seed=3,
        neighbors="approx",
        rows=20_000,
        models=["random", {"model": "morgan", "pooling": "mean"}, *STORES],
        metrics=["cka", {"cknna": {"k": 5}}],
        performance={"label": "score", "lower_is_better": False, "values": {"a": 1, "b": 2}},
        layers=[["random", "morgan"]],
        ks=[2, 5],
        analyses=["tree"],
    )
    plan = StudyPlan.from_mapping(asked)
    assert StudyPlan.from_mapping(json.loads(json.dumps(plan.to_json()))) == plan
    part = plan.part()
    assert [m.name for m in part.models] == ["random", "morgan", "a", "b"]
    assert (part.neighbors, part.rows) == ("approx", 20_000)
    assert part.metrics == (("cka", {}), ("cknna", {"k": 5}))
    assert part.performance.values == {"a": 1.0, "b": 2.0}
    assert not part.performance.energy


def test_all_models_are_those_that_read_the_data_and_need_no_weights():
    plan = StudyPlan.from_mapping(body(data="qm9", models="all"))
    names = [m.name for m in plan.part().models]
    assert {"random", "morgan", "rxnmapper", "chgnet-0.3.0"} <= set(names)
    assert not {"llm", "esm2"} & set(names)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"title": "T"}, "must have `parts`"),
        ({"parts": {}}, "different names"),
        ({**body(), "part": 1}, "did you mean 'parts'"),
        (body(modles=[]), "did you mean 'models'"),
        (body(models=["random"]), "must say its `data`"),
        (body(data="qm"), "did you mean 'qm9'"),
        (body(data="qm9", models=["random", "morgen"]), "did you mean 'morgan'"),
        (body(models=STORES[:1]), "at least two models"),
        (body(models=[*STORES, *STORES]), "has model 'a' twice"),
        (body(models="some"), 'a list or "all"'),
        (body(preset="mater"), "did you mean 'matter'"),
        (body(neighbors="aprox"), "did you mean 'approx'"),
        (body(rows=1), "rows of p"),
        (body(metrics=["cknn"]), "did you mean 'cknna'"),
        (body(metrics=[{"cka": {}, "rsa": {}}]), "name or {name: settings}"),
        (body(analyses=["trees"]), "did you mean 'tree'"),
        (body(layers=[["a", "c"]]), "layers of p"),
        (body(performance="speed"), '"energy" or a mapping'),
        (body(performance={"energy": True, "values": {"a": 1}}), "`values` or `energy: true`"),
        (body(models=[{"name": "x"}, *STORES]), "either `model` or `store`"),
        (body(models=[{"name": "../x", "store": "s"}, *STORES]), "file name"),
        ({**body(), "regimes": [["p", "q"]]}, "`regimes` must be one of"),
    ],
)
def test_what_there_is_not_is_said_with_what_is_near(asked, message):
    with pytest.raises(ValueError, match=message):
        StudyPlan.from_mapping(asked)


def test_adding_a_model_keeps_the_rest():
    plan = StudyPlan.from_mapping(body())
    more = plan.with_model(None, ModelPlan("c", store="stores/c"))
    assert [m.name for m in more.part().models] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="twice"):
        more.with_model("p", ModelPlan("c", store="stores/c"))


def test_a_study_of_several_parts_asks_which():
    two = {"title": "", "parts": {"p": {"models": STORES}, "q": {"models": STORES}}}
    plan = StudyPlan.from_mapping(two)
    with pytest.raises(ValueError, match="parts p, q: say which"):
        plan.part()
    assert plan.part("q").name == "q"


def test_fewer_samples():
    plan = StudyPlan.from_mapping(body(data="qm9", n=100))
    assert plan.with_n(20).part().n == 20
    assert plan.with_n(500).part().n == 100


def test_yaml_and_json_files(tmp_path):
    pytest.importorskip("yaml")
    (tmp_path / "s.yaml").write_text("title: T\nparts: {p: {models: [{store: x}, {store: y}]}}\n")
    assert [m.name for m in read_plan(tmp_path / "s.yaml").part().models] == ["x", "y"]
    (tmp_path / "s.json").write_text(json.dumps(body()))
    assert read_plan(tmp_path / "s.json").title == "T"
    for content, message in [("- a", "must hold a mapping"), ("a: [", "is not YAML")]:
        (tmp_path / "bad.yaml").write_text(content)
        with pytest.raises(ValueError, match=message):
            read_plan(tmp_path / "bad.yaml")
    with pytest.raises(ValueError, match="cannot read the study"):
        read_plan(tmp_path / "none.yaml")


def test_yaml_cannot_make_objects(tmp_path):
    pytest.importorskip("yaml")
    (tmp_path / "s.yaml").write_text("title: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ValueError, match="is not YAML"):
        read_plan(tmp_path / "s.yaml")
