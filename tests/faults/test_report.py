"""A report that was not finished is drawn by the next run, whatever page stands there."""

from __future__ import annotations

import json
import signal

import pytest

from consilience import report
from consilience.study.plan import read_plan
from consilience.study.run import run_study
from consilience.study.study import Study
from faults.cases import Case, studied


def test_a_page_of_an_earlier_result_is_drawn_again(cases, tmp_path, monkeypatch):
    drawn = []

    def write_study(result, folder):
        drawn.append(folder)
        path = folder / "report.html"
        path.write_text(str(result.provenance))
        return path

    def interrupted(result, folder):
        raise KeyboardInterrupt

    given = cases["study"].given
    fewer = smaller(given, tmp_path, analyses=[])
    for plan, draw in ((fewer, write_study), (given, interrupted), (given, write_study)):
        monkeypatch.setattr(report, "write_study", draw)
        if draw is interrupted:
            with pytest.raises(KeyboardInterrupt):
                run_study(read_plan(plan), tmp_path / "study")
        else:
            run_study(read_plan(plan), tmp_path / "study")
    assert len(drawn) == 2
    run_study(read_plan(given), tmp_path / "study")
    assert len(drawn) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_report_is_drawn_whole_after_an_interruption(cases, tmp_path, every, number):
    """Figures and tables come before the page: a run without a page draws all of them."""
    if not every:
        pytest.skip("a report takes seconds: `make faults` draws some")
    pytest.importorskip("plotly")
    plan = smaller(cases["study"].given, tmp_path, metrics=["cka"], analyses=["tree"])
    case = Case(cases["study"].engine, "study_report", plan, studied)
    case.undisturbed(tmp_path / "whole")
    for _ in case.hit(3, number, "report", tmp_path / "run"):
        case.check_resumes(tmp_path / "run")
        identity = Study(tmp_path / "run").result.provenance["answers"]
        assert identity in (tmp_path / "run" / "report.html").read_text()


def smaller(plan, folder, **how):
    """Write the first part of a plan alone, with less to do, and return the new plan."""
    body = json.loads(plan.read_text())
    body["parts"] = {"first": body["parts"]["first"] | how}
    written = folder / "smaller.json"
    written.write_text(json.dumps(body))
    return written
