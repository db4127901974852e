"""platonic-rep's own class beside ours, from the checkout that CONSILIENCE_PLATONIC_REP names."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import reference
from consilience.compat.platonic import AlignmentMetrics

torch = pytest.importorskip("torch", reason="platonic-rep works on torch tensors")
pytest.importorskip("sklearn", reason="platonic-rep imports it")


@pytest.fixture(scope="module")
def theirs():
    checkout = Path(os.environ.get("CONSILIENCE_PLATONIC_REP", "nowhere"))
    if not (checkout / "metrics.py").exists():
        pytest.skip("CONSILIENCE_PLATONIC_REP names no checkout of minyoungg/platonic-rep")
    stand_ins = {}
    if importlib.util.find_spec("torchaudio") is None:
        functional = types.ModuleType("torchaudio.functional")
        functional.edit_distance = lambda a, b: reference.levenshtein(list(a), list(b))
        audio = types.ModuleType("torchaudio")
        audio.functional = functional
        stand_ins = {"torchaudio": audio, "torchaudio.functional": functional}
    # With pymp its LCS and edit distances lose rows; without, it prints that it is slower.
    sys.modules.update(stand_ins, pymp=None)
    try:
        spec = importlib.util.spec_from_file_location("platonic_metrics", checkout / "metrics.py")
        module = importlib.util.module_from_spec(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spec.loader.exec_module(module)
    finally:
        for name in (*stand_ins, "pymp"):
            del sys.modules[name]
    return module.AlignmentMetrics


@pytest.fixture(params=[(60, 8, 5, "float64"), (90, 40, 30, "float64"), (90, 40, 30, "float32")])
def features(request):
    n, d1, d2, dtype = request.param
    generator = torch.Generator().manual_seed(n)
    shared = torch.randn(n, 4, generator=generator)
    X, Y = (torch.cat([shared, torch.randn(n, d - 4, generator=generator)], 1) for d in (d1, d2))
    made = [Z.to(getattr(torch, dtype)) for Z in (X, Y)]
    return tuple(torch.nn.functional.normalize(Z, dim=1) for Z in made)


CALLS = [
    *((metric, {"topk": k}) for k in (2, 7) for metric in ("cycle_knn", "mutual_knn", "lcs_knn")),
    *(("edit_distance_knn", {"topk": k}) for k in (2, 7)),
    *(("cknna", {"topk": k, "unbiased": unbiased}) for k in (5, 20) for unbiased in (True, False)),
    ("cka", {}),
    ("cka", {"kernel_metric": "rbf", "rbf_sigma": 0.7}),
    ("cka", {"unbiased": True}),
    ("unbiased_cka", {"kernel_metric": "rbf"}),
]


@pytest.mark.parametrize(("metric", "options"), CALLS)
def test_the_same_number_of_the_same_type(metric, options, theirs, features):
    expected = theirs.measure(metric, *features, **options)
    found = AlignmentMetrics.measure(metric, *features, **options)
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    # Theirs works in the precision of the features, and counts in float32.
    rel = 1e-6 if features[0].dtype == torch.float64 else 3e-4
    assert float(found) == pytest.approx(float(expected), rel=rel, abs=1e-9)


def test_the_names_are_theirs(theirs):
    assert theirs.SUPPORTED_METRICS == AlignmentMetrics.SUPPORTED_METRICS


def test_svcca_is_within_the_spread_of_their_draws(theirs, features):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draws = [theirs.svcca(*features, cca_dim=4) for _ in range(8)]
    found = AlignmentMetrics.svcca(*features, cca_dim=4)
    assert type(found) is type(draws[0])
    assert min(draws) - 0.1 < found < max(draws) + 0.1


def test_what_crashes_there_works_here(theirs, features):
    with pytest.raises(TypeError):
        theirs.cknna(*features)
    with pytest.raises(RuntimeError):
        theirs.cknna(*features, topk=5, distance_agnostic=True)
    assert 0.0 < AlignmentMetrics.cknna(*features) < 1.0
    shared = AlignmentMetrics.cknna(*features, topk=5, distance_agnostic=True)
    assert shared == pytest.approx(theirs.mutual_knn(*features, topk=5), rel=1e-6)
    assert np.isfinite(shared)
