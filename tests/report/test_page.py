import base64
import dataclasses
import gzip
import hashlib
import html
import json
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from consilience.report import write_report
from consilience.report.text import bound_text, counted, dimension, number, plain
from consilience.study.score_matrix import ScoreMatrix, Scores

EVIL = (
    "</script><script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 2">',
    "<b>bold</b> & %{x} {{ 7 * 7 }}",
    "plain' \u2028 \\u003c",
)
SCRIPT = re.compile(r"<script(?: [^>]*)?>(.*?)</script>", re.S)

for package in ("jinja2", "plotly"):
    pytest.importorskip(package, reason=f"the page is made with {package}")


def body_of(page):
    """Drop the packed library, which is no text."""
    found = re.search(r'<script type="text/plain" id="plotly">([A-Za-z0-9+/=]+)</script>', page)
    return page.replace(found[1], "")


@pytest.fixture
def page(matrix, models, tmp_path):
    runs = [{"model": "Alpha", "seconds": 1.25, "cached": True}, {"model": "Beta"}]
    path = write_report(
        matrix,
        tmp_path / "report.html",
        title="Four models & a title",
        models=models,
        runs=runs,
        notes=["A note <b>in</b> words."],
    )
    return path.read_text(encoding="utf-8")


def payload_of(page):
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', page)
    return json.loads(found[1])["parts"][0]


def test_every_model_metric_and_finding_is_on_the_page(page, matrix):
    body = body_of(page)
    for name in matrix.names:
        assert body.count(f'<th scope="row" data-v="{name}">{name}') == 1
    for label in matrix.metrics:
        assert f"<code>{label}</code>" in body
    assert "<strong>Alpha and Beta are the most alike.</strong>" in body
    assert "<h1>Four models &amp; a title</h1>" in body
    assert "1,234" in body


def test_the_switch_offers_every_metric_of_pairs(page, matrix):
    offered = re.findall(r'name="part-0-metric" value="([^"]+)"', page)
    pairs = [s.label for s in matrix.scores.values() if s.kind == "pair"]
    directed = [s.label for s in matrix.scores.values() if s.kind == "directed"]
    assert offered == pairs + directed


def test_one_metric_at_many_settings_takes_one_place_in_the_switch(matrix, tmp_path):
    scores = dict(matrix.scores)
    for k in (2, 5, 10):
        label = f"cknna[k={k}]"
        scores[label] = dataclasses.replace(scores["cknna"], label=label, settings={"k": k})
    part = dataclasses.replace(matrix, scores=scores)
    page = write_report(part, tmp_path / "r.html", title="t").read_text(encoding="utf-8")
    assert len(re.findall(r'name="part-0-metric"', page)) == 5
    variants = re.search(r'data-role="variant">(.*?)</select>', page, re.S)[1]
    assert re.findall(r'value="([^"]+)"', variants) == ["cknna[k=2]", "cknna[k=5]", "cknna[k=10]"]
    assert page.count("<h4>CKNNA</h4>") == 1


def test_models_runs_facts_and_notes_are_on_the_page(page):
    body = body_of(page)
    for text in ("412,525", "10,000,000", "language", "MIT", "native", "1.25", "yes"):
        assert f">{text}</" in body
    assert "A note &lt;b&gt;in&lt;/b&gt; words." in body
    assert 'class="num" data-v="">–</td>' in body  # Gamma's unknown parameter count
    assert 'Noise <span class="badge">baseline</span>' in body


def test_nothing_is_loaded_from_elsewhere(page):
    body = body_of(page)
    assert re.findall(r"https?://", body) == []
    assert re.findall(r"@import|\bfetch\(|XMLHttpRequest|\burl\(", body) == []
    links = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"'> ]*)", body)
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)


def test_the_policy_runs_the_page_s_own_scripts_alone(page):
    from plotly.offline import get_plotlyjs

    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])
    assert "default-src 'none'" in policy
    scripts = policy.split("script-src ")[1].split(";")[0]
    assert "unsafe" not in scripts
    own = SCRIPT.findall(page)[-1]
    packed = re.search(r'id="plotly">([^<]+)<', page)[1]
    library = gzip.decompress(base64.b64decode(packed)).decode()
    assert library == get_plotlyjs().replace("\r\n", "\n")
    digests = [base64.b64encode(hashlib.sha256(x.encode()).digest()) for x in (own, library)]
    assert scripts.split() == [f"'sha256-{one.decode()}'" for one in digests]


def test_the_page_is_little_more_than_plotly(page):
    assert len(body_of(page).encode()) < 150_000
    assert len(page.encode()) < 2_300_000


def test_hostile_names_stay_text(make_matrix, tmp_path):
    models = [{"name": name, "note": name, name: name} for name in EVIL]
    page = write_report(
        make_matrix(EVIL),
        tmp_path / "r.html",
        title=EVIL[0],
        models=models,
        runs=[{EVIL[1]: EVIL[0]}],
        notes=EVIL,
    ).read_text(encoding="utf-8")
    body = body_of(page)
    assert body.count("<script") == body.count("</script>") == 3
    assert "<img" not in body
    assert "<b>bold" not in body
    assert "{{ 7 * 7 }}" in body  # a name is never a template
    assert payload_of(page)["names"] == list(EVIL)


def test_the_figures_get_the_numbers_of_the_matrix(page, matrix):
    data = payload_of(page)
    assert data["headline"] == "cknna"
    assert data["baseline"] == [False, False, False, True]
    metrics = {metric["label"]: metric for metric in data["metrics"]}
    assert list(metrics) == [s.label for s in matrix.scores.values() if s.kind != "single"]
    # the upper half, row by row
    assert metrics["cknna"]["values"] == [0.8, 0.4, 0.05, 0.3, 0.06, 0.04]
    assert metrics["cknna"]["nullMean"] == [0.05] * 6
    assert metrics["cknna"]["z"][0] == pytest.approx(75.0)
    assert metrics["cknna"]["chanceLevel"] == 0.05
    assert metrics["cknna"]["q"] is None
    assert metrics["id_correlation"]["p"] == [0.01] * 6
    # both halves without the diagonal, where the two directions differ
    directed = metrics["information_imbalance[k=50]"]
    assert directed["values"] == [0.2, 0.3, 1, 0.2, 0.5, 1, 0.8, 0.6, 1, 0.9, 0.9, 0.9]
    assert directed["lower"] is True
    assert metrics["cknna"]["order"][-1] == 3


def test_the_figures_keep_the_order_of_their_columns(page):
    exhibits = {one["key"]: one for one in payload_of(page)["exhibits"]}
    table = exhibits["direction"]["figures"][0]["table"]
    assert list(table)[:4] == ["model_a", "model_b", "a_to_b", "b_to_a"]
    assert table["a_to_b"][1] == 0.3
    assert table["b_to_a"][1] == 0.8


def test_settings_and_chance_are_said_with_the_methods(page):
    assert "<dd>k = 25 · variant = paper</dd>" in page
    assert "<dd>0.050 over all pairs, standard deviation up to 0.010</dd>" in page
    assert "<dd>−∞ to 1</dd>" in page


def test_a_model_that_only_the_facts_know_is_listed(matrix, tmp_path):
    models = [{"name": "Failed", "status": "package missing"}]
    page = write_report(matrix, tmp_path / "r.html", title="t", models=models)
    assert "package missing" in page.read_text(encoding="utf-8")


def test_facts_without_a_name_are_refused(matrix, tmp_path):
    with pytest.raises(ValueError, match=r"`models\[0\]` has no \"name\""):
        write_report(matrix, tmp_path / "r.html", title="t", models=[{"modality": "3D"}])


@pytest.mark.parametrize("labels", [[], ["cknna"], ["twonn"], ["information_imbalance[k=50]"]])
def test_a_study_of_any_parts_has_a_page(matrix, tmp_path, labels):
    scores = {label: matrix.scores[label] for label in labels}
    part = ScoreMatrix(matrix.names, 10, matrix.dims, scores)
    page = write_report(part, tmp_path / "r.html", title="t").read_text(encoding="utf-8")
    assert ('data-role="heat"' in page) == bool(labels and labels != ["twonn"])
    assert ('id="part-0-dimensions"' in page) == (labels == ["twonn"])


def test_one_model_alone_has_a_page(tmp_path):
    scores = {
        "cknna": Scores("cknna", "cknna", "pair", {}, (0, 1), True, [[1.0]]),
        "twonn": Scores("twonn", "twonn", "single", {}, (0, 9), True, [2.0]),
    }
    path = write_report(ScoreMatrix(("A",), 9, (2,), scores), tmp_path / "r.html", title="t")
    assert 'id="part-0-dimensions"' in path.read_text(encoding="utf-8")


def test_an_unlisted_metric_speaks_through_its_summary(tmp_path, monkeypatch):
    registry = types.ModuleType("consilience.metrics")
    registry.METRICS = {"new_one": types.SimpleNamespace(summary="Says <something> new.")}
    monkeypatch.setitem(sys.modules, "consilience.metrics", registry)
    scores = Scores("new_one[k=3]", "new_one", "pair", {"k": 3}, (0, 1), True, [[1, 0], [0, 1]])
    matrix = ScoreMatrix(("A", "B"), 9, (2, 2), {scores.label: scores})
    page = write_report(matrix, tmp_path / "r.html", title="t").read_text(encoding="utf-8")
    assert "<h4>new one</h4>" in page
    assert "<p>Says &lt;something&gt; new.</p>" in page


def test_importing_the_report_loads_nothing_heavy():
    heavy = ("plotly", "jinja2", "pandas", "matplotlib")
    code = f"import sys, consilience.report; print([m for m in {heavy!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["jinja2", "plotly.offline"])
def test_a_missing_package_is_named_with_the_remedy(matrix, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'consilience\[report\]'"):
        write_report(matrix, tmp_path / "r.html", title="t")
    assert list(tmp_path.iterdir()) == []


def test_a_null_without_a_spread_offers_no_z(matrix, tmp_path):
    own = np.eye(4, dtype=bool)
    scores = dataclasses.replace(
        matrix.scores["cknna"],
        null_std=np.full((4, 4), np.nan),
        null_mean=np.where(own, np.nan, 0.05),
    )
    part = dataclasses.replace(matrix, scores={"cknna": scores})
    page = write_report(part, tmp_path / "r.html", title="t").read_text(encoding="utf-8")
    metric = payload_of(page)["metrics"][0]
    assert metric["z"] is None
    assert metric["nullStd"] is None
    assert metric["chanceLevel"] == 0.05
    assert "<dd>0.050 over all pairs</dd>" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.7314, "0.73"),
        (0.0496, "0.050"),
        (-0.0004, "0.000"),
        (-0.25, "−0.25"),
        (12.34, "12.3"),
        (12345.6, "12,346"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_scores_are_rounded_for_reading(value, text):
    assert number(value) == text


def test_other_values_are_put_in_words():
    assert counted(1, "model") == "1 model"
    assert counted(2500, "sample") == "2,500 samples"
    assert dimension(4.26) == "4.3"
    assert (bound_text(-1.0), bound_text(float("inf"))) == ("−1", "∞")
    assert plain({"k": [1, 2], "on": True, "x": None}) == "k 1, 2, on yes, x –"
