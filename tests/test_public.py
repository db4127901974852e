"""The public surface: typed, documented, and usable by a package that checks its types."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import consilience as cs
import downstream

ROOT = Path(__file__).resolve().parents[1]
FACES = ("platonic", "dcor", "dadapy")


def public():
    """Yield (name, object) of every public function and class, with the public methods of these."""
    rooms = [("consilience", cs.__all__), ("consilience.accumulate", None)]
    for room, names in rooms:
        module = importlib.import_module(room)
        for name in names or module.__all__:
            if not name.startswith("__"):
                yield f"{room}.{name}", getattr(module, name)
    for face in FACES:
        module = importlib.import_module(f"consilience.compat.{face}")
        for name, found in vars(module).items():
            if not name.startswith("_") and getattr(found, "__module__", "") == module.__name__:
                yield f"{face}.{name}", found


def functions():
    for name, found in public():
        if inspect.isclass(found):
            for part, method in vars(found).items():
                method = getattr(method, "__func__", method)
                method = getattr(method, "fget", method)
                if not part.startswith("_") and inspect.isfunction(method):
                    yield f"{name}.{part}", method
        elif inspect.isfunction(found):
            yield name, found


FUNCTIONS = dict(functions())


def test_there_is_a_surface():
    assert {"consilience.cka", "consilience.Moments.update", "dcor.distance_correlation"} <= set(
        FUNCTIONS
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_is_typed_and_documented(name):
    function = FUNCTIONS[name]
    hints = function.__annotations__
    parameters = list(inspect.signature(function).parameters)
    untyped = [p for p in parameters if p not in hints and p not in ("self", "cls")]
    assert untyped == []
    assert "return" in hints
    assert inspect.getdoc(function)


@pytest.mark.parametrize("name", [name for name, found in public() if inspect.isclass(found)])
def test_a_public_class_is_documented(name):
    found = dict(public())[name]
    assert found.__doc__
    assert not found.__doc__.startswith(f"{found.__name__}(")  # what a dataclass makes up


def test_a_package_that_uses_it_passes_a_strict_type_check(tmp_path):
    pytest.importorskip("mypy", reason="mypy checks the types of a package that uses ours")
    configuration = tmp_path / "mypy.ini"
    # What we import inside functions is nobody's types.
    configuration.write_text(
        "[mypy]\nstrict = True\nfollow_imports = silent\n"
        "[mypy-torch.*,scipy.*,cupy.*,jax.*,plotly.*,pandas.*,matplotlib.*,threadpoolctl.*,tqdm.*]\n"
        "follow_imports = skip\nignore_missing_imports = True\n"
    )
    assert (Path(cs.__file__).parent / "py.typed").exists()
    found = subprocess.run(
        [
            sys.executable,
            *("-m", "mypy", "--no-incremental", "--config-file", str(configuration)),
            str(ROOT / "tests" / "downstream.py"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"MYPYPATH": str(Path(cs.__file__).parents[1]), "PATH": ""},
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Success" in found.stdout


def test_and_runs(rng):
    batches = []
    for _ in range(3):
        x = rng.standard_normal((30, 4)).astype(np.float32)
        batches.append((x, x[:, :3] + rng.standard_normal((30, 3)).astype(np.float32)))
    scores = downstream.epoch(batches)
    assert scores["cka"] == scores["in the matrix"]
    assert all(np.isfinite(value) for value in scores.values())
    assert downstream.board({"a": batches[0][0], "b": batches[0][1]})["cka"].shape == (2, 2)
