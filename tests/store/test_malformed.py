"""Broken and hostile files are refused in one sentence, in little memory, and run nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from malformed.corpus import CORPUS, LEAST, LIBRARY

TESTS = Path(__file__).resolve().parents[1]
MOST_MEMORY = 200 << 20


@pytest.mark.parametrize("kind", CORPUS)
def test_every_broken_file_is_refused_or_harmless(kind, tmp_path):
    if kind in LIBRARY:
        pytest.importorskip(LIBRARY[kind])
    # in a process of its own: a crash must not end the others, and memory is that of one format
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "malformed", kind, str(tmp_path / "corpus")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    at = tmp_path / "corpus" / "at"
    where = at.read_text() if at.exists() else "the start"
    assert found.returncode == 0, f"ended at {where}: {found.stderr[-2000:]}"
    result = json.loads(found.stdout)
    assert result["wrong"] == []
    assert result["files"] >= LEAST[kind]
    assert result["counts"]["refused"] > result["files"] // 4
    assert result["grown"][0] < MOST_MEMORY, result["grown"]
