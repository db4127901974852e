"""What SECURITY.md promises of the code: nothing that a file or a name holds is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "consilience"

# Modules that run what they read, or read it without limits.
MODULES = {"cloudpickle", "dill", "jsonpickle", "joblib", "marshal", "pickle", "shelve"}
MODULES |= {"http", "socketserver", "telnetlib", "xml", "xmlrpc"}
BUILTINS = {"__import__", "compile", "eval", "exec", "input"}
CALLS = {
    "os.popen",
    "os.system",
    "numpy.load",  # without allow_pickle=False
    "tarfile.extractall",  # without filter="data"
    "tempfile.mktemp",
    "torch.jit.load",
    "torch.load",  # without weights_only=True
    "yaml.full_load",
    "yaml.load",
    "yaml.unsafe_load",
}
# A call is as safe as this option makes it.
SAFE_BY = {
    "numpy.load": ("allow_pickle", False),
    "tarfile.extractall": ("filter", "data"),
    "torch.load": ("weights_only", True),
}
UNSAFE_OPTIONS = {"allow_pickle": True, "shell": True, "trust_remote_code": True}

# Where one of these is needed, and why it does no harm there.
ALLOWED = {
    ("models/_weights.py", "torch.load"): "the user has set CONSILIENCE_TRUST_PICKLE=1",
    ("models/aimnet2.py", "torch.jit.load"): "TorchScript, in its own interpreter of tensors",
    ("models/annalog.py", "pickle"): "an Unpickler that refuses every class and function",
}


def dotted(node, names):
    """Return what a call calls, imports resolved: "numpy.load" for np.load."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(["?", *reversed(parts)])
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def imported(tree):
    """Return local name -> what it stands for, and all modules imported."""
    names, modules = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.add(alias.name)
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names, modules


def risks(source):
    """Yield what a file does that needs a reason."""
    tree = ast.parse(source)
    names, modules = imported(tree)
    yield from {m.partition(".")[0] for m in modules} & MODULES
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func, names)
        if called.endswith(".extractall"):
            called = "tarfile.extractall"
        options = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        option, safe = SAFE_BY.get(called, ("", None))
        if called in BUILTINS or (called in CALLS and options.get(option) != safe):
            yield called
        if called in CALLS and not option:
            yield called
        for option, unsafe in UNSAFE_OPTIONS.items():
            if options.get(option) is unsafe:
                yield f"{option}={unsafe}"


DANGEROUS = {
    "import pickle": "pickle",
    "from pickle import loads": "pickle",
    "import xml.etree.ElementTree as T": "xml",
    "eval(text)": "eval",
    "exec(text)": "exec",
    "import os\nos.system(line)": "os.system",
    "from os import system as run\nrun(line)": "os.system",
    "import subprocess\nsubprocess.run(line, shell=True)": "shell=True",
    "import numpy as np\nnp.load(path)": "numpy.load",
    "import numpy as np\nnp.load(path, allow_pickle=True)": "allow_pickle=True",
    "import yaml\nyaml.load(text)": "yaml.load",
    "import torch\ntorch.load(path)": "torch.load",
    "import torch\ntorch.load(path, weights_only=False)": "torch.load",
    "import torch\ntorch.jit.load(path)": "torch.jit.load",
    "import tarfile\nwith tarfile.open(p) as t: t.extractall(folder)": "tarfile.extractall",
    "AutoModel.from_pretrained(name, trust_remote_code=True)": "trust_remote_code=True",
}
HARMLESS = """
import numpy as np, re, subprocess, tarfile, torch, yaml
np.load(path, allow_pickle=False)
torch.load(path, map_location="cpu", weights_only=True)
yaml.safe_load(text)
re.compile(pattern)
network.eval()
subprocess.run([program, argument])
tarfile.open(path).extractall(folder, filter="data")
"""


@pytest.mark.parametrize("source", DANGEROUS)
def test_the_search_finds_what_it_is_for(source):
    assert DANGEROUS[source] in set(risks(source))


def test_the_search_finds_nothing_else():
    assert list(risks(HARMLESS)) == []


def test_nothing_that_is_read_is_run():
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 150
    found = {
        (path.relative_to(PACKAGE).as_posix(), risk)
        for path in files
        for risk in risks(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


def test_the_page_escapes_by_default_and_what_it_does_not_is_its_own():
    templates = {p.name: p.read_text("utf-8") for p in (PACKAGE / "report").rglob("*.j2")}
    assert len(templates) > 5
    unescaped = {
        (name, what.strip())
        for name, text in templates.items()
        for what in re.findall(r"{{(.*?)\|\s*safe\b", text)
    }
    assert unescaped == {("page.html.j2", "style"), ("page.html.j2", "script")}
    assert not any(re.search(r"autoescape|\|\s*safe\b.*\|", text) for text in templates.values())
    scripts = [path.read_text("utf-8") for path in (PACKAGE / "report" / "js").glob("*.js")]
    assert len(scripts) > 10
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(sinks, "\n".join(scripts))


@pytest.mark.parametrize("name", ["0.0.0.0", "INADDR_ANY", "--host", "::/0"])
def test_nothing_listens_beyond_this_machine(name):
    for path in PACKAGE.rglob("*.py"):
        assert name not in path.read_text(encoding="utf-8"), path.name
