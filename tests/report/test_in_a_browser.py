"""The page in a real browser, where there is one."""

import dataclasses
import re

import pytest

from consilience.report import write_report
from consilience.report.page import render
from consilience.study.score_matrix import ScoreMatrix, Scores
from report.browser import PATH, Browser

for package in ("jinja2", "plotly"):
    pytest.importorskip(package, reason=f"the page is made with {package}")

pytestmark = pytest.mark.skipif(PATH is None, reason="needs chromium on the PATH")

DRAWN = """[...document.querySelectorAll(".part:not(.away) .exhibit, .part:not(.away) .matrix")]
    .map((one) => [one.id, one.querySelectorAll(".main-svg").length > 0])"""
READY = "document.documentElement.dataset.state === 'ready'"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PART = "document.querySelector('.part:not(.away)')"
HEAT = f"{PART}.querySelector('[data-role=heat]')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def large_page(large, tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(render(large), encoding="utf-8")
    return path


@pytest.fixture
def page(matrix, models, tmp_path):
    return write_report(matrix, tmp_path / "r.html", title="t", models=models)


def quiet(browser):
    return (browser.complaints(), browser.requests()) == ([], [])


def choose(browser, selector, value):
    """Set a select or a radio of the part in sight as a reader would."""
    browser.ask(
        f"""(() => {{
            const one = {PART}.querySelector({selector!r});
            if (one.type === "radio") one.click();
            else {{ one.value = {value!r}; one.dispatchEvent(new Event("change")); }}
        }})()"""
    )
    browser.wait(READY)


def test_every_part_is_drawn_without_a_complaint_or_a_request(browser, large_page, large):
    browser.open(large_page)
    for place in range(3):
        browser.ask(f"document.getElementById('part-{place}-tab').click()")
        browser.wait(READY)
        drawn = dict(browser.ask(DRAWN))
        analyses = large.parts[place].analyses
        assert len(drawn) >= 10
        assert (f"part-{place}-convergence" in drawn) == ("convergence" in analyses)
        assert all(drawn.values()), drawn
    assert browser.ask("document.querySelectorAll('#across .main-svg').length") > 0
    assert quiet(browser), browser.complaints() + browser.requests()


def test_the_metric_switch_changes_the_heat_map_and_its_words(browser, page):
    browser.open(page)
    seen = {}
    for label in browser.ask("[...document.querySelectorAll('.pills input')].map((o) => o.value)"):
        choose(browser, f'input[value="{label}"]', label)
        assert browser.ask(f"{HEAT}.dataset.metric") == label
        title = browser.ask(f"{PART}.querySelector('[data-role=card] h4').textContent")
        seen[label] = (browser.ask(f"{HEAT}.data[0].z[0][1]"), title)
    assert len(seen) == 5
    # the shared order is Gamma, Alpha, Beta, Noise; this is the cell of Gamma and Alpha
    assert seen["cknna"] == (0.4, "CKNNA")
    assert seen["distance_correlation"] == (0.7, "Distance correlation")
    assert seen["information_imbalance[k=50]"][0] == 0.8
    assert quiet(browser)


def test_the_matrix_shows_z_and_is_ordered_as_asked(browser, page):
    browser.open(page)
    choose(browser, "[data-role=show]", "z")
    assert browser.ask(f"{HEAT}.data[0].z[0][1]") == pytest.approx(35.0)
    choose(browser, "[data-role=order]", "given")
    assert browser.ask(f"{HEAT}.layout.yaxis.ticktext") == ["Alpha", "Beta", "Gamma", "Noise"]
    assert browser.ask(f"{HEAT}.data[0].z[0][1]") == pytest.approx(75.0)
    choose(browser, "[data-role=order]", "mean")
    assert browser.ask(f"{HEAT}.layout.yaxis.ticktext[3]") == "Noise"
    disabled = f"[...{PART}.querySelector('[data-role=show]').options].map((o) => o.disabled)"
    assert browser.ask(disabled) == [False, False, True, True]


def test_a_cell_opens_its_pair_by_mouse_and_by_keyboard(browser, page):
    pair = "['pair-a', 'pair-b'].map((one) => document.querySelector(`[data-role=${one}]`).value)"
    browser.open(page)
    assert browser.ask(pair) == ["0", "1"]
    browser.ask(f"{HEAT}.emit('plotly_click', {{points: [{{curveNumber: 0, x: 0, y: 3}}]}})")
    assert browser.ask(pair) == ["3", "2"]
    browser.ask(f"{HEAT}.focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        browser.press(key)
    # from the cell (0, 1) down and right: row 1, column 2, that is Alpha and Beta
    assert browser.ask("document.querySelector('[data-role=cursor]').textContent").startswith(
        "Alpha and Beta · 0.80 · 95 % interval 0.78 to 0.82"
    )
    browser.press("Enter", text="\r")
    assert browser.ask(pair) == ["0", "1"]
    assert browser.ask("document.activeElement.id") == "part-0-pair-head"
    tiles = browser.ask("document.querySelector('[data-role=pair-numbers]').textContent")
    assert "A → B 0.20" in tiles


def test_the_list_of_pairs_sorts_both_ways_and_filters(browser, page):
    browser.open(page)
    browser.ask("document.querySelector('.pair details').open = true")
    browser.wait("document.querySelector('.pairs').tBodies[0]?.rows.length === 6")
    scores = (
        "[...document.querySelector('.pairs').tBodies[0].rows].map((r) => +r.cells[2].dataset.v)"
    )
    down = browser.ask(scores)
    browser.ask("document.querySelector('.pairs').tHead.rows[0].cells[2].firstChild.click()")
    up = browser.ask(scores)
    assert down == sorted(down, reverse=True)
    assert up == sorted(up)
    assert down != up
    browser.ask(
        """(() => {
            const box = document.querySelector("[data-role=filter]");
            box.value = "noi"; box.dispatchEvent(new Event("input"));
        })()"""
    )
    assert browser.ask("document.querySelector('[data-role=shown]').textContent") == "3 of 6"


def test_the_models_table_sorts(browser, large_page):
    browser.open(large_page)
    cells = "[...document.querySelector('#models tbody').rows].map((r) => r.cells[8].dataset.v)"
    assert browser.ask("document.querySelector('#models thead').rows[0].cells[8].textContent") == (
        "parameters"
    )
    browser.ask("document.querySelector('#models thead').rows[0].cells[8].firstChild.click()")
    found = [float(one) for one in browser.ask(cells) if one]
    assert found == sorted(found, reverse=True)
    assert browser.ask(cells)[-1] == ""  # unknown goes last


def test_tabs_walk_with_the_arrow_keys_and_links_open_their_part(browser, large_page):
    browser.open(large_page)
    browser.ask("document.getElementById('part-0-tab').focus()")
    browser.press("ArrowRight")
    browser.wait(READY)
    assert browser.ask("document.activeElement.id") == "part-1-tab"
    assert browser.ask(f"{PART}.id") == "part-1"
    browser.ask("location.hash = '#part-2-tree'")
    browser.wait(f"{PART}.id === 'part-2'")
    browser.wait(READY)
    assert dict(browser.ask(DRAWN))["part-2-tree"] is True


def test_every_switch_of_every_figure_draws(browser, large_page):
    browser.open(large_page)
    chosen = browser.ask(
        """(() => {
            let count = 0;
            for (const section of document.querySelectorAll(".part:not(.away) .exhibit")) {
              const tried = new Set();
              for (let again = true; again; ) {
                again = false;
                for (const select of section.querySelectorAll("select")) {
                  for (const option of select.options) {
                    const key = select.dataset.choice + "/" + option.value;
                    if (tried.has(key)) continue;
                    tried.add(key);
                    select.value = option.value;
                    select.dispatchEvent(new Event("change"));
                    count += 1;
                    again = true;
                    break;
                  }
                  if (again) break;
                }
              }
            }
            return count;
        })()"""
    )
    assert chosen > 40
    assert quiet(browser), browser.complaints()


def test_downloads_are_made_inside_the_page(browser, page):
    browser.open(page)
    browser.ask(
        """(() => {
            window.saved = {};
            HTMLAnchorElement.prototype.click = function () {
              const name = this.download;
              fetchBlob(this.href).then((text) => { window.saved[name] = text; });
            };
            const blobs = new Map();
            const make = URL.createObjectURL.bind(URL);
            URL.createObjectURL = (blob) => {
              const address = make(blob);
              blobs.set(address, blob);
              return address;
            };
            window.fetchBlob = (address) => blobs.get(address).text();
            for (const kind of ["svg", "png", "csv"])
              document.querySelector(`.matrix [data-file=${kind}]`).click();
        })()"""
    )
    browser.wait("Object.keys(window.saved).length === 3")
    saved = browser.ask("window.saved")
    assert saved["study-matrix-cknna.svg"].startswith("<svg")
    assert "PNG" in saved["study-matrix-cknna.png"][:8]
    head, first, *_ = saved["study-matrix-cknna.csv"].splitlines()
    assert head == "model_a,model_b,score,low,high,null_mean,null_std,z"
    assert first == "Alpha,Beta,0.8,0.7804,0.8196,0.05,0.01,75"
    assert quiet(browser)


@pytest.mark.parametrize("width", [360, 390, 768])
def test_a_narrow_page_never_scrolls_sideways(browser, large_page, width):
    browser.open(large_page, width=width, height=800)
    for place in range(3):
        browser.ask(f"document.getElementById('part-{place}-tab').click()")
        browser.wait(READY)
        assert browser.ask(OVERFLOW) <= 0
    assert quiet(browser)


def test_dark_mode_redraws_the_figures(browser, page):
    ink = f"{HEAT}.layout.font.color"
    browser.open(page, dark=True)
    assert browser.ask(ink) == "#e7e9ee"
    browser.media(dark=False)
    browser.wait(f"{ink} === '#1b2230'")
    assert quiet(browser)


def test_print_shows_every_part(browser, large_page, tmp_path):
    browser.open(large_page)
    document = browser.pdf()
    assert document.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", document)) > 15
    # every part was drawn for the paper, and the page is on the screen again
    browser.wait(READY)
    assert browser.ask(
        "[...document.querySelectorAll('.part .exhibit')].every((one) => one.dataset.drawn)"
    )
    assert browser.ask(f"{PART}.id") == "part-0"
    assert quiet(browser)


HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 2">',
    "<b>bold</b><a href='https://example.org'>%{x}</a>",
    "\u2028\u2029'\"`",
)


def hostile(large):
    """The smallest part with names, families and layers that try to be markup."""

    def rename(value):
        if isinstance(value, dict):
            return {key: rename(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [rename(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    part = large.parts[2]
    names = dict(zip(part.matrix.names, HOSTILE, strict=False))
    matrix = dataclasses.replace(part.matrix, names=tuple(rename(list(part.matrix.names))))
    models = tuple(
        {**rename(dict(one)), "family": HOSTILE[1], "modality": HOSTILE[0]} for one in part.models
    )
    renamed = dataclasses.replace(
        part, title=HOSTILE[1], matrix=matrix, models=models, analyses=rename(part.analyses)
    )
    return dataclasses.replace(large, title=HOSTILE[0], parts=(renamed, large.parts[1]))


def test_hostile_names_run_nothing(browser, large, tmp_path):
    path = tmp_path / "r.html"
    path.write_text(render(hostile(large)), encoding="utf-8")
    browser.open(path)
    assert all(dict(browser.ask(DRAWN)).values())
    assert browser.ask("[window.hacked || 0, document.images.length]") == [0, 0]
    assert browser.ask("document.querySelectorAll('a[href^=http]').length") == 0
    assert quiet(browser), browser.complaints()


@pytest.mark.parametrize("labels", [[], ["cknna"], ["twonn"], ["information_imbalance[k=50]"]])
def test_a_study_of_any_metrics_runs(browser, matrix, tmp_path, labels):
    scores = {label: matrix.scores[label] for label in labels}
    part = ScoreMatrix(matrix.names, 10, matrix.dims, scores)
    browser.open(write_report(part, tmp_path / "r.html", title="t"))
    assert quiet(browser), browser.complaints()


@pytest.mark.parametrize("n_models", [1, 2])
def test_one_or_two_models_run(browser, tmp_path, n_models):
    names, widths = tuple("AB")[:n_models], (4, 4)[:n_models]
    scores = {
        "cka": Scores("cka", "cka", "pair", {}, (0, 1), True, [[1.0] * n_models] * n_models),
        "twonn": Scores("twonn", "twonn", "single", {}, (0, 9), True, [2.0] * n_models),
    }
    matrix = ScoreMatrix(names, 9, widths, scores)
    browser.open(write_report(matrix, tmp_path / "r.html", title="t"))
    assert quiet(browser), browser.complaints()
