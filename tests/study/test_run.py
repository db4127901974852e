"""A study is run once, goes on where it was, and computes one row for a new model."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from consilience import store
from consilience.cli import main
from consilience.study import run as run_module
from consilience.study.jobs import Job, run_jobs
from consilience.study.plan import ModelPlan, StudyPlan
from consilience.study.result import Part, StudyResult
from consilience.study.run import run_study
from consilience.study.study import Study

N = 60


def make_store(folder, name, seed, *, n=N, ids=None, outputs=None):
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal((n, 4))
    rows = np.concatenate([shared, rng.standard_normal((n, 6))], axis=1).astype(np.float32)
    ids = ids or [f"s{i}" for i in range(n)]
    batch = (ids, rows, outputs) if outputs else (ids, rows)
    store.write(folder / name, [batch], model=name, dataset={"name": "d"}, overwrite=True)
    return {"name": name, "store": str(folder / name), "facts": facts(seed)}


def facts(seed):
    return {
        "modality": "string" if seed % 2 else "graph",
        "family": f"family {seed % 3}",
        "architecture": f"net {seed % 2}",
        "embedding": "vanilla",
        "training_data": f"data {seed % 3}",
        "parameters": 1000 * (seed + 1),
    }


def plan_of(models, **more):
    part = {
        "models": models,
        "metrics": ["cknna", "distance_correlation", {"information_imbalance": {"k": 10}}],
        "performance": {"label": "score", "values": {m["name"]: i for i, m in enumerate(models)}},
        "ks": [2, 5, 10],
        "map_samples": 20,
        "analyses": [
            "condensed",
            "convergence",
            "plane",
            "partition",
            "locality",
            "dimension",
            "tree",
            "recommendation",
        ],
        **more,
    }
    return StudyPlan.from_mapping({"title": "A study", "parts": {"p": part}})


@pytest.fixture
def models(tmp_path):
    return [make_store(tmp_path / "stores", f"m{i}", i) for i in range(6)]


def run(plan, folder, say=None):
    said = []
    result = run_study(plan, folder, report=False, say=said.append)
    return result, said


def test_a_study_holds_scores_and_every_analysis(models, tmp_path):
    result, _ = run(plan_of(models), tmp_path / "study")
    part = result.part("p")
    assert part.matrix.names == tuple(f"m{i}" for i in range(6))
    assert set(part.analyses) == {
        "condensed",
        "convergence",
        "plane",
        "partition",
        "locality",
        "dimension",
        "tree",
        "recommendation",
    }
    again = StudyResult.load(tmp_path / "study")
    assert again.part("p").analyses == json.loads(json.dumps(part.analyses))
    for label in part.matrix.metrics:
        np.testing.assert_array_equal(again.part().matrix[label], part.matrix[label])


def test_a_study_compares_on_the_device_asked_for(models, tmp_path, monkeypatch):
    from consilience.study import analyze, run
    from consilience.study.compare import compare

    asked = []

    def recorded(*arguments, device, **options):
        asked.append(device)
        return compare(*arguments, **options)

    for module in (run, analyze):
        monkeypatch.setattr(module, "compare", recorded)
    monkeypatch.setattr(run, "check_device", asked.append)
    run_study(plan_of(models), tmp_path / "study", report=False, device="cuda")
    assert len(asked) >= 4  # the check, the scores, locality, dimension
    assert set(asked) == {"cuda"}


def test_a_gpu_that_is_not_there_is_missed_before_any_work(models, tmp_path, monkeypatch):
    for module in ("_native", "_cupy"):
        monkeypatch.setattr(f"consilience.backends.cuda.{module}.missing", lambda: "no GPU")
    for where in ("consilience.backends", "consilience.backends._placement"):
        monkeypatch.setattr(f"{where}.torch_missing", lambda: "no GPU")
    with pytest.raises(TypeError, match="cannot be had here"):
        run_study(plan_of(models), tmp_path / "study", device="cuda")
    assert not (tmp_path / "study").exists()


def test_a_study_of_some_rows_says_so_and_is_another_study(models, tmp_path):
    result, _ = run(plan_of(models, rows=N // 2), tmp_path / "study")
    part = result.part("p")
    assert f"cknna is exact, of {N // 2} of {N} rows (seed 0)." in part.notes
    assert f"distance_correlation is exact, of {N // 2} of {N} rows (seed 0)." in part.notes
    assert part.matrix.scores["cknna"].settings["rows"] == N // 2
    whole, _ = run(plan_of(models), tmp_path / "study")
    assert "rows" not in whole.part("p").matrix.scores["cknna"].settings
    assert not any("is exact" in note for note in whole.part("p").notes)


def test_running_again_does_nothing(models, tmp_path, monkeypatch):
    plan = plan_of(models)
    run(plan, tmp_path / "study")
    monkeypatch.setattr(run_module, "compare", None)
    monkeypatch.setattr(run_module, "analyze", None)
    _, said = run(plan, tmp_path / "study")
    assert said == ["nothing to do: the study is finished"]


def test_a_new_model_costs_one_row(models, tmp_path, monkeypatch):
    first, _ = run(plan_of(models[:-1]), tmp_path / "study")
    asked = []
    compare = run_module.compare

    def watched(arrays, *args, previous=None, **more):
        asked.append((tuple(arrays), previous.names if previous else None))
        return compare(arrays, *args, previous=previous, **more)

    monkeypatch.setattr(run_module, "compare", watched)
    second, _ = run(plan_of(models), tmp_path / "study")
    names = tuple(m["name"] for m in models)
    assert asked == [(names, names[:-1])]
    fresh, _ = run(plan_of(models), tmp_path / "fresh")
    for label in second.part().matrix.metrics:
        np.testing.assert_allclose(
            second.part().matrix[label], fresh.part().matrix[label], rtol=1e-12
        )
        np.testing.assert_array_equal(
            second.part().matrix.subset(names[:-1])[label], first.part().matrix[label]
        )


def test_changed_embeddings_are_compared_anew(models, tmp_path):
    plan = plan_of(models)
    old, _ = run(plan, tmp_path / "study")
    make_store(tmp_path / "stores", "m2", 17)
    new, _ = run(plan, tmp_path / "study")
    fresh, _ = run(plan, tmp_path / "fresh")
    for label in new.part().matrix.metrics:
        np.testing.assert_allclose(new.part().matrix[label], fresh.part().matrix[label], rtol=1e-12)
    changed = old.part().matrix["cknna"] != new.part().matrix["cknna"]
    assert changed[2].sum() == changed[:, 2].sum() == 5
    assert np.delete(np.delete(changed, 2, 0), 2, 1).sum() == 0


def test_an_interrupted_study_keeps_its_finished_parts(models, tmp_path, monkeypatch):
    body = plan_of(models).to_json()
    body["parts"]["q"] = dict(body["parts"]["p"], seed=1)
    plan = StudyPlan.from_mapping(body)
    analyze = run_module.analyze

    def interrupted(context, say):
        if context.plan.name == "q":
            raise KeyboardInterrupt
        return analyze(context, say)

    monkeypatch.setattr(run_module, "analyze", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "study")
    counted = []

    def counting(context, say):
        counted.append(context.plan.name)
        return analyze(context, say)

    monkeypatch.setattr(run_module, "analyze", counting)
    run(plan, tmp_path / "study")
    assert counted == ["q"]


def test_a_part_with_a_foreign_matrix_is_made_again(models, tmp_path):
    plan = plan_of(models)
    run(plan, tmp_path / "study")
    other, _ = run(plan_of(models[:4]), tmp_path / "other")
    other.part().matrix.save(tmp_path / "study" / "p.matrix.json")
    with pytest.raises(ValueError, match="not the one that belongs to it"):
        Part.load(tmp_path / "study", "p")
    again, said = run(plan, tmp_path / "study")
    assert again.part().matrix.names == tuple(m["name"] for m in models)
    assert any("comparing 6 models" in line for line in said)


def test_samples_that_a_model_lacks_are_said(models, tmp_path):
    short = make_store(tmp_path / "stores", "short", 7, n=N - 5)
    result, _ = run(plan_of([*models, short]), tmp_path / "study")
    part = result.part()
    assert part.matrix.n_samples == N - 5
    assert "55 of 60 samples are common to all models; not embedded: short (5)." in part.notes


def test_too_few_models_is_one_sentence(models, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "missing", lambda entry: None)
    monkeypatch.setattr(
        "consilience.study.embeddings.available", lambda model: f"{model.name} needs a thing"
    )
    body = {"title": "", "parts": {"p": {"data": "qm9", "models": ["rxnmapper", models[0]]}}}
    with pytest.raises(ValueError, match="p needs two models, 1 ran: rxnmapper needs a thing"):
        run(StudyPlan.from_mapping(body), tmp_path / "study")


def test_regimes_compare_the_same_models_in_two_parts(models, tmp_path):
    outside = [make_store(tmp_path / "out", f"m{i}", i + 20) for i in range(6)]
    body = plan_of(models).to_json()
    body["parts"]["far"] = dict(body["parts"]["p"], models=outside)
    body["regimes"] = [["p", "far"]]
    result, _ = run(StudyPlan.from_mapping(body), tmp_path / "study")
    labels = [r["label"] for r in result.analyses["regimes"]]
    assert labels == ["cknna", "distance_correlation", "information_imbalance"]
    assert result.analyses["regimes"][0]["inside_name"] == "p"


# ---- notebook and command line -----------------------------------------------------------


def test_the_notebook_object(models, tmp_path):
    pytest.importorskip("plotly")
    study = Study.run(plan_of(models).to_json(), tmp_path / "study", say=lambda line: None)
    assert study.matrix("cknna").shape == (6, 6)
    frame = study.to_dataframe()
    assert set(frame["part"]) == {"p"}
    assert len(frame) == 15 + 15 + 30
    assert study.plot_matrix("cknna").data[0].z.shape == (6, 6)
    assert study.plot_tree().data
    assert "6 models, 60 samples" in repr(study)
    assert (tmp_path / "study" / "report.html").is_file()
    more = make_store(tmp_path / "stores", "new", 11)
    added = study.add(ModelPlan(**more), say=lambda line: None)
    assert added.scores().names[-1] == "new"
    with pytest.raises(KeyError, match="only p"):
        study.part("q")


def test_the_command_line_runs_and_shows_a_study(models, tmp_path):
    pytest.importorskip("plotly")
    (tmp_path / "plan.json").write_text(json.dumps(plan_of(models).to_json()))
    ran = CliRunner().invoke(main, ["study", "run", str(tmp_path / "plan.json")])
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "plan" / "report.html").is_file()
    shown = CliRunner().invoke(main, ["study", "show", str(tmp_path / "plan")])
    assert "6 models, 60 samples" in shown.output
    assert "m0" in shown.output
    missing = CliRunner().invoke(main, ["study", "show", str(tmp_path)])
    assert missing.exit_code == 1
    assert "no study was finished there" in missing.output


# ---- jobs --------------------------------------------------------------------------------


def test_jobs_run_the_longest_first_and_a_failure_is_a_reason(tmp_path):
    jobs = [
        Job("short", ("metrics",), tmp_path / "short.log", cost=1),
        Job("wrong", ("embed", "--model", "randm", "--data", "qm9", "-o", "x"), tmp_path / "w", 9),
    ]
    ended = {}
    run_jobs(jobs, workers=1, ended=lambda job, reason: ended.setdefault(job.name, reason))
    assert list(ended) == ["wrong", "short"]
    assert "did you mean 'random'" in ended["wrong"]
    assert ended["short"] == ""


def test_no_child_outlives_a_terminated_parent(tmp_path):
    code = (
        "import sys; from pathlib import Path; from consilience.study.jobs import Job, run_jobs\n"
        "folder = Path(sys.argv[1])\n"
        "sleep = folder / 'python'\n"
        "sleep.write_text('#!/bin/sh\\necho $$ > ' + str(folder / 'pid') + '\\nexec sleep 60\\n')\n"
        "sleep.chmod(0o755)\n"
        "job = Job('j', ('x',), folder / 'log', python=str(sleep))\n"
        "run_jobs([job], workers=1, ended=lambda job, reason: None)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    pid = tmp_path / "pid"
    for _ in range(400):
        if pid.is_file() and pid.read_text().strip():
            break
        time.sleep(0.05)
    child = int(pid.read_text())
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(20) == 128 + signal.SIGTERM
    assert subprocess.run(["ps", "-p", str(child)], capture_output=True).returncode != 0
