"""The shape of the project: what is where, what may import what, what each part owes."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import consilience
from consilience.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "consilience"
CSRC = ROOT / "csrc"

OPS = sorted(p.stem for p in (CSRC / "ops").glob("*.hpp"))
STEMS = (
    "csrc/ops/{}.hpp",
    "csrc/cpu/{}.cpp",
    "csrc/bindings/bind_{}.cpp",
    "tests/ops/test_{}.py",
    "bench/bench_{}.py",
)
GPU_STEMS = ("csrc/cuda/{}.cuh", "python/consilience/backends/cuda/{}.py")
EXACT_THERE = {"knn_approx"}  # for which a GPU searches exactly
# Whatever a user may never touch must not cost every import of the package.
HEAVY = (
    "array_api_compat",
    "click",
    "cupy",
    "dask",
    "jax",
    "jinja2",
    "matplotlib",
    "pandas",
    "plotly",
    "rdkit",
    "safetensors",
    "scipy",
    "sklearn",
    "threadpoolctl",
    "torch",
    "tqdm",
)
# Modules that are a face of a package, and of no use without it.
NEEDS = {"consilience.compat.torchmetrics": "torchmetrics"}
SECTIONS = ("Parameters", "Returns", "Raises", "References", "Examples")
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(consilience.__path__, "consilience.")
    if not found.name.endswith(("__main__", "._core"))
)


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, at the top or inside its functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def reaches(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(package + ".")}


# ---- importing ---------------------------------------------------------------------------


def test_importing_loads_nothing_heavier_than_numpy():
    code = "import sys, consilience; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    loaded = set(found.stdout.split())
    assert {"numpy", "consilience"} <= loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_every_public_name_is_there():
    for name in consilience.__all__:
        assert getattr(consilience, name) is not None
    assert sorted(consilience.__all__) == consilience.__all__


# ---- rooms -------------------------------------------------------------------------------

ROOMS = [
    # room, what it must not import
    ("metrics", ("backends", "study", "store", "models", "datasets", "report", "cli")),
    ("inference", ("backends", "metrics", "study", "store", "models", "report", "cli")),
    ("backends", ("metrics", "study", "store", "models", "datasets", "report", "cli")),
    ("store", ("backends", "metrics", "study", "models", "report", "cli")),
    ("models", ("backends", "metrics", "study", "report", "cli")),
    ("datasets", ("backends", "metrics", "models", "study", "report", "cli")),
    ("report", ("backends", "store", "models", "cli")),
]


@pytest.mark.parametrize(("room", "forbidden"), ROOMS, ids=[room for room, _ in ROOMS])
def test_a_room_imports_only_what_it_may(room, forbidden):
    files = sorted((PACKAGE / room).glob("*.py"))
    assert files
    for path in files:
        names = imports_of(path)
        for other in forbidden:
            found = reaches(names, f"consilience.{other}")
            assert not found, f"{room}/{path.name} imports {found}"


@pytest.mark.parametrize("library", ["torch", "cupy", "jax", "consilience._core"])
def test_metrics_know_no_device(library):
    for path in sorted((PACKAGE / "metrics").glob("*.py")):
        assert not reaches(imports_of(path), library), path.name


def test_terms_and_needs_are_numpy_and_standard_library_only():
    for name in ("terms", "needs"):
        outside = {
            module
            for module in imports_of(PACKAGE / f"{name}.py")
            if module.partition(".")[0] not in {*sys.stdlib_module_names, "numpy"}
        }
        assert outside == set()


@pytest.mark.parametrize("folder", ["common", "ops", "cpu"])
def test_kernels_see_no_python(folder):
    files = [p for p in (CSRC / folder).iterdir() if p.suffix in {".hpp", ".cpp"}]
    assert files
    for path in files:
        included = re.findall(r"#\s*include\s*[<\"]([^>\"]+)", path.read_text(encoding="utf-8"))
        python = [name for name in included if re.search(r"pybind11|Python\.h|numpy", name)]
        assert python == [], f"{folder}/{path.name}"


# ---- ops ---------------------------------------------------------------------------------


def test_there_are_ops():
    assert len(OPS) >= 7


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("stem", STEMS)
def test_every_op_has_its_stem(op, stem):
    assert (ROOT / stem.format(op)).is_file(), stem.format(op)


@pytest.mark.parametrize("op", sorted(set(OPS) - EXACT_THERE))
@pytest.mark.parametrize("stem", GPU_STEMS)
def test_every_op_has_its_stem_on_a_gpu(op, stem):
    assert (ROOT / stem.format(op)).is_file(), stem.format(op)


@pytest.mark.parametrize("op", OPS)
def test_the_module_declares_and_calls_every_binding(op):
    text = (CSRC / "bindings" / "module.cpp").read_text(encoding="utf-8")
    assert f"void bind_{op}(pybind11::module_& m);" in text
    assert f"consilience::bind_{op}(m);" in text


@pytest.mark.parametrize("stem", [s for s in STEMS if s.startswith("csrc/") and "ops" not in s])
def test_no_binding_or_kernel_names_an_op_without_a_contract(stem):
    folder, _, name = stem.rpartition("/")
    helpers = {"blas", "cells", "centered", "coarse_rows", "exact", "key_sort", "list_filter"}
    helpers |= {
        "micro_kernel",
        "moment_kernel",
        "moved_rows",
        "nearest_lists",
        "pair_functions",
        "prefix",
    }
    helpers |= {"rank_rows", "rank_stream", "rank_tiles", "row_classes", "row_keys", "row_order"}
    helpers |= {"shared_keys", "smallest", "word_kernel", "word_panels"}
    found = {p.stem for p in (ROOT / folder).glob(name.format("*"))}
    found = {stem.removeprefix("bind_") for stem in found}
    assert found - helpers == set(OPS)


# ---- metrics -----------------------------------------------------------------------------


def metric_files() -> list[str]:
    files = (PACKAGE / "metrics").glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def test_one_file_per_metric():
    assert metric_files() == sorted(METRICS)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_is_public(name):
    assert getattr(consilience, name) is METRICS[name].function
    assert name in consilience.__all__
    assert name in consilience.metrics.__all__
    assert METRICS[name].function.__module__ == f"consilience.metrics.{name}"


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_is_documented(name):
    doc = inspect.getdoc(METRICS[name].function)
    for section in SECTIONS:
        assert re.search(rf"^{section}\n-{{{len(section)}}}$", doc, re.MULTILINE), section
    documented = set(re.findall(r"\w+", doc.partition("Parameters\n")[2].partition("Returns\n")[0]))
    options = set(inspect.signature(METRICS[name].function).parameters)
    assert options <= documented, f"{name} does not document {sorted(options - documented)}"


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("page", ["metrics.md", "theory.md"])
def test_a_metric_has_its_line_in_the_documentation(name, page):
    assert f"`{name}`" in (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_has_a_test_of_its_own(name):
    tests = [p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "metrics").glob("test_*.py")]
    assert any(re.search(rf"\bcs\.{name}\b", text) for text in tests), f"no test calls cs.{name}"


# ---- examples ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_every_metric_has_an_example_that_ran_above():
    finder = doctest.DocTestFinder(recurse=False)
    for name, metric in METRICS.items():
        (found,) = finder.find(metric.function, name)
        assert len(found.examples) >= 2, f"{name} has no example"


# ---- words -------------------------------------------------------------------------------

TEXT = {".py", ".pyi", ".md", ".toml", ".txt", ".cpp", ".hpp", ".cu", ".cuh", ".bib", ".yml"}
# In pieces, so that this file does not hold what it forbids.
FORBIDDEN = {
    "an absolute path of somebody's machine": r"(?<![\w.*])/(home|work|root|Users)" + r"/\w",
    "the address of a registry": r"pypi\." + r"org|python" + r"hosted\.",
    "a choice of registry": r"--(extra-)?index" + r"-url|--find" + r"-links|PIP_" + r"INDEX",
}


def text_files() -> list[Path]:
    """The files under version control or about to be, or all of them outside of git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        rooms = ("python", "csrc", "tests", "bench", "docs", "scripts")
        paths = [p for room in rooms for p in (ROOT / room).rglob("*")]
    named = {"Makefile", "LICENSE"}
    return sorted(p for p in paths if p.is_file() and (p.suffix in TEXT or p.name in named))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    files = text_files()
    assert len(files) > 100
    found = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if re.search(FORBIDDEN[what], line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_the_search_for_words_finds_them():
    texts = ("see /" + "home/someone/x", "https://pypi." + "org/simple", "--extra-index" + "-url")
    for pattern, text in zip(FORBIDDEN.values(), texts, strict=True):
        assert re.search(pattern, text)


def test_the_license_is_whole():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) == 11358
