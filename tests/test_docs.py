"""The documentation: its tables are those of the code, its examples run, its sources exist."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import consilience as cs
from consilience.datasets import DATASETS, Samples, load_samples
from consilience.inference.permutation import centered_moments, mantel_moments, u_centered_std
from consilience.metrics import METRICS, PRESETS
from consilience.models import MODELS
from consilience.models import embed as embed_samples
from consilience.terms import MantelTerms

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PROSE = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "README.md"]
SCRIPT = ROOT / "scripts" / "metric_tables.py"
KEY = r"[a-z]{3,}(?:19|20)\d\d[a-z]?"


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def load_module(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_there():
    assert {"theory.md", "metrics.md", "backends.md", "adding.md"} <= {p.name for p in PAGES}


# ---- generated tables --------------------------------------------------------------------


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setitem(sys.modules, "metric_tables", None)
    return load_module(SCRIPT, "metric_tables")


@pytest.fixture
def copy(tmp_path):
    """A place with the marked files as they are."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "metrics.md").write_text(read(DOCS / "metrics.md"), encoding="utf-8")
    return tmp_path


def test_the_tables_are_up_to_date():
    found = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_a_stale_table_is_found_and_repaired(tables, copy, capsys):
    page = copy / "docs" / "metrics.md"
    right = read(page)
    page.write_text(right.replace("| `mutual_knn` |", "| `mutual_kmm` |", 1), encoding="utf-8")
    assert tables.main(["--check"], root=copy) == 1
    assert "docs/metrics.md" in capsys.readouterr().err
    assert "mutual_kmm" in read(page)  # a check writes nothing
    assert tables.main([], root=copy) == 0
    assert read(page) == right
    assert tables.main(["--check"], root=copy) == 0


def test_a_page_without_its_markers_is_an_error(tables, copy):
    page = copy / "docs" / "metrics.md"
    page.write_text(read(page).replace("<!-- presets:end -->", ""), encoding="utf-8")
    with pytest.raises(SystemExit, match="presets:end"):
        tables.main(["--check"], root=copy)


def test_a_readme_is_filled_only_if_it_has_markers(tables, copy):
    readme = copy / "README.md"
    readme.write_text("# Words\n", encoding="utf-8")
    assert tables.main([], root=copy) == 0
    assert read(readme) == "# Words\n"
    readme.write_text("<!-- metrics:begin -->\n<!-- metrics:end -->\n", encoding="utf-8")
    assert tables.main([], root=copy) == 0
    assert all(f"| `{name}` |" in read(readme) for name in METRICS)


def test_the_table_has_one_row_per_metric_and_preset_entry():
    text = read(DOCS / "metrics.md")
    for name in METRICS:
        assert text.count(f"\n| `{name}` |") == 1
    for preset, entries in PRESETS.items():
        assert text.count(f"\n| `{preset}` |") == len(entries)


# ---- sources -----------------------------------------------------------------------------


def bibliography() -> dict[str, str]:
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", read(DOCS / "refs.bib"), re.M | re.S)
    found = dict(entries)
    assert len(found) == len(entries), "a key comes twice"
    return found


def keys_in_docstrings() -> set[str]:
    keys = set()
    for path in (ROOT / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                keys |= set(re.findall(rf"\[({KEY})\]_", ast.get_docstring(node) or ""))
    return keys


def keys_in_docs() -> set[str]:
    keys = set()
    for path in PAGES:
        prose = re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S)
        for bracket in re.findall(r"\[([^\[\]]*)\](?!\()", prose):
            keys |= set(re.findall(rf"\b{KEY}\b", bracket))
    return keys


def test_every_key_in_a_docstring_is_in_the_bibliography():
    assert len(keys_in_docstrings()) > 15
    assert keys_in_docstrings() - set(bibliography()) == set()


def test_every_key_in_the_docs_is_in_the_bibliography():
    assert "huh2024" in keys_in_docs()
    assert keys_in_docs() - set(bibliography()) == set()


def test_every_entry_of_the_bibliography_is_cited():
    cited = keys_in_docstrings() | keys_in_docs()
    cited |= set(re.findall(rf"\[({KEY})\]_", read(DOCS / "adding.md")))
    assert set(bibliography()) - cited == set()


def test_entries_are_whole_and_named_by_first_author_and_year():
    for key, body in bibliography().items():
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\}(?=,?$)", body, re.M | re.S))
        assert {"author", "title", "year"} <= set(fields), key
        assert key.endswith(fields["year"]), key
        family = fields["author"].partition(",")[0].lower()
        plain = re.sub(r"\\.|[{}\s]", "", family)  # accents
        assert key.startswith(plain), f"{key}: {plain}"


# ---- formulas of theory.md -----------------------------------------------------------------


def mantel_terms(A: np.ndarray) -> MantelTerms:
    rows, columns = A.sum(axis=1), A.sum(axis=0)
    sums = (A, A * A, A * A.T, rows * rows, columns * columns, rows * columns)
    return MantelTerms(*(float(part.sum()) for part in sums))


def over_all_relabellings(A: np.ndarray, B: np.ndarray) -> tuple[float, float]:
    orders = [list(order) for order in itertools.permutations(range(len(A)))]
    values = np.array([(A * B[np.ix_(order, order)]).sum() for order in orders])
    return float(values.mean()), float(values.var())


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["dense", "sparse", "symmetric"])
def test_permutation_moments_equal_full_enumeration(n, kind):
    rng = np.random.default_rng(n)
    A, B = rng.standard_normal((2, n, n))
    if kind == "sparse":
        A, B = A * (rng.random((n, n)) < 0.5), B * (rng.random((n, n)) < 0.5)
        A[0, 1] = B[1, 0] = 1.0
    if kind == "symmetric":
        A, B = A + A.T, B + B.T
    for M in (A, B):
        np.fill_diagonal(M, 0.0)
    found = mantel_moments(mantel_terms(A), mantel_terms(B), n)
    assert found == pytest.approx(over_all_relabellings(A, B), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_moments_with_the_diagonal_equal_full_enumeration(n):
    rng = np.random.default_rng(n)
    H = np.eye(n) - 1.0 / n
    A, B = (H @ (M + M.T) @ H for M in rng.standard_normal((2, n, n)))
    found = centered_moments(
        n,
        (float(np.trace(A)), float(np.trace(B))),
        tuple(float((np.diag(M) ** 2).sum()) for M in (A, B)),
        tuple(float((M * M).sum()) for M in (A, B)),
    )
    mean, variance = over_all_relabellings(A, B)
    assert variance > 0.01
    assert found == pytest.approx((mean, variance), rel=1e-10)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_a_u_centred_correlation_varies_by_the_number_of_samples_alone(n):
    rng = np.random.default_rng(n)

    def u_centred() -> np.ndarray:
        X = rng.standard_normal((n, 3))
        A = np.linalg.norm(X[:, None] - X[None], axis=2)
        rows = A.sum(axis=1) / (n - 2)
        A += A.sum() / ((n - 1) * (n - 2)) - rows[:, None] - rows[None, :]
        np.fill_diagonal(A, 0.0)
        return A / np.linalg.norm(A)

    mean, variance = over_all_relabellings(u_centred(), u_centred())
    assert mean == pytest.approx(0.0, abs=1e-12)
    assert np.sqrt(variance) == pytest.approx(u_centered_std(n), rel=1e-10)


# ---- links and examples ------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", read(path), re.M)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PROSE, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PROSE, ids=lambda p: p.name)
def test_files_named_in_the_text_exist(page):
    rooms = "python|csrc|tests|bench|docs|scripts|requirements"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", read(page)):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def sessions(page: Path) -> list[str]:
    """The Python blocks of a page that show a session."""
    blocks = re.findall(r"^```(?:python|pycon)\n(.*?)^```", read(page), re.M | re.S)
    return [block for block in blocks if block.startswith(">>>")]


@pytest.mark.parametrize("page", PROSE, ids=lambda p: p.name)
def test_sessions_on_the_page_run(page):
    names: dict[str, object] = {}
    for block in sessions(page):
        test = doctest.DocTestParser().get_doctest(block, names, page.name, str(page), 0)
        result = doctest.DocTestRunner().run(test, clear_globs=False)
        assert result.failed == 0
        names |= test.globs


def test_there_is_a_session_to_run():
    assert sessions(DOCS / "backends.md")


def block(marker: str) -> str:
    """The Python code that follows `<!-- marker -->` in adding.md."""
    text = read(DOCS / "adding.md")
    found = re.findall(rf"<!-- {marker} -->\n+```python\n(.*?)^```", text, re.M | re.S)
    assert len(found) == 1, marker
    return found[0]


@pytest.fixture
def run_block(tmp_path):
    """Import a block of adding.md as a module; what it registers is forgotten afterwards."""
    kept = [(registry, dict(registry)) for registry in (METRICS, MODELS, DATASETS)]

    modules = set(sys.modules)

    def run(marker: str, name: str):
        path = tmp_path / f"{name}.py"
        path.write_text(block(marker), encoding="utf-8")
        return load_module(path, name)

    yield run
    for registry, before in kept:
        registry.clear()
        registry.update(before)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def hub_agreement(run_block, monkeypatch):
    """The worked example, in its place among the public names."""
    assert "hub_agreement" not in METRICS, "take an example that is not a metric yet"
    module = run_block("example: metric", "hub_agreement")
    monkeypatch.setattr(cs, "hub_agreement", module.hub_agreement, raising=False)
    return module


def test_the_metric_of_the_example_registers_scores_and_compares(hub_agreement, backend):
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((50, 6)), rng.standard_normal((50, 4))
    value = cs.hub_agreement(X, Y, k=5, backend=backend)
    assert METRICS["hub_agreement"].function is cs.hub_agreement
    assert -1.0 < value < 1.0
    assert cs.hub_agreement(Y, X, k=5, backend=backend) == pytest.approx(value, abs=1e-15)
    m = cs.compare({"x": X, "y": Y}, [("hub_agreement", {"k": 5})], backend=backend)
    assert m["hub_agreement"][0, 1] == value
    assert m["hub_agreement"].diagonal().tolist() == [1.0, 1.0]


def test_the_null_of_the_example_is_exact(hub_agreement):
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    scores = [cs.hub_agreement(X, Y[list(p)], k=2) for p in itertools.permutations(range(6))]
    assert np.mean(scores) == pytest.approx(0.0, abs=1e-12)
    assert np.std(scores) == pytest.approx(1.0 / np.sqrt(5.0), rel=1e-12)


def test_the_example_raises_where_it_says(hub_agreement):
    square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    with pytest.raises(ValueError, match="no hubs to compare"):
        cs.hub_agreement(square, square, k=3)


def test_the_docstring_of_the_example_runs(hub_agreement):
    result = doctest.testmod(hub_agreement)
    assert result.attempted >= 3
    assert result.failed == 0


def test_the_test_of_the_example_passes(hub_agreement, run_block):
    run_block("example: test", "test_hub_agreement")
    module = sys.modules["test_hub_agreement"]
    module.test_hub_agreement_is_the_correlation_of_in_degrees()


def test_nothing_of_the_example_stays():
    assert "hub_agreement" not in METRICS
    assert not hasattr(cs, "hub_agreement")


def test_the_model_of_the_example_embeds_the_dataset_of_the_example(run_block):
    run_block("example: model", "letters")
    run_block("example: dataset", "alkanes")
    samples = load_samples("alkanes", n=7, seed=1)
    assert isinstance(samples, Samples)
    assert len(samples) == 7
    batches = list(embed_samples("letters", samples, batch_size=3))
    assert [len(ids) for ids, *_ in batches] == [3, 3, 1]
    rows = np.concatenate([rows for _, rows, _ in batches])
    carbon = "ABC".index("C")
    assert rows[:, carbon].tolist() == samples.labels["n_carbons"].tolist()
    assert rows.sum() == rows[:, carbon].sum()
    with pytest.raises(ValueError, match="40 molecules"):
        load_samples("alkanes", n=41)


def test_gpu_numbers_are_those_measured():
    speed = read(DOCS / "gpu.md").partition("## Speed")[2].partition("## Testing")[0]
    benches = json.loads(read(ROOT / "bench" / "results" / "gpu.json"))["benches"]
    told = []
    for bench in benches:
        if bench["role"] == "ours":
            told += [f"{bench[name]:.2f}" for name in ("per_floor", "of_ceiling") if name in bench]
        elif bench["role"] == "rival":
            ratio = bench["per_ours"]
            told.append(f"{ratio:.1f} ×" if ratio < 10 else f"{ratio:.0f} ×")
    assert len(told) >= 8
    assert [number for number in told if number not in speed] == []
