"""Installing what models need: pinned, and without pins that cannot be met together."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from consilience.models._registry import MODELS, Model, find_model

NO_DEPS = "--no-deps"
# Of these an installed one is never replaced by another version.
KEPT = ("torch",)
# A licence that reaches what is built with it is for the user to choose, by name.
BY_NAME_ALONE = ("GPL", "AGPL")


def install(
    names: Sequence[str],
    *,
    dry_run: bool = False,
    run: Callable[[list[str]], object] | None = None,
) -> list[list[str]]:
    """Install what models need with pip.

    Parameters
    ----------
    names : sequence of str
        Models, or "all": those that come with weights, are not GPL and can share an
        environment.
    dry_run : bool
        Whether only to say what would be run.
    run : callable, optional
        Runs a command; `subprocess.run` with failures raised by default.

    Returns
    -------
    list of list of str
        The commands: one for packages with their dependencies, one for those without. Torch
        is held at the version that is installed, so pip fails rather than replace it.

    Raises
    ------
    ValueError
        If a name is unknown, or a model wants an environment of its own.
    subprocess.CalledProcessError
        If pip fails.
    """
    with_deps: list[str] = []
    without: list[str] = []
    for model in _chosen(names):
        for options, packages in _steps(model):
            target = without if NO_DEPS in options else with_deps
            target += [package for package in packages if package not in target]
    pinned = no_deps()
    without = [pinned.get(_name(package), package) for package in without]
    with_deps = [_kept(package) for package in with_deps]
    pip = [sys.executable, "-m", "pip", "install"]
    commands = [[*pip, *with_deps]] if with_deps else []
    commands += [[*pip, NO_DEPS, *without]] if without else []
    if not dry_run:
        for command in commands:
            run(command) if run else subprocess.run(command, check=True)
    return commands


def no_deps() -> dict[str, str]:
    """Return the pinned packages to install without their dependencies, by lower-case name."""
    lines = (Path(__file__).parent / "nodeps.txt").read_text(encoding="utf-8").splitlines()
    pinned = [package for line in lines if (package := line.partition("#")[0].strip())]
    return {_name(package): package for package in pinned}


def _chosen(names: Sequence[str]) -> list[Model]:
    chosen: dict[str, Model] = {}
    for name in names:
        found = _all() if name == "all" else [find_model(name)]
        chosen |= {model.name: model for model in found}
    return list(chosen.values())


def _all() -> list[Model]:
    return [
        model
        for model in MODELS.values()
        if not model.takes_weights and not model.license.startswith(BY_NAME_ALONE)
    ]


def _steps(model: Model) -> list[tuple[list[str], list[str]]]:
    """Read the commands of ``model.install``: options and packages of each."""
    steps = []
    for line in filter(None, model.install.split("&&")):
        pip, verb, *words = shlex.split(line)
        options = [word for word in words if word.startswith("-")]
        packages = [word for word in words if not word.startswith("-")]
        odd = [word for word in packages if not re.fullmatch(r"[\w.\[\]-]+([=<>~!]=?\S+)?", word)]
        if (pip, verb) != ("pip", "install") or odd or not set(options) <= {NO_DEPS}:
            raise ValueError(f"{model.name} is to be installed by hand: {model.install}")
        steps.append((options, packages))
    return steps


def _kept(package: str) -> str:
    name = _name(package)
    if name not in KEPT:
        return package
    try:
        return f"{name}=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return package


def _name(package: str) -> str:
    return re.split(r"[\[=<>~!]", package, maxsplit=1)[0].lower()
