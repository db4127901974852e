"""What fuzzing found stays mended, and a few thousand fresh mutations find nothing."""

import numpy as np
import pytest

from consilience import _core
from consilience.backends.native import NativeBackend
from fuzz import fuzz_bindings, fuzz_plans, fuzz_readers
from fuzz.loop import REGRESSIONS
from malformed.mutations import mutations

TARGETS = {**fuzz_readers.TARGETS, **fuzz_plans.TARGETS}
LIBRARY = {"csv": "pyarrow", "parquet": "pyarrow", "arrow": "pyarrow", "hdf5": "h5py"}
LIBRARY |= {"torch": "torch", "yaml": "yaml"}
INPUTS = sorted(path.name for path in REGRESSIONS.iterdir() if path.is_file())


@pytest.mark.parametrize("name", INPUTS)
def test_a_finding_stays_mended(name):
    kind = name.partition("-")[0]
    if kind in LIBRARY:
        pytest.importorskip(LIBRARY[kind])
    target, _ = TARGETS[kind]()
    target((REGRESSIONS / name).read_bytes())


@pytest.mark.parametrize("kind", TARGETS)
def test_mutations_find_nothing(kind, monkeypatch):
    if kind in LIBRARY:
        pytest.importorskip(LIBRARY[kind])
    target, seeds = TARGETS[kind]()
    for number, seed in enumerate(seeds):
        for _, content in mutations(seed, 1000 + number, 60):
            target(content)


@pytest.mark.parametrize("name", fuzz_bindings.signatures())
def test_the_core_returns_or_raises(name):
    NativeBackend.for_arrays([], n_threads=1, max_memory=None)
    parameters = fuzz_bindings.signatures()[name]
    returned = [fuzz_bindings.call(name, parameters, seed) for seed in range(60)]
    assert any(returned), f"no call of {name} was of use"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 3, 1, 8, 1), "sizes must be at least 1"),
        ((5, 3, 1, 0, 0), "`fanout` must be in"),
        ((5, 3, 1, 0, 1), "`cell` must be in"),
    ],
)
def test_room_for_no_samples_or_cells_is_refused(sizes, message):
    # was a division by zero, which ends the process
    with pytest.raises(ValueError, match=message):
        _core.knn_approx_bytes(*sizes, n_threads=1)


@pytest.mark.parametrize("tile", [0, 4097, 2**63 - 1])
def test_a_tile_that_counts_could_not_hold_is_refused(tile):
    # was written past the end of, now and then
    X = np.ones((97, 8), np.float32)
    with pytest.raises(ValueError, match="`tile` must be in"):
        _core.knn_exact(X, k=1, distance="ip", rows=None, tile=tile, n_threads=3)


@pytest.mark.parametrize("cell", [0, 2**31, 2**62])
def test_a_cell_that_counts_could_not_hold_is_refused(cell):
    # was a division by zero
    X = np.ones((97, 1), np.float32)
    sizes = {"k": 3, "cell": cell, "fanout": 1, "n_threads": 2}
    with pytest.raises(ValueError, match="`cell` must be in"):
        _core.knn_approx(X, distance="ip", seed=1, step=0.0, **sizes)
    with pytest.raises(ValueError, match="`cell` must be in"):
        _core.knn_approx_bytes(97, 1, **sizes)


def test_room_for_no_features_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        _core.pair_rows_bytes(5, 3, 0, 1, 1, 1, True, n_threads=1)
    with pytest.raises(ValueError, match="at least 1"):
        _core.count_nearer_bytes(5, 0, 1, n_threads=1)


def test_a_mutation_changes_something():
    content = np.arange(200, dtype=np.uint8).tobytes()
    changed = [c for _, c in mutations(content, 0, 200)]
    assert sum(c != content for c in changed) > 190
