"""The page in a real browser, where there is one."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from consilience.report import write_report
from consilience.study.score_matrix import ScoreMatrix, Scores

for name in ("jinja2", "plotly"):
    pytest.importorskip(name, reason=f"the page is made with {name}")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=6000",
    "--dump-dom",
]

PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")


def browse(path, profile):
    """Return what the probe saw and the browser's console lines."""
    page = path.read_text(encoding="utf-8")
    path.write_text(
        page.replace("</body>\n</html>", f"<script>{PROBE}</script>\n</body></html>"),
        encoding="utf-8",
    )
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", path.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    console = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    found = re.search(r'<pre id="probe">(.*?)</pre>', ran.stdout, re.S)
    assert found, console or ran.stderr[-2000:]
    return json.loads(html.unescape(found[1])), console


def test_the_page_runs_without_a_complaint_and_loads_nothing(matrix, models, tmp_path):
    path = write_report(matrix, tmp_path / "r.html", title="t", models=models)
    probe, console = browse(path, tmp_path / "profile")
    assert console == []
    assert probe["loaded"] == []
    assert probe["plots"] >= 3
    assert {title.split(" as ")[0] for title in probe["buttons"]} <= {"Download plot"}


def test_the_metric_switch_changes_the_heat_map_and_its_words(matrix, models, tmp_path):
    path = write_report(matrix, tmp_path / "r.html", title="t", models=models)
    seen = browse(path, tmp_path / "profile")[0]["seen"]
    assert [asked for asked, *_ in seen] == [shown for _, shown, *_ in seen]
    assert len(seen) == 5
    numbers = {shown: value for _, shown, value, _ in seen}
    # the shared order is Gamma, Alpha, Beta, Noise; this is the cell of Gamma and Alpha
    assert numbers["cknna"] == 0.4
    assert numbers["distance_correlation"] == 0.7
    assert numbers["information_imbalance[k=50]"] == 0.8
    assert seen[0][3] == "CKNNA"
    assert len({title for *_, title in seen}) == 5


def test_the_table_sorts_both_ways(matrix, tmp_path):
    path = write_report(matrix, tmp_path / "r.html", title="t")
    down, up = browse(path, tmp_path / "profile")[0]["sorted"]
    assert down == sorted(down, reverse=True)
    assert up == sorted(up)
    assert down != up


def test_hostile_names_run_nothing(make_matrix, tmp_path):
    names = (
        "</script><script>window.hacked = 1</script>",
        '<img src=x onerror="window.hacked = 2">',
        "<b>bold</b><a href='https://example.org'>%{x}</a>",
        "\u2028\u2029'\"`",
    )
    path = write_report(make_matrix(names), tmp_path / "r.html", title=names[0])
    probe, console = browse(path, tmp_path / "profile")
    assert (probe["hacked"], probe["images"], probe["loaded"], console) == (0, 0, [], [])


@pytest.mark.parametrize("labels", [[], ["cknna"], ["twonn"], ["information_imbalance[k=50]"]])
def test_a_study_of_any_parts_runs(matrix, tmp_path, labels):
    scores = {label: matrix.scores[label] for label in labels}
    part = ScoreMatrix(matrix.names, 10, matrix.dims, scores)
    path = write_report(part, tmp_path / "r.html", title="t")
    assert browse(path, tmp_path / "profile")[1] == []


@pytest.mark.parametrize("n_models", [1, 2])
def test_one_or_two_models_run(tmp_path, n_models):
    names, widths = tuple("AB")[:n_models], (4, 4)[:n_models]
    scores = {
        "cka": Scores("cka", "cka", "pair", {}, (0, 1), True, [[1.0] * n_models] * n_models),
        "twonn": Scores("twonn", "twonn", "single", {}, (0, 9), True, [2.0] * n_models),
    }
    path = write_report(ScoreMatrix(names, 9, widths, scores), tmp_path / "r.html", title="t")
    assert browse(path, tmp_path / "profile")[1] == []
