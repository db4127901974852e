"""Rows of several files are one array, which other processes and the system can do without."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from consilience._mapped import describe, is_mapped, map_rows, release, reopen, scratch, taken

PAGE = mmap.PAGESIZE


def files_of(folder: Path, X: np.ndarray, cuts: list[int], lead: int = 0) -> list:
    parts = []
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(X)], strict=True)):
        path = folder / f"{number}.bin"
        path.write_bytes(b"\0" * lead + X[start:stop].tobytes())
        parts.append((path, lead, stop - start))
    return parts


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_files_side_by_side_are_one_read_only_array(tmp_path: Path, dtype: type) -> None:
    X = np.random.default_rng(0).standard_normal((5000, 64)).astype(dtype)
    parts = files_of(tmp_path, X, [1024, 2048, 4096], lead=PAGE)
    mapped = map_rows(parts, dtype, 64)
    assert np.array_equal(mapped, X)
    assert not mapped.flags.writeable
    assert mapped.flags.c_contiguous
    assert is_mapped(mapped)
    assert not is_mapped(X)


def test_one_file_may_begin_anywhere(tmp_path: Path) -> None:
    X = np.random.default_rng(1).standard_normal((37, 5)).astype(np.float32)
    mapped = map_rows(files_of(tmp_path, X, [], lead=128), "<f4", 5)
    assert np.array_equal(mapped, X)


@pytest.mark.parametrize("many", [0, 1, 7, 20_000])
@pytest.mark.parametrize("part", [np.s_[:], np.s_[17:, 3:9], np.s_[::-3]], ids=str)
def test_rows_are_taken_in_any_order_and_more_than_once(
    tmp_path: Path, many: int, part: tuple[slice, ...]
) -> None:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((9_001, 300)).astype(np.float32)  # 10 MiB: some at a time
    mapped = map_rows(files_of(tmp_path, X, []), "<f4", 300)[part]
    rows = rng.integers(0, len(mapped), many)
    found = taken(mapped, rows)
    assert np.array_equal(found, X[part][rows])
    assert not is_mapped(found)
    assert np.array_equal(taken(X[part], rows), found)


def test_files_that_leave_gaps_are_refused(tmp_path: Path) -> None:
    X = np.ones((100, 3), np.float32)
    with pytest.raises(ValueError, match="side by side"):
        map_rows(files_of(tmp_path, X, [33]), "<f4", 3)


def test_a_file_cut_short_is_refused_and_named(tmp_path: Path) -> None:
    X = np.ones((2048, 4), np.float32)
    parts = files_of(tmp_path, X, [1024])
    with parts[1][0].open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ValueError, match=r"1\.bin is cut short: 100 bytes of 16384"):
        map_rows(parts, "<f4", 4)


def test_a_description_maps_the_same_rows_in_another_process(tmp_path: Path) -> None:
    X = np.random.default_rng(2).standard_normal((3000, 16)).astype(np.float32)
    mapped = map_rows(files_of(tmp_path, X, [1024, 2048], lead=PAGE), "<f4", 16)
    some = mapped[1000:2500]
    description = describe(some)
    assert [part[2] for part in description["parts"]] == [24, 1024, 452]
    assert np.array_equal(reopen(description), X[1000:2500])
    code = (
        "import sys, json, numpy; from consilience._mapped import reopen;"
        "print(float(reopen(json.loads(sys.argv[1])).astype('f8').sum()))"
    )
    import json

    out = subprocess.run(
        [sys.executable, "-c", code, json.dumps(description)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert float(out.stdout) == float(X[1000:2500].astype("f8").sum())


def test_numpys_own_maps_are_described_too(tmp_path: Path) -> None:
    X = np.random.default_rng(3).standard_normal((50, 7))
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(reopen(describe(mapped)), X)
    assert np.array_equal(reopen(describe(mapped[11:31])), X[11:31])
    # as the gate sees it: the plain array of a map
    assert np.array_equal(reopen(describe(np.ascontiguousarray(mapped))), X)


def test_what_is_not_whole_rows_of_files_has_no_description(tmp_path: Path) -> None:
    X = np.arange(60.0).reshape(12, 5)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for array in (X, mapped[:, 1:3], mapped[::2], mapped.T, mapped[3], scratch((4, 4), "<f8")):
        assert describe(array) is None


def test_released_pages_are_read_again(tmp_path: Path) -> None:
    X = np.random.default_rng(4).standard_normal((4096, 64)).astype(np.float32)
    mapped = map_rows(files_of(tmp_path, X, [2048]), "<f4", 64)
    np.save(tmp_path / "x.npy", X)
    numpys = np.load(tmp_path / "x.npy", mmap_mode="r")
    written = scratch(X.shape, X.dtype)
    written[:] = X
    for array in (mapped, numpys, written, X):
        assert np.array_equal(array, X)
        release(array)
        assert np.array_equal(array, X)


def test_private_pages_keep_what_was_written_to_them(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1024, 8)))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[:] = 1.0
    release(private)
    assert np.array_equal(private, np.ones((1024, 8)))


def test_an_array_keeps_its_region_and_the_region_goes_with_it(tmp_path: Path) -> None:
    X = np.random.default_rng(5).standard_normal((1024, 8))
    path = files_of(tmp_path, X, [])[0][0]

    def regions() -> int:
        with Path("/proc/self/maps").open() as maps:
            return sum(str(path) in line for line in maps)

    view = map_rows([(path, 0, 1024)], "<f8", 8)[10:20]
    gc.collect()
    assert regions() == 1
    assert np.array_equal(view, X[10:20])
    del view
    gc.collect()
    assert regions() == 0


def test_scratch_space_that_cannot_be_had_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIENCE_SCRATCH", str(tmp_path))
    with pytest.raises(OSError, match=r"scratch space cannot be had in .*CONSILIENCE_SCRATCH"):
        scratch((1 << 40, 1 << 10), "<f8")
