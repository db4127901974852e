"""platonic-rep, from the checkout that CONSILIENCE_PLATONIC_REP names."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from peers import rival

Array = np.ndarray[Any, Any]
VARIABLE = "CONSILIENCE_PLATONIC_REP"


def missing() -> str | None:
    checkout = os.environ.get(VARIABLE)
    if not checkout or not Path(checkout, "metrics.py").exists():
        return f"{VARIABLE} names no checkout of minyoungg/platonic-rep"
    return None


def measured(metric: str, X: Array, Y: Array, **settings: Any) -> float:
    import torch

    for name in ("torchaudio", "torchaudio.functional"):  # imported there, not used here
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchaudio"].functional = sys.modules["torchaudio.functional"]
    sys.path.insert(0, os.environ[VARIABLE])
    try:
        from metrics import AlignmentMetrics
    finally:
        sys.path.pop(0)
    unit = [torch.nn.functional.normalize(torch.from_numpy(Z), dim=1) for Z in (X, Y)]
    return float(getattr(AlignmentMetrics, metric)(*unit, **settings))


def its_own_definition(X: Array, Y: Array) -> float:
    import consilience as cs

    return cs.cknna(X, Y, k=25, variant="prh-code", eps=1e-6)


@rival("CKNNA", "platonic-rep", needs=missing, expected=its_own_definition)
def cknna(X: Array, Y: Array, *, n_threads: int) -> float:
    return measured("cknna", X, Y, topk=25)


@rival("mutual kNN", "platonic-rep", needs=missing)
def mutual_knn(X: Array, Y: Array, *, n_threads: int) -> float:
    return measured("mutual_knn", X, Y, topk=10)
