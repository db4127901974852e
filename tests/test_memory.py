"""Memory that work may take: as users write it, and what of mapped files stays in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import consilience as cs
import reference
from consilience import _validate
from consilience._mapped import is_mapped
from consilience._memory import DEFAULT_MEMORY, as_bytes, resident_share
from consilience._validate import as_embedding
from consilience.needs import View
from consilience.views import prepare


@pytest.mark.parametrize(
    ("written", "size"),
    [("4GiB", 4 << 30), ("500 MB", 500_000_000), ("1.5kib", 1536), ("77", 77), (12, 12)],
)
def test_sizes_are_bytes_or_have_a_unit(written: int | str, size: int) -> None:
    assert as_bytes(written) == size


@pytest.mark.parametrize("written", ["4 gallons", "", "-1GiB", 0, -5, "0B"])
def test_what_is_no_size_is_refused(written: int | str) -> None:
    with pytest.raises(ValueError, match="`max_memory`"):
        as_bytes(written)
    with pytest.raises(ValueError, match="`max_memory`"):
        cs.neighbors(np.random.default_rng(0).standard_normal((9, 2)), k=2, max_memory=written)


@pytest.mark.parametrize("written", [1.5, True, [1]])
def test_a_size_of_another_type_is_refused(written: object) -> None:
    with pytest.raises(TypeError, match="`max_memory`"):
        as_bytes(written)  # type: ignore[arg-type]


@pytest.mark.parametrize("allowed", [1, 1000, 100 << 20, 4 << 30, None])
def test_pages_of_files_leave_room_for_the_work(allowed: int | None) -> None:
    share = resident_share(allowed)
    assert 0 <= share <= (allowed or DEFAULT_MEMORY) / 2


def mapped_copy(folder: Path, X: np.ndarray) -> np.ndarray:
    np.save(folder / "rows.npy", X)
    return np.load(folder / "rows.npy", mmap_mode="r")


VIEWS = [
    View("l2"),
    View("max"),
    View("zscore"),
    View("l2", 0.95),
    View("max", 1.0),
    View("zscore", 0.9),
    View("none", 0.5),
    View("none", None, unit_rows=True),
    View("zscore", None, unit_rows=True),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_prepared_rows_of_files_are_files_and_the_same(
    tmp_path: Path, view: View, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_validate, "SPILLED", 1 << 16)  # widened rows are a file too
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((33_001, 33)) * rng.random(33) + 3.0).astype(dtype)
    X[:, 5] = 2.5  # a constant column
    X[7] = X[8]
    in_memory = prepare(as_embedding(X, "X"), view)
    from_file = prepare(as_embedding(mapped_copy(tmp_path, X), "X"), view)
    assert is_mapped(from_file)
    assert np.abs(in_memory - from_file).max() <= 1e-12 * np.abs(in_memory).max()


def test_a_zero_row_of_a_file_is_named(tmp_path: Path) -> None:
    X = np.random.default_rng(1).standard_normal((40_000, 32)).astype(np.float32)
    X[35_001] = 0.0
    with pytest.raises(ValueError, match=r"zero row \(row 35001\)"):
        prepare(as_embedding(mapped_copy(tmp_path, X), "X"), View("l2"), 2)


def test_moments_of_blocks_of_rows_are_those_of_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((400_001, 24)).astype(np.float32) + 100.0
    Y = np.tanh(X[:, :7] - 100.0)
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    mapped = mapped_copy(tmp_path / "x", X), mapped_copy(tmp_path / "y", Y)
    x, y = reference.centered(X), reference.centered(Y)
    norms = [np.linalg.norm(x.T @ x), np.linalg.norm(y.T @ y)]
    expected = np.linalg.norm(x.T @ y) ** 2 / (norms[0] * norms[1])
    assert cs.cka(*mapped) == pytest.approx(expected, rel=1e-12)


SCRIPT = """
import sys
import numpy as np
import consilience as cs
from consilience import _memory
_memory.LEAST_RESIDENT = 16 << 20
X = np.load(sys.argv[1], mmap_mode="r")
metrics, max_memory = sys.argv[3:], int(sys.argv[2]) << 20
def peak():
    lines = open("/proc/self/status").read().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]  # of this process alone
    return int(line.split()[1]) >> 10
def scores(n):
    sets = {"a": X[:n], "b": X[len(X) - n :]}
    run = {"neighbors": "exact", "rows": 64, "null": None, "max_memory": max_memory}
    return cs.compare(sets, metrics, **run)
scores(1000)  # what is loaded once
before = peak()
found = scores(len(X))
print(*(found[name][0, 1] for name in metrics), peak() - before)
"""


@pytest.mark.parametrize(
    ("metrics", "allowed"), [(["cka"], 100), (["mutual_knn", "information_imbalance"], 150)]
)
def test_a_file_larger_than_allowed_is_worked_on_within_what_is_allowed(
    tmp_path: Path, metrics: list[str], allowed: int
) -> None:
    rng = np.random.default_rng(3)
    rows = np.lib.format.open_memmap(
        tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(128 << 13, 128)
    )
    for start in range(0, len(rows), 1 << 13):
        rows[start : start + (1 << 13)] = rng.random((1 << 13, 128), np.float32)
    rows.flush()
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "x.npy"), str(allowed), *metrics]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    *scores, mebibytes = map(float, found.stdout.split())
    assert scores[0] == pytest.approx(1.0)
    assert mebibytes < allowed + 300  # and the file has 512
