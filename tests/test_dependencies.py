"""What may be installed beside us: nothing without a lower bound, nothing known to be broken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NODEPS = ROOT / "python" / "consilience" / "models" / "nodeps.txt"

# Package -> the first version without these advisories. Only what is known for certain, and only
# of packages that we name; `make audit` asks a database for the rest.
FIXED = {
    "distributed": ("2021.10.0", "CVE-2021-42343: a LocalCluster listened on all interfaces"),
    "jinja2": ("3.1.6", "CVE-2024-56201, CVE-2024-56326, CVE-2025-27516: out of the sandbox"),
    "lightning": ("2.3.3", "CVE-2024-5452, CVE-2024-5980: code run, files written by a request"),
    "numpy": ("1.22", "CVE-2021-33430, CVE-2021-41495: overflows"),
    "pillow": ("10.3.0", "CVE-2023-50447, CVE-2024-28219: code run, a buffer overflow"),
    "pyarrow": ("14.0.1", "CVE-2023-47248: files of IPC and Parquet ran code"),
    "pyyaml": ("5.4", "CVE-2020-14343: full_load ran code"),
    "scipy": ("1.10.0", "CVE-2023-25399: memory that is never freed"),
    "torch": ("2.10", "CVE-2025-32434, CVE-2026-24747: code run in spite of weights_only"),
    "tqdm": ("4.66.3", "CVE-2024-34062: options of its command line were run"),
    "transformers": ("4.48.0", "CVE-2024-11392, CVE-2024-11393, CVE-2024-11394: pickles were run"),
}


def requirements():
    """Yield (where, requirement) of all that the project may install."""
    project = PROJECT["project"]
    groups = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    groups["build-system"] = PROJECT["build-system"]["requires"]
    for where, lines in groups.items():
        for line in lines:
            requirement = Requirement(line)
            if requirement.name != project["name"]:
                yield where, requirement


REQUIREMENTS = [pytest.param(r, id=f"{where}: {r.name}") for where, r in requirements()]


def lowest(requirement):
    """Return the lowest version that a requirement allows, or None."""
    bounds = [s.version for s in requirement.specifier if s.operator in {">=", "==", "~="}]
    return max(map(Version, bounds)) if bounds else None


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_dependency_has_a_lower_bound(requirement):
    assert lowest(requirement) is not None


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_no_version_with_a_known_hole_may_be_installed(requirement):
    fixed, advisories = FIXED.get(requirement.name.lower(), ("0", ""))
    assert lowest(requirement) >= Version(fixed), advisories


def test_the_list_of_holes_has_ids_and_is_of_use():
    named = {requirement.name.lower() for _, requirement in requirements()}
    assert len(named & set(FIXED)) >= 8
    assert all(re.match(r"CVE-\d{4}-\d{4,}", why) for _, why in FIXED.values())


def test_what_is_installed_without_its_dependencies_is_pinned():
    lines = [line.partition("#")[0].strip() for line in NODEPS.read_text("utf-8").splitlines()]
    pins = [Requirement(line) for line in lines if line]
    assert pins
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in pins)
